"""Runs pooled over seeds: one cell for each data set x pair x method, which knows its holes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import pandas as pd

from analysis.load import CELL, SETTINGS
from analysis.statistics import summarise
from analysis.style import CONTROL, TEACHER, listing_order

POOLED = {**SETTINGS, "method_hash": "method options or revision"}
"""What runs of one cell must agree in, and its names for people."""

LONGEST_REASON = 140
"""Characters of a failure's message that a footnote repeats."""

WORDS = {"diverged": "diverged", "failed": "failed", "stale": "stale", "missing": "missing", "not_applicable": "n/a"}
"""What a cell without a result is called: the first of these states that any of its runs is in."""

COSTS = ("parameters", "macs", "training_flops", "student_seconds", "teacher_seconds")


TEACHERS = (
    "teacher_id",
    "teacher_seed",
    "teacher_top1",
    "teacher_weights_sha256",
    "teacher_parameters",
    "teacher_macs",
)

KEY = ("teacher", "student", "seed", "status", "reason", "diverged_epoch", "top1")

READ = list(dict.fromkeys([*CELL, *KEY, *COSTS, *TEACHERS, *POOLED]))
"""The columns that cells are made of: each of hundreds of cells copies its rows, and need not copy more."""


@dataclass(frozen=True)
class Cell:
    """A method (or the teacher) on one pair. Accuracies are over the `n` of `seeds` runs that finished
    (for a teacher: over its n distinct runs); None where there is nothing to pool. Costs are means over the same runs.

    `state` is done; incomplete, where some seeds have no result; one of WORDS, where none has; or mixed, where the runs
    were not made alike and must not be pooled. `note` says why. `apart` says what a method was trained with otherwise
    than the student alone: a control with more epochs, say. Where a pair has no student alone to compare with and its
    methods were not trained alike, `caveat` says what differs.
    """

    dataset: str
    pair: str
    teacher: str
    student: str
    method: str
    seeds: int
    n: int
    top1_percent: float | None
    std_percent: float | None
    state: str
    note: str
    caveat: str = ""
    apart: str = ""
    parameters: float | None = None
    macs: float | None = None
    training_flops: float | None = None
    student_seconds: float | None = None
    teacher_seconds: float | None = None

    def row(self, *columns: str) -> dict[str, Any]:
        """A row of a CSV file: which cell it is, then these fields."""
        return {name: getattr(self, name) for name in ("dataset", "pair", "teacher", "student", "method", *columns)}


def pool(runs: pd.DataFrame) -> list[Cell]:
    """The teacher's and every method's cell, by data set and pair, methods in listing order."""
    cells = []
    for _, rows in runs[READ].groupby(CELL[:2]):
        done = rows[rows.status == "done"]
        alone = done[done.method == CONTROL]
        comparable = not alone.empty and not unlike(POOLED, alone)
        caveat = "" if comparable else unlike(SETTINGS, done)
        members = []
        for _, group in rows.groupby("method"):
            apart = unlike(SETTINGS, alone, group[group.status == "done"]) if comparable else ""
            members.append(_cell(group, caveat=caveat, apart=apart))
        # A control may have another teacher; the pair's own is that of the student alone.
        taught = alone if comparable else rows
        if not (known := taught[taught.teacher_top1.notna()]).empty:
            members.append(_teacher_cell(known, caveat))
        cells += sorted(members, key=lambda cell: listing_order(cell.method))
    return cells


def poolable(runs: pd.DataFrame) -> pd.DataFrame:
    """The finished runs of the cells whose runs were made alike."""
    done = runs[runs.status == "done"]
    mixed = done.groupby(CELL)[list(POOLED)].transform("nunique").gt(1).any(axis=1)
    groups = done.groupby(CELL)
    paired = (done.teacher_seed == done.seed).groupby([done[name] for name in CELL]).transform("all")
    mixed |= groups.teacher_seed.transform("nunique").gt(1) & ~paired
    weights = done.groupby([*CELL, "teacher_id"]).teacher_weights_sha256.transform("nunique").gt(1)
    mixed |= weights.groupby([done[name] for name in CELL]).transform("any")
    return done[~mixed]


