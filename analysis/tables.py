"""What the tables say: fields, captions and footnotes, before any markup (`analysis.markup` writes them out)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from string import ascii_lowercase
from typing import Any

from analysis.cells import Cell
from analysis.style import CONTROL, TEACHER, display_name, listing_order

ACCURACY = ("seeds", "n", "top1_percent", "std_percent", "state", "note", "caveat")
"""What main.csv says of a cell."""

NO_VALUE = "–"
"""Shown where the grid has no such cell, or nothing of the kind was measured."""


@dataclass(frozen=True)
class Field:
    """One field of a table: `92.13`, its spread `0.41`, whether it is the best, and its footnote's letter."""

    text: str
    spread: str = ""
    best: bool = False
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column's heading on one line, the same over several lines, and its footnote's letter."""

    title: str
    lines: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Named rows between two rules, under a heading if it is not empty."""

    heading: str
    rows: tuple[tuple[str, tuple[Field, ...]], ...]


@dataclass(frozen=True)
class Table:
    """A table for printing. `stub` names the lines of the headings; `notes` are letters and texts; `data` holds the
    same numbers unrounded, one row a cell.
    """

    name: str
    caption: str
    stub: tuple[str, ...]
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    notes: tuple[tuple[str, str], ...]
    data: tuple[dict[str, Any], ...]


