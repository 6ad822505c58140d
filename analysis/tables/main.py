"""Test accuracy: methods x pairs, with ranks and mean gains."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analysis.statistics.cells import Cell, networks, pair_title
from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import CellGain, Comparison
from analysis.statistics.places import by_block
from analysis.style import (
    BETTER,
    CONTROL,
    EQUIVALENT,
    NO_VALUE,
    TEACHER,
    WORSE,
    adjusted,
    count,
    display_name,
    listing_order,
    signed,
)
from analysis.tables.table import Column, Field, Footnotes, Group, Table, bracketed

ACCURACY = ("seeds", "n", "top1_percent", "std_percent", "state", "note", "apart", "caveat")
"""What main.csv says of a cell, beside its gain."""

GAIN = ("gain", "low", "high", "freedom", "p", "p_holm", "verdict")
"""What it says of one."""

CALLED = {
    **{"gain": "gain_points", "low": "gain_low", "high": "gain_high", "positive": "better_on"},
    **{"elsewhere_low": "pairs_like_these_low", "elsewhere_high": "pairs_like_these_high"},
}
"""Columns of tables' CSV files, by what they are here."""

WIDEST = 5
"""Pairs side by side."""


def main_table(evidence: Evidence) -> Table:
    """A row for the teacher and each method, a column for each pair of each data set."""
    notes = Footnotes()
    cells = evidence.cells
    columns, data = [], []
    fields: list[dict[str, Field]] = []
    for members in by_block(cells):
        most = max((cell.n for cell in members if cell.method != TEACHER), default=0)
        columns.append(_pair_column(members, most, notes))
        fields.append({cell.method: _accuracy(cell, evidence, most, notes) for cell in members})
        data += [_row(cell, evidence) for cell in members]
    summaries = [(lines, column) for lines, column in _summaries(evidence, len(columns), notes) if column]
    columns += [Column.of("", "", *lines) for lines, _ in summaries]
    fields += [column for _, column in summaries]
    return Table(
        "main",
        "Accuracy",
        _caption(evidence),
        columns,
        grouped(cells, fields),
        stub=("Data set", "Teacher", "Student", ""),
        notes=(*notes.listed(), *_remarks(evidence)),
        data=data,
        widest=WIDEST,
    )


def grouped(cells: Sequence[Cell], fields: Sequence[dict[str, Field]]) -> list[Group]:
    """The references above, the methods below."""
    methods = sorted({cell.method for cell in cells}, key=listing_order)
    groups = []
    for references in (True, False):
        listed = [method for method in methods if (method in (TEACHER, CONTROL)) is references]
        rows = [(display_name(name), [column.get(name, Field(NO_VALUE)) for column in fields]) for name in listed]
        groups += [Group("", rows)] if rows else []
    return groups


def _pair_column(members: Sequence[Cell], most: int, notes: Footnotes) -> Column:
    """Headed by the number of seeds of most of its cells."""
    cell = members[0]
    caveat = f"methods not comparable, because their runs differ in {cell.caveat}" if cell.caveat else ""
    lines = (cell.dataset, *networks(cell), f"n = {most}")
    return Column(f"{pair_title(cell)} (n = {most})", lines, notes.mark(caveat))


def _accuracy(cell: Cell, evidence: Evidence, most: int, notes: Footnotes) -> Field:
    if cell.top1_percent is None:
        return Field(cell.state, note=notes.mark(cell.note))
    note = cell.note
    if cell.state == "incomplete":
        note = f"{cell.n} of {cell.seeds} seeds: {cell.note}"
    elif cell.method != TEACHER and cell.n != most:
        note = f"n = {cell.n}"
    if cell.apart:
        no_gain = ", has no gain" if cell in evidence.without_gain else ""
        apart = f"differs from the student alone in {cell.apart}{no_gain} and is not ranked"
        note = "; ".join(filter(None, [note, apart]))
    gain = evidence.gains.get(cell.place)
    return Field(
        f"{cell.top1_percent:.2f}",
        "" if cell.std_percent is None else f"{cell.std_percent:.2f}",
        cell.place in evidence.best,
        cell.place in evidence.highest,
        gain.mark if gain else "",
        notes.mark(note),
    )


def _row(cell: Cell, evidence: Evidence) -> dict[str, Any]:
    best = {"best": cell.place in evidence.best, "highest": cell.place in evidence.highest}
    row = {**cell.row(*ACCURACY), **best, **called(_tested(evidence.gains.get(cell.place), *GAIN))}
    if not evidence.at_equal_budget:
        return row
    equal = _tested(evidence.at_equal_budget.get(cell.place), *GAIN, "over")
    return row | {f"equal_budget_{'points' if name == 'gain' else name}": value for name, value in equal.items()}


def _tested(gain: CellGain | None, *columns: str) -> dict[str, Any]:
    """Nothing of a cell that was not compared."""
    return gain.row(*columns) if gain else dict.fromkeys(columns)


