"""What each method costs."""

from collections.abc import Iterator, Sequence
from math import floor, log

from analysis.statistics.cells import pair_title
from analysis.statistics.evidence import Evidence
from analysis.statistics.places import by_block
from analysis.style import NO_VALUE, display_name
from analysis.tables.table import Column, Field, Group, Table

HEADINGS = {
    "parameters": "Parameters",
    "macs": "MACs",
    "latency_seconds": "Latency",
    "memory_bytes": "Peak memory",
    "training_flops": "Training FLOPs",
    "energy_joules": "Training energy",
    "alone_seconds": "Seconds alone",
    "student_seconds": "Student seconds",
    "teacher_seconds": "Teacher seconds",
}
UNITS = {"latency_seconds": "s", "memory_bytes": "B", "energy_joules": "J"}
"""Of those whose headings name none."""

MEASURED_APART = ("latency_seconds", "memory_bytes", "energy_joules", "alone_seconds")
"""Columns that are left out where nothing measured them."""

PREFIXES = {-3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P", 6: "E"}
"""By powers of a thousand."""


def budget_table(evidence: Evidence) -> Table:
    """A row for the teacher and each method, grouped by pair."""
    cells = evidence.cells
    columns, printed = [], []
    for kind, heading in HEADINGS.items():
        values = [getattr(cell, kind) for cell in cells]
        if kind in MEASURED_APART and not any(values):
            continue
        prefix, texts = _scaled(values, prefixed=not heading.endswith("seconds"))
        unit = prefix + UNITS.get(kind, "")
        title = f"{heading} ({unit})" if unit else heading
        columns.append(Column.of(*f"{title} ".split(" ", 1)))
        printed.append(dict(zip(map(id, cells), texts, strict=True)))
    groups = [
        Group(
            pair_title(members[0]),
            [(display_name(cell.method), [Field(texts[id(cell)]) for texts in printed]) for cell in members],
        )
        for members in by_block(cells)
    ]
    data = [cell.row("n", *HEADINGS) for cell in cells]
    return Table("cost", "Budgets", CAPTION, columns, groups, ("Method", ""), [*_remarks(evidence)], data)


CAPTION = (
    "Cost of a run, mean over its finished seeds. Parameters, MACs, latency: of one image through the deployed "
    "student. Training FLOPs: two a multiply-accumulate, the teacher's forward included, its own training not. Student "
    "and teacher seconds: device seconds of runs that trained together, the teacher's spent once for all of them."
)


def _remarks(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Notes of the whole table: where its numbers were measured, and what those of isolated steps are."""
    if measured := sorted({cell.measured_on for cell in evidence.cells if cell.measured_on}):
        energy = ", energy as it counts it" if any(cell.energy_joules for cell in evidence.cells) else ""
        what = "Latency, peak memory of a training step alone and seconds alone"
        yield "", f"{what} measured on {', '.join(measured)}{energy}"
        yield "", "Seconds alone are those of isolated steps, carried over to a run's FLOPs"
    yield "", f"Runs trained on {', '.join(evidence.devices) or 'no device'}"


def _scaled(values: Sequence[float | None], *, prefixed: bool) -> tuple[str, list[str]]:
    """Values as text in one unit, chosen so that the smallest shows three digits; and the unit's SI prefix."""
    smallest = min((value for value in values if value), default=1.0)
    power = min(max(floor(log(smallest, 1000)), min(PREFIXES)), max(PREFIXES)) if prefixed else 0
    smallest /= 1000.0**power
    decimals = 2 if smallest < 10 else 1 if smallest < 100 else 0
    texts = [NO_VALUE if value is None else f"{value / 1000.0**power:,.{decimals}f}" for value in values]
    return PREFIXES[power], texts