class Footnotes:
    """Hands out letters; equal notes share one."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, text: str) -> str:
        """The letter of a note, nothing for an empty one."""
        return self._letters.setdefault(text, _letter(len(self._letters))) if text else ""

    def listed(self) -> tuple[tuple[str, str], ...]:
        return tuple((letter, text) for text, letter in self._letters.items())


def main_table(cells: Sequence[Cell]) -> Table:
    """Test accuracy: a row for the teacher and each method, a column for each pair of each data set."""
    notes = Footnotes()
    most = max((cell.n for cell in cells if cell.method != TEACHER), default=0)
    columns, data = [], []
    fields: list[dict[str, Field]] = []
    for members in _by_pair(cells):
        best = _best(members)
        columns.append(_pair_column(members[0], notes))
        fields.append({cell.method: _accuracy(cell, cell in best, most, notes) for cell in members})
        data += [{**cell.row(*ACCURACY), "best": cell in best} for cell in members]
    methods = sorted({cell.method for cell in cells}, key=listing_order)
    groups = []
    for references in (True, False):
        listed = [method for method in methods if (method in (TEACHER, CONTROL)) is references]
        rows = [(display_name(name), tuple(column.get(name, Field(NO_VALUE)) for column in fields)) for name in listed]
        groups += [Group("", tuple(rows))] if rows else []
    stub = ("Data set", "Teacher", "Student")
    caption = _main_caption(cells, most)
    return Table("main", caption, stub, tuple(columns), tuple(groups), notes.listed(), tuple(data))


def _by_pair(cells: Iterable[Cell]) -> list[list[Cell]]:
    return [list(members) for _, members in groupby(cells, key=lambda cell: (cell.dataset, cell.pair))]


def _best(members: Iterable[Cell]) -> list[Cell]:
    """The students that print the highest mean of a pair, among those with the most seeds; none if not comparable."""
    students = [
        cell for cell in members if cell.method != TEACHER and cell.top1_percent is not None and not cell.caveat
    ]
    most = max((cell.n for cell in students), default=0)
    candidates = [(f"{cell.top1_percent:.2f}", cell) for cell in students if cell.n == most]
    highest = max((text for text, _ in candidates), key=float, default="")
    return [cell for text, cell in candidates if text == highest]


def _pair_column(cell: Cell, notes: Footnotes) -> Column:
    caveat = f"methods not comparable, because their runs differ in {cell.caveat}" if cell.caveat else ""
    title = f"{cell.dataset}: {cell.teacher} → {cell.student}"
    return Column(title, (cell.dataset, cell.teacher, cell.student), notes.mark(caveat))


def _accuracy(cell: Cell, best: bool, most: int, notes: Footnotes) -> Field:
    if cell.top1_percent is None:
        return Field(cell.state, note=notes.mark(cell.note))
    note = cell.note
    if cell.state == "incomplete":
        note = f"{cell.n} of {cell.seeds} seeds: {cell.note}"
    elif cell.method != TEACHER and cell.n != most:
        note = f"n = {cell.n}"
    return Field(
        f"{cell.top1_percent:.2f}",
        "" if cell.std_percent is None else f"{cell.std_percent:.2f}",
        best,
        notes.mark(note),
    )


def _main_caption(cells: Sequence[Cell], most: int) -> str:
    students = [cell for cell in cells if cell.method != TEACHER]
    teachers = [cell for cell in cells if cell.method == TEACHER and cell.n]
    over = f"mean ± standard deviation (divisor n − 1) over n = {most} seeds"
    if most < 2:
        over = "one seed, so that no spread is known" if most else "no run has finished"
    noted = " unless noted" if any(0 < cell.n < most for cell in students) else ""
    sentences = [f"Test top-1 accuracy (%) after the last epoch: {over}{noted}."]
    if teachers:
        one = all(cell.n == 1 for cell in teachers)
        sentences.append("Each teacher is one run." if one else "Teachers: over their own seeds.")
    if most:
        sentences.append("Best student of a column in bold" + (", among those with the most seeds." if noted else "."))
    return " ".join(sentences)


def cost_table(cells: Sequence[Cell], devices: Iterable[str]) -> Table:
    """What each method costs: a row for the teacher and each method, grouped by pair."""
    headings = {
        "parameters": "Parameters",
        "macs": "MACs",
        "training_flops": "Training FLOPs",
        "student_seconds": "Student seconds",
        "teacher_seconds": "Teacher seconds",
    }
    columns, printed = [], []
    for kind, heading in headings.items():
        prefix, texts = _scaled([getattr(cell, kind) for cell in cells], prefixed=not kind.endswith("seconds"))
        title = f"{heading} ({prefix})" if prefix else heading
        columns.append(Column(title, tuple(title.split(" ", 1)) if " " in title else (title, "")))
        printed.append(dict(zip(map(id, cells), texts, strict=True)))
    groups = [
        Group(
            f"{members[0].dataset}: {members[0].teacher} → {members[0].student}",
            tuple((display_name(cell.method), tuple(Field(texts[id(cell)]) for texts in printed)) for cell in members),
        )
        for members in _by_pair(cells)
    ]
    data = tuple(cell.row("n", *headings) for cell in cells)
    stub = ("Method", "")
    return Table("cost", _cost_caption(sorted(set(devices))), stub, tuple(columns), tuple(groups), (), data)


def _cost_caption(devices: Sequence[str]) -> str:
    return (
        "Cost of a run, mean over its finished seeds. Parameters and MACs (multiply-accumulates) are those of one "
        "image's inference. Training FLOPs count two per multiply-accumulate over all steps, the teacher's forward "
        "included, the teacher's own training not. Seconds are device seconds measured in a packed cohort, the "
        f"teacher's spent once for all its runs; measured on {', '.join(devices) or 'no device'}."
    )


def _scaled(values: Sequence[float | None], *, prefixed: bool) -> tuple[str, list[str]]:
    """Values as text in one unit, chosen so that the smallest shows three digits; and the unit's SI prefix."""
    smallest = min((value for value in values if value), default=1.0)
    power = 0
    while prefixed and smallest >= 1000 and power < len("kMGTPE"):
        smallest, power = smallest / 1000, power + 1
    decimals = 2 if smallest < 10 else 1 if smallest < 100 else 0
    texts = [NO_VALUE if value is None else f"{value / 1000**power:,.{decimals}f}" for value in values]
    return ["", *"kMGTPE"][power], texts


def _letter(index: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    prefix = _letter(index // 26 - 1) if index >= 26 else ""
    return prefix + ascii_lowercase[index % 26]
