"""Test accuracy: methods x pairs, with ranks and mean gains."""

from collections.abc import Iterable, Sequence

from analysis.statistics.cells import Cell, pair_title
from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import CellGain, Comparison
from analysis.statistics.paired import ends
from analysis.style import BETTER, CONTROL, NO_VALUE, TEACHER, WORSE, count, display_name, listing_order, mark, signed
from analysis.tables.table import Column, Field, Footnotes, Group, Table, by_pair

ACCURACY = ("seeds", "n", "top1_percent", "std_percent", "state", "note", "apart", "caveat")
"""What main.csv says of a cell, beside its gain."""


def main_table(evidence: Evidence) -> Table:
    """A row for the teacher and each method, a column for each pair of each data set."""
    notes = Footnotes()
    cells = evidence.cells
    most = max((cell.n for cell in cells if cell.method != TEACHER), default=0)
    columns, data = [], []
    fields: list[dict[str, Field]] = []
    for members in by_pair(cells):
        first, second = _leaders(members)
        columns.append(_pair_column(members, notes))
        gains = {cell.method: evidence.gains.get((cell.dataset, cell.pair, cell.method)) for cell in members}
        fields.append({c.method: _accuracy(c, c in first, c in second, gains[c.method], most, notes) for c in members})
        data += [{**cell.row(*ACCURACY), "best": cell in first, **_gain_row(gains[cell.method])} for cell in members]
    summaries = [(title, column) for title, column in _summaries(evidence, len(columns), notes) if column]
    columns += [Column(title, ("", "", title)) for title, _ in summaries]
    fields += [column for _, column in summaries]
    groups = grouped(cells, fields)
    stub = ("Data set", "Teacher", "Student")
    caption = _caption(evidence, most)
    return Table("main", caption, stub, tuple(columns), groups, notes.listed(), tuple(data), title="Accuracy")


def grouped(cells: Sequence[Cell], fields: Sequence[dict[str, Field]]) -> tuple[Group, ...]:
    """The references above, the methods below."""
    methods = sorted({cell.method for cell in cells}, key=listing_order)
    groups = []
    for references in (True, False):
        listed = [method for method in methods if (method in (TEACHER, CONTROL)) is references]
        rows = [(display_name(name), tuple(column.get(name, Field(NO_VALUE)) for column in fields)) for name in listed]
        groups += [Group("", tuple(rows))] if rows else []
    return tuple(groups)


def _leaders(members: Iterable[Cell]) -> tuple[list[Cell], list[Cell]]:
    """The students that print the highest mean of a pair and those that print the second, among those with the most
    seeds and trained alike; none if not comparable.
    """
    students = [cell for cell in members if cell.method != TEACHER and cell.top1_percent is not None]
    students = [cell for cell in students if not cell.caveat and not cell.apart]
    most = max((cell.n for cell in students), default=0)
    printed = [(f"{cell.top1_percent:.2f}", cell) for cell in students if cell.n == most]
    texts = sorted({text for text, _ in printed}, key=float, reverse=True)
    first = [cell for text, cell in printed if text == texts[0]]
    # The only student, or one behind a tie for the first place, is not second to anything.
    return first, [cell for text, cell in printed if len(first) == 1 and text == texts[1]] if len(texts) > 1 else []


def _pair_column(members: Sequence[Cell], notes: Footnotes) -> Column:
    cell = members[0]
    caveat = f"methods not comparable, because their runs differ in {cell.caveat}" if cell.caveat else ""
    return Column(pair_title(cell), (cell.dataset, cell.teacher, cell.student), notes.mark(caveat))


def _accuracy(cell: Cell, best: bool, second: bool, gain: CellGain | None, most: int, notes: Footnotes) -> Field:
    if cell.top1_percent is None:
        return Field(cell.state, note=notes.mark(cell.note))
    note = cell.note
    if cell.state == "incomplete":
        note = f"{cell.n} of {cell.seeds} seeds: {cell.note}"
    elif cell.method != TEACHER and cell.n != most:
        note = f"n = {cell.n}"
    if cell.apart:
        note = "; ".join(filter(None, [note, f"differs from the student alone in {cell.apart} and is not ranked"]))
    return Field(
        f"{cell.top1_percent:.2f}",
        "" if cell.std_percent is None else f"{cell.std_percent:.2f}",
        best,
        second,
        mark(gain.established, gain.gain) if gain else "",
        notes.mark(note),
    )


