"""Which runs were made alike, so that they may be pooled or compared: one rule for cells, gains and tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]

CELL = ["dataset", "pair", "method"]
"""Runs that agree in these columns differ in their seed only, and are pooled."""

SETTINGS = {
    "dataset_hash": "data set",
    "data_sha256": "images",
    "student_hash": "student architecture",
    "recipe_hash": "recipe",
    "teacher_hash": "teacher",
    "shuffled": "whether the teacher's outputs are shuffled",
    "protocol": "protocol revision",
}
"""Columns that the methods of one pair must agree in to be compared, and their names for people."""

POOLED = {**SETTINGS, "method_hash": "method options or revision"}
"""What runs of one cell must agree in."""


LENGTH = ("epochs", "milestones", "warmup_epochs")
"""Fields of a recipe that say how long it trains."""

COMPETING = {name: title for name, title in SETTINGS.items() if name != "recipe_hash"} | {
    "timeless_recipe_hash": "recipe"
}
"""As SETTINGS, but for how long a recipe trains."""


def competes(rows: Sequence[Row], alone: Sequence[Row]) -> bool:
    """Whether runs may stand on a front with the student alone of their pair, and share the scale of its figures: they
    may train longer, which their cost says, as a control that matches a method's does. What was trained otherwise, on
    fewer classes or under another teacher, answers another question."""
    return not differences(COMPETING, rows, alone)


def differences(settings: Mapping[str, str], *parts: Sequence[Row]) -> str:
    """What runs that should differ in their seed only (and, where seeds are paired, their teacher's) differ in."""
    rows = [row for part in parts for row in part]
    found = [title for name, title in settings.items() if len({row[name] for row in rows} - {None}) > 1]
    seeds = {(row["teacher_seed"], row["seed"]) for row in rows}
    if len({teacher for teacher, _ in seeds}) > 1 and any(teacher != own for teacher, own in seeds):
        found.append("teacher seed")
    known = [
        teacher for teacher, weights in {(row["teacher_id"], row["teacher_weights_sha256"]) for row in rows} if weights
    ]
    if len(known) > len(set(known)):
        found.append("teacher weights")
    return " and ".join(found)


def grouped(rows: Iterable[Row], *columns: str) -> list[list[Row]]:
    """Rows that agree in these columns, in the order of what they agree in; what is not known comes last."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple((row[name] is None, row[name]) for name in columns), []).append(row)
    return [found[key] for key in sorted(found)]


def finished(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["status"] == "done"]


def poolable(rows: Iterable[Row]) -> list[Row]:
    """The finished runs of the cells whose runs were made alike."""
    cells = grouped(finished(rows), *CELL)
    return [row for cell in cells if not differences(POOLED, cell) for row in cell]
