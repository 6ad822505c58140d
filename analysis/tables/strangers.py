"""How near students are to their own teachers, and to teachers that they never saw."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from analysis.statistics.places import Block, by_block
from analysis.statistics.strangers import MEASURES, Nearness
from analysis.style import NO_VALUE, display_name, signed
from analysis.tables.table import Column, Field, Group, Table, bracketed, tested
from benchmark.metrics import METRICS
from benchmark.metrics.registry import NATS

HEADINGS = (
    ("", "n"),
    *(("KL from the teacher", "own (strangers)"), ("", "less [95 % CI]")),
    *(("Cosines", "own (strangers)"), ("", "less [95 % CI]")),
    *(("Distances", "own (strangers)"), ("", "less [95 % CI]")),
)
"""Of how many students, of each measure where these differ, then of two columns for each of MEASURES, on two lines."""

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
            n = Field(", ".join(dict.fromkeys(str(each.n) for each in measures.values())))
            rows.append((display_name(method), [n, *(f for name in MEASURES for f in _fields(measures.get(name)))]))
        groups.append(Group(titles[members[0].block], rows))
    marked = tested(found, "nearer to the own", "less near to the own", "moderated t-test over seeds")
    caption = (
        "How near students are to the teacher that they learnt from and, in brackets, to teachers of other seeds, "
        f"which they never saw, mean over n students; less: own less strangers{marked}."
    )
    columns = [Column.of(*lines) for lines in HEADINGS]
    listed = [("", line) for line in UNITS]
    data = [each.row() for each in found]
    return Table("strangers", "Own teacher and strangers", caption, columns, groups, ("", "Method"), listed, data)


def _fields(each: Nearness | None) -> tuple[Field, Field]:
    if each is None:
        return Field(NO_VALUE), Field(NO_VALUE)
    decimals = 2 if METRICS[each.measure].unit is NATS else 1
    less = f"{signed(each.more.value, decimals)} {bracketed(each.more.interval(), decimals)}".rstrip()
    return Field(f"{each.own:.{decimals}f} ({each.strangers:.{decimals}f})"), Field(less, mark=each.mark)