def _gain_row(gain: CellGain | None) -> dict[str, float | None]:
    if gain is None:
        return dict.fromkeys(("gain_points", "gain_low", "gain_high", "p", "p_holm"))
    low, high = ends(gain.interval)
    return {"gain_points": gain.gain, "gain_low": low, "gain_high": high, "p": gain.p, "p_holm": gain.p_holm}


def _summaries(evidence: Evidence, pairs: int, notes: Footnotes) -> list[tuple[str, dict[str, Field]]]:
    """The columns that sum up a method over all pairs: its rank and its mean gain."""
    ranks = {}
    if evidence.ranking:
        ranks = {
            method: Field(f"{average:.1f}")
            for method, average in zip(evidence.ranking.methods, evidence.ranking.average, strict=True)
        }
    gains = {
        each.method: _mean_gain(each, pairs, incomplete(each.method, evidence), notes) for each in evidence.over_alone
    }
    return [("Rank", ranks), ("Mean gain", gains)]


def incomplete(method: str, evidence: Evidence) -> str:
    """How many of its runs a method's mean gain is over, where on its pairs they or their counterparts lack some."""
    seeds = {(cell.dataset, cell.pair): cell.seeds for cell in evidence.cells if cell.method == method}
    own = [gain for gain in evidence.gains.values() if gain.method == method]
    done, asked = sum(gain.n for gain in own), sum(seeds[gain.dataset, gain.pair] for gain in own)
    return f"{done} of {asked} runs" if done < asked else ""


def _mean_gain(each: Comparison, pairs: int, runs: str, notes: Footnotes) -> Field:
    spread = f"{each.interval.high - each.gain:.2f}" if each.interval else ""
    over = [f"{each.pairs} of {pairs} pairs"] if each.pairs < pairs else []
    note = f"over {' and '.join([*over, *filter(None, [runs])])}" if over or runs else ""
    return Field(signed(each.gain), spread, mark=mark(each.established, each.gain), note=notes.mark(note))


def _caption(evidence: Evidence, most: int) -> str:
    students = [cell for cell in evidence.cells if cell.method != TEACHER]
    teachers = [cell for cell in evidence.cells if cell.method == TEACHER and cell.n]
    over = f"mean ± standard deviation (divisor n − 1) over n = {most} seeds"
    if most < 2:
        over = "one seed, so that no spread is known" if most else "no run has finished"
    uneven = any(0 < cell.n < most for cell in students)
    sentences = [f"Test top-1 accuracy (%) after the last epoch: {over}{' unless noted' if uneven else ''}."]
    if teachers:
        one = all(cell.n == 1 for cell in teachers)
        sentences.append("Each teacher is one run." if one else "Teachers: over their own seeds.")
    if most:
        among = ", among those with the most seeds" if uneven else ""
        sentences.append(f"Best student of a column in bold, the second underlined{among}.")
    sentences += _tests(evidence)
    if evidence.several_options:
        names = ", ".join(map(display_name, evidence.several_options))
        sentences.append(f"Not with the same options on all pairs: {names}.")
    if any(cell.state != "done" for cell in students):
        sentences.append("Cells without a result say why and are left out of every mean, test and rank.")
    return " ".join(sentences)


def _tests(evidence: Evidence) -> list[str]:
    """What the marks and the last two columns mean."""
    sentences = []
    tested = [gain for gain in evidence.gains.values() if gain.p is not None]
    if tested:
        none = "" if any(gain.established for gain in tested) else "; no cell is"
        sentences.append(
            f"{BETTER} better, {WORSE} worse than the student alone: paired t-test over seeds, p < 0.05 after Holm's "
            f"correction for {count(len(tested), 'cell')}{none}."
        )
    if evidence.ranking:
        sentences.append(f"Rank: average over {count(len(evidence.ranking.blocks), 'pair')}{_dropped(evidence)}.")
    if evidence.over_alone:
        known = any(each.interval for each in evidence.over_alone)
        half = ", ± half of the 95 % interval over seeds for these pairs and teachers" if known else ""
        sentences.append(
            "Mean gain: percentage points over the student alone of the same seed, each pair counting alike"
            f"{half}; marked by the sign-flip test over all runs."
        )
    return sentences


def _dropped(evidence: Evidence) -> str:
    left_out = evidence.ranking.left_out if evidence.ranking else {}
    if not left_out:
        return ""
    named = ", ".join(f"{display_name(name)} ({holes})" for name, holes in left_out.items())
    return (
        f", a complete table after leaving out, emptiest first, with so many holes: {named}; a cell with a run that "
        "diverged or was not applicable is one"
    )
