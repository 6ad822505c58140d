"""How near students are to their own teachers, and to teachers that they never saw."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from analysis.statistics.places import Block, by_block
from analysis.statistics.strangers import MEASURES, Nearness
from analysis.style import BETTER, NO_VALUE, WORSE, count, display_name, signed
from analysis.tables.table import Column, Field, Group, Table, bracketed

HEADINGS = (
    ("", "n"),
    *(("KL from the teacher", "own (strangers)"), ("", "less [95 % CI]")),
    *(("Cosines", "own (strangers)"), ("", "less [95 % CI]")),
    *(("Distances", "own (strangers)"), ("", "less [95 % CI]")),
)
"""Of the number of students, then of two columns for each of MEASURES, on two lines."""

UNITS = (
    "KL: nats × 100, lower is nearer; cosines and distances: correlation × 100 of the student's with the teacher's, "
    "where predictions hold embeddings",
    "The student alone, which saw no teacher, shows what chance makes of it",
)


def strangers_table(found: Sequence[Nearness], titles: Mapping[Block, str]) -> Table:
    """A row for each method, grouped by pair."""
    groups = []
    for members in by_block(found):
        rows = []
        for method, own in groupby(members, key=lambda each: each.method):
            measures = {each.measure: each for each in own}
            n = Field(str(max(each.n for each in measures.values())))
            rows.append((display_name(method), [n, *(f for name in MEASURES for f in _fields(measures.get(name)))]))
        groups.append(Group(titles[members[0].block], rows))
    caption = (
        "How near students are to the teacher that they learnt from and, in brackets, to teachers of other seeds, "
        f"which they never saw, mean over n students; less: own less strangers{_marked(found)}."
    )
    columns = [Column.of(*lines) for lines in HEADINGS]
    listed = [("", line) for line in UNITS]
    data = [each.row() for each in found]
    return Table("strangers", "Own teacher and strangers", caption, columns, groups, ("", "Method"), listed, data)


def _fields(each: Nearness | None) -> tuple[Field, Field]:
    if each is None:
        return Field(NO_VALUE), Field(NO_VALUE)
    less = f"{signed(each.more.value, 1)} {bracketed(each.more.interval(), 1)}".rstrip()
    return Field(f"{each.own:.1f} ({each.strangers:.1f})"), Field(less, mark=each.mark)


def _marked(found: Sequence[Nearness]) -> str:
    """What marks there are, and how they were tested."""
    tested = [each.measure for each in found if each.p_holm is not None]
    if not tested:
        return ""
    marks = {each.mark for each in found}
    words = [f"{mark} {word} to the own" for mark, word in ((BETTER, "nearer"), (WORSE, "less near")) if mark in marks]
    cells = count(max(map(tested.count, MEASURES)), "cell")
    said = f"t-test of students crossed with teachers, Holm-adjusted over {cells} of a measure, P < 0.05"
    return f", {' and '.join(words)} ({said})" if words else f" (none established: {said})"
