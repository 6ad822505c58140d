"""Agreement with the teacher beside what students of the same accuracy show that know nothing of it, and whether
methods are right on other images than the student alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby

from analysis.statistics.fidelity import FAR, MEASURES, Fidelity
from analysis.statistics.mcnemar import Discordance
from analysis.statistics.places import Block, by_block
from analysis.style import BETTER, CONTROL, NO_VALUE, WORSE, count, display_name, p_value, signed
from analysis.tables.table import Column, Field, Footnotes, Group, Table, bracketed, tested

Titles = Mapping[Block, str]
"""What pairs are called."""

HEADINGS = (
    *(("Teacher right", "agree (expected)"), ("", "excess [95 % CI]")),
    *(("Teacher wrong", "agree (expected)"), ("", "excess [95 % CI]")),
    *(("Second choice", "share (expected)"), ("", "excess [95 % CI]")),
)
"""Of two columns for each of MEASURES, on two lines."""

SHARES = "Agreements are shares of these images; second choice: of the student's answers that are not the teacher's"


def fidelity_table(found: Sequence[Fidelity], titles: Titles) -> Table:
    """A row for each method, grouped by pair; the student alone first, with which all are compared."""
    groups, notes = [], Footnotes()
    for members in by_block(found):
        rows = []
        for method, own in groupby(members, key=lambda each: each.method):
            measures = {each.measure: each for each in own}
            rows.append((display_name(method), [f for name in MEASURES for f in _fields(measures.get(name), notes)]))
        groups.append(Group(titles[members[0].block], rows))
    columns = [Column.of(*lines) for lines in HEADINGS]
    marked = tested(found, "above", "below", "moderated t-test")
    caption = (
        "Agreement with the teacher (%), split by whether it is right, mean over seeds; expected: of students alone "
        "whose odds of being right are moved to the method's accuracy; excess over that in percentage points"
        f"{marked}."
    )
    stub, listed = ("", "Method"), (*notes.listed(), ("", SHARES))
    data = [each.row() for each in found]
    return Table("fidelity", "Fidelity", caption, columns, groups, stub, listed, data)


def mcnemar_table(found: Sequence[Discordance], titles: Titles, tests: int) -> Table:
    """Each method against the student alone, grouped by pair, of so many tests; its data have every two methods."""
    shown = [each for each in found if each.over == CONTROL]
    groups = [
        Group(titles[members[0].block], [(display_name(each.method), _counts(each)) for each in members])
        for members in by_block(shown)
    ]
    columns = map(Column.of, ("Right alone", "Student right alone", "of images", "n", "P"))
    caption = (
        "Test images, a seed on average, on which a method is right and the student alone wrong, and the other way "
        f"round; P: exact McNemar test over n seeds, Holm-adjusted over {count(tests, 'comparison')} of two "
        "methods each. It is about other test images, with these trainings."
    )
    data = [{**asdict(each), "verdict": each.verdict} for each in found]
    return Table("mcnemar", "McNemar", caption, [*columns], groups, data=data)


def _fields(each: Fidelity | None, notes: Footnotes) -> tuple[Field, Field]:
    if each is None:
        return Field(NO_VALUE), Field(NO_VALUE)
    assert each.observed.mean is not None
    text = f"{each.observed.mean:.1f}"
    if each.expected is None or each.expected.mean is None or each.excess is None:
        return Field(text), Field(NO_VALUE)
    interval = bracketed(each.estimate.interval() if each.estimate else None, 1)
    far = f"not tested: more than {FAR:g} point from the student alone in accuracy" if each.p is None else ""
    apart = f"differs from the student alone in {each.differs}" if each.differs else ""
    note = notes.mark("; ".join(filter(None, [apart, far if each.estimate else ""])))
    excess = Field(f"{signed(each.excess, 1)} {interval}".rstrip(), mark=each.mark, note=note)
    return Field(f"{text} ({each.expected.mean:.1f})"), excess


def _counts(each: Discordance) -> tuple[Field, ...]:
    mark = {"better": BETTER, "worse": WORSE}.get(each.verdict, "")
    decimals = min(1, each.seeds - 1)  # a single seed's counts are whole numbers
    gained, lost = (f"{number / each.seeds:.{decimals}f}" for number in (each.gained, each.lost))
    texts = (lost, f"{each.images:,}", str(each.seeds), p_value(each.p_holm))
    return Field(gained, mark=mark), *map(Field, texts)