def called(row: Mapping[str, Any]) -> dict[str, Any]:
    """What was tested, by the names of tables' CSV files."""
    return {CALLED.get(name, name): value for name, value in row.items()}


def _summaries(evidence: Evidence, pairs: int, notes: Footnotes) -> list[tuple[tuple[str, str], dict[str, Field]]]:
    """The columns that sum up a method over all pairs: its rank, and its mean gains over the student alone, as it is
    and trained for as many FLOPs."""
    ranks = {}
    if evidence.ranking:
        averages = zip(evidence.ranking.methods, evidence.ranking.average, strict=True)
        ranks = {method: Field(f"{average:.1f}") for method, average in averages}
    gains = {each.method: mean_gain(each, evidence, pairs, notes) for each in evidence.over_alone}
    equal = {each.method: mean_gain(each, evidence, pairs, notes) for each in evidence.mean_at_equal_budget}
    over_match = [(("At equal budget", "[95 % CI]"), equal)]
    return [(("Rank", ""), ranks), (("Mean gain", "[95 % CI]"), gains), *over_match]


def mean_gain(each: Comparison, evidence: Evidence, pairs: int, notes: Footnotes) -> Field:
    """With brackets, and a note where it is over fewer pairs or runs than others."""
    over = [f"{each.pairs} of {pairs} pairs"] if each.pairs < pairs else []
    over += [runs] if (runs := incomplete(each.method, evidence)) else []
    note = notes.mark(f"over {' and '.join(over)}" if over else "")
    return Field(f"{signed(each.gain)} {bracketed(each.interval)}".rstrip(), mark=each.mark, note=note)


def incomplete(method: str, evidence: Evidence) -> str:
    """How many of its runs a method's mean gain is over, where on its pairs some have no result."""
    own = [cell for cell in evidence.cells if cell.method == method and cell.place in evidence.gains]
    done, asked = sum(cell.n for cell in own), sum(cell.seeds for cell in own)
    return f"{done} of {asked} runs" if done < asked else ""


def _caption(evidence: Evidence) -> str:
    most = max((cell.n for cell in evidence.students), default=0)
    over = "mean ± SD over n seeds" if most > 1 else "one seed" if most else "no run has finished"
    leaders = [
        *(["Bold: not told apart from the best"] if evidence.best else []),
        *(["underlined: highest"] if evidence.highest else []),
    ]
    sentences = [f"{evidence.metric.title} after the last epoch, {over}."]
    sentences += [f"{'; '.join(leaders)}.".capitalize()] if leaders else []
    return " ".join([*sentences, *_tests(evidence)])


def _tests(evidence: Evidence) -> Iterator[str]:
    """What the marks and the mean gain mean."""
    tested = [gain for gain in evidence.gains.values() if gain.p_holm is not None]
    if tested:
        test = f"moderated t-test, {adjusted(evidence.tested, 'cell', evidence.looks)}"
        marked = {gain.verdict for gain in (*tested, *evidence.over_alone, *evidence.mean_at_equal_budget)}
        shown = marks(marked, evidence)
        yield f"{shown} ({test})." if shown else f"No difference from the student alone is established ({test})."
    if evidence.over_alone:
        known = ", 95 % CI for these pairs and teachers" if any(each.interval for each in evidence.over_alone) else ""
        yield f"Mean gain: over pairs{known}."
    if evidence.mean_at_equal_budget:
        yield "At equal budget: over students alone of equal FLOPs."


def marks(verdicts: set[str], evidence: Evidence, than: str = " than the student alone") -> str:
    """What the marks that occur stand for."""
    words = {"better": BETTER, "worse": WORSE}
    used = [word for word in words if word in verdicts]
    texts = [f"{'/'.join(words[word] for word in used)} {'/'.join(used)}{than}"] if used else []
    if "equivalent" in verdicts:
        texts.append(f"{EQUIVALENT} equivalent within {evidence.delta:g} points")
    return ", ".join(texts)


def _remarks(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Notes of the whole table."""
    if evidence.remark:
        yield "", evidence.remark
    if evidence.ranking:
        left_out = f"; left out: {evidence.ranking.dropped}" if evidence.ranking.left_out else ""
        datasets = evidence.ranking.datasets
        within = f" of {datasets} data sets, within these first" if datasets > 1 else ""
        yield "", f"Rank: over {count(len(evidence.ranking.blocks), 'pair')}{within}{left_out}"
    if evidence.several_options:
        yield "", f"Options differ between pairs for {', '.join(map(display_name, evidence.several_options))}"
    if any(cell.state != "done" for cell in evidence.students):
        yield "", "Cells without a result enter no mean, test or rank"
    if evidence.at_equal_budget:
        tests = max((each.tests for each in evidence.mean_at_equal_budget), default=0)
        family = f"; {adjusted(tests, 'method', evidence.looks)}" if tests else ""
        yield "", f"At equal budget: FLOPs of training, teacher's forward and phases included, to half an epoch{family}"
    if evidence.one_teacher:
        yield "", evidence.one_teacher
