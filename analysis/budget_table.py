"""What each method costs."""

from collections.abc import Sequence

from analysis.evidence import Evidence
from analysis.style import display_name
from analysis.tables import NO_VALUE, Column, Field, Group, Table, by_pair, pair_title

HEADINGS = {
    "parameters": "Parameters",
    "macs": "MACs",
    "training_flops": "Training FLOPs",
    "student_seconds": "Student seconds",
    "teacher_seconds": "Teacher seconds",
}


def budget_table(evidence: Evidence) -> Table:
    """A row for the teacher and each method, grouped by pair."""
    cells = evidence.cells
    columns, printed = [], []
    for kind, heading in HEADINGS.items():
        prefix, texts = _scaled([getattr(cell, kind) for cell in cells], prefixed=not kind.endswith("seconds"))
        title = f"{heading} ({prefix})" if prefix else heading
        columns.append(Column(title, tuple(title.split(" ", 1)) if " " in title else (title, "")))
        printed.append(dict(zip(map(id, cells), texts, strict=True)))
    groups = [
        Group(
            pair_title(members[0]),
            tuple((display_name(cell.method), tuple(Field(texts[id(cell)]) for texts in printed)) for cell in members),
        )
        for members in by_pair(cells)
    ]
    data = tuple(cell.row("n", *HEADINGS) for cell in cells)
    stub = ("Method", "")
    return Table("cost", _caption(evidence.devices), stub, tuple(columns), tuple(groups), (), data)


def _caption(devices: Sequence[str]) -> str:
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