def _cell(rows: pd.DataFrame, *, caveat: str, apart: str) -> Cell:
    done, holes = rows[rows.status == "done"], rows[rows.status != "done"]
    state = "done" if holes.empty else "incomplete"
    notes = [_hole(group) for _, group in holes.groupby(["status", "reason", "diverged_epoch"], dropna=False)]
    if done.empty:
        state = next(word for status, word in WORDS.items() if status in set(holes.status))
    elif differences := unlike(POOLED, done):
        state, notes = "mixed", [f"not pooled, because its runs differ in {differences}", *notes]
        done = done.iloc[:0]
    method, seeds = str(rows.method.iloc[0]), rows.seed.nunique()
    numbers = {**_pooled(done.top1), **_mean_costs(done, {name: name for name in COSTS})}
    text: dict[str, Any] = {"state": state, "note": "; ".join(notes), "caveat": caveat, "apart": apart}
    return Cell(**_place(rows), method=method, seeds=seeds, **text, **numbers)


def _teacher_cell(rows: pd.DataFrame, caveat: str) -> Cell:
    """The distinct teachers of a pair; their budgets are those of inference."""
    teachers = rows.drop_duplicates("teacher_id")
    state, note = "done", ""
    if differences := unlike({"teacher_hash": SETTINGS["teacher_hash"]}, rows):
        state, note, teachers = "mixed", f"not pooled, because runs differ in {differences}", teachers.iloc[:0]
    costs = _mean_costs(teachers, {"parameters": "teacher_parameters", "macs": "teacher_macs"})
    text: dict[str, Any] = {"state": state, "note": note, "caveat": caveat}
    return Cell(**_place(rows), method=TEACHER, seeds=len(teachers), **text, **_pooled(teachers.teacher_top1), **costs)


def _place(rows: pd.DataFrame) -> dict[str, Any]:
    return {name: str(rows[name].iloc[0]) for name in ("dataset", "pair", "teacher", "student")}


def _pooled(shares: "pd.Series[Any]") -> dict[str, Any]:
    """Accuracies, shares of 1 in seed order, in percent."""
    summary = summarise([100 * float(share) for share in shares])
    return {"n": summary.n, "top1_percent": summary.mean, "std_percent": summary.std}


def _mean_costs(rows: pd.DataFrame, columns: Mapping[str, str]) -> dict[str, Any]:
    return {name: summarise([float(value) for value in rows[column].dropna()]).mean for name, column in columns.items()}


def unlike(settings: Mapping[str, str], *parts: pd.DataFrame) -> str:
    """What runs that should differ in their seed only (and, where seeds are paired, their teacher's) differ in."""
    found = [title for column, title in settings.items() if len(_values(column, parts)) > 1]
    seeds = {(teacher, own) for part in parts for teacher, own in zip(part.teacher_seed, part.seed, strict=True)}
    if len({teacher for teacher, _ in seeds}) > 1 and any(teacher != own for teacher, own in seeds):
        found.append("teacher seed")
    taught = {pair for part in parts for pair in zip(part.teacher_id, part.teacher_weights_sha256, strict=True)}
    known = [teacher for teacher, weights in taught if isinstance(weights, str)]
    if len(known) > len(set(known)):
        found.append("teacher weights")
    return " and ".join(found)


def _values(column: str, parts: Sequence[pd.DataFrame]) -> set[Any]:
    """What is in a column; a value that is not known differs from none."""
    return {value for part in parts for value in part[column].tolist() if value is not None and value == value}


def _hole(rows: pd.DataFrame) -> str:
    """Runs that have no result for one reason: `seeds 0 and 2 diverged in epoch 3 (loss is not finite)`."""
    seeds = [str(seed) for seed in rows.seed]
    which = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(seeds[:-1])} and {seeds[-1]}"
    first = rows.iloc[0]
    epoch = "" if pd.isna(first.diverged_epoch) else f" in epoch {first.diverged_epoch:.0f}"
    reason = "" if pd.isna(first.reason) else f" ({shorten(first.reason, LONGEST_REASON, placeholder=' ...')})"
    return f"{which} {first.status.replace('_', ' ')}{epoch}{reason}"
