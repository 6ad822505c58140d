"""Records of results folders as one tidy table: a row for each run that was made or should have been."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.errors import UsageError
from benchmark.records import Folder, Record, key_columns
from benchmark.spec import digest

CELL = ["dataset", "pair", "method"]
"""Runs that agree in these columns differ in their seed only, and are pooled."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """What one or several results folders hold.

    `runs` has one row a run: its key (`dataset`, `pair`, `teacher`, `student`, `method`, `seed`), every field of its
    result and cost, `device`, hashes of what it was trained with (`SETTINGS`), and `status`: done, diverged or
    not_applicable as recorded; failed or missing for a run that should have a record and has none, `reason` saying why.
    """

    runs: pd.DataFrame
    problems: tuple[str, ...]


def load(folders: Sequence[Path]) -> Results:
    """Raises UsageError for a folder that is not there, and if no folder holds a valid record of a student."""
    recorded: dict[str, Row] = {}
    absent: list[Row] = []
    problems: list[str] = []
    for path in dict.fromkeys(folders):
        if not path.is_dir():
            raise UsageError(f"results folder {str(path)!r} does not exist")
        folder = Folder(path)
        records, errors = folder.records()
        problems += map(str, errors)
        rows = {record.run_id: _row(record) for record in records if record.run.teacher}
        problems += [_disagreement(run_id, path) for run_id in rows if _differ(rows[run_id], recorded.get(run_id))]
        recorded = {**rows, **recorded}
        if planned := folder.planned_ids():
            absent += _planned_holes(folder, set(planned) - set(rows), problems)
        else:
            absent += _product_holes(list(rows.values()))
    if not recorded:
        raise UsageError("; ".join([*problems, f"no valid record of a student in {', '.join(map(str, folders))}"]))
    runs = pd.DataFrame([*recorded.values(), *_still_absent(absent, recorded)])
    return Results(runs.sort_values([*CELL, "seed", "run_id"], ignore_index=True), tuple(problems))


def _row(record: Record) -> Row:
    result = record.result.model_dump()
    row = {**key_columns(record.run, record.run_id), **result, **record.cost.model_dump()}
    row |= {"device": record.provenance.device, "status": record.status, **_settings(record)}
    if record.status == "done" and not 0 <= (-1 if result["top1"] is None else result["top1"]) <= 1:
        row |= {"status": "failed", "reason": f"its record gives {result['top1']} as test accuracy"}
    return row


SETTINGS = {
    "dataset_hash": "data set",
    "data_sha256": "images",
    "student_hash": "student architecture",
    "recipe_hash": "recipe",
    "teacher_hash": "teacher",
    "protocol": "protocol revision",
}
"""Columns that the methods of one pair must agree in to be compared, and their names for people."""


def _settings(record: Record) -> Row:
    """What a run was trained with, apart from its seed and its teacher's."""
    run, teacher = record.run, record.run.teacher
    assert teacher is not None
    return {
        "dataset_hash": digest(run.dataset.identity()),
        "student_hash": digest(run.student.identity()),
        "recipe_hash": digest(run.recipe.identity()),
        "teacher_hash": digest({**teacher.identity(), "seed": None}),
        "method_hash": digest([run.method, run.options, run.revisions]),
        "protocol": run.protocol,
        "teacher_id": teacher.id,
        "teacher_seed": teacher.seed,
    }


def _planned_holes(folder: Folder, run_ids: set[str], problems: list[str]) -> list[Row]:
    """A row for each of the planned runs that have no usable record."""
    rows = []
    for run_id in sorted(run_ids):
        try:
            run = folder.planned(run_id)
        except (OSError, ValueError):
            problems.append(f"planned run {folder.planned_path(run_id)} cannot be read")
            continue
        if run.teacher:
            rows.append({**key_columns(run, run_id), **_why_absent(folder, run_id)})
    return rows


def _why_absent(folder: Folder, run_id: str) -> Row:
    if reason := folder.failure(run_id):
        return {"status": "failed", "reason": reason}
    if folder.record_path(run_id).exists():
        return {"status": "failed", "reason": "its record is not valid"}
    return {"status": "missing", "reason": None}


def _product_holes(rows: list[Row]) -> Iterator[Row]:
    """A folder that does not say what was planned was meant to hold pairs x methods x seeds of each data set."""
    for dataset in {row["dataset"] for row in rows}:
        members = [row for row in rows if row["dataset"] == dataset]
        pairs = {row["pair"]: row for row in members}
        for pair, method, seed in product(pairs, {row["method"] for row in members}, {row["seed"] for row in members}):
            names = {name: pairs[pair][name] for name in ("dataset", "pair", "teacher", "student")}
            yield {"run_id": "", **names, "method": method, "seed": seed, "status": "missing", "reason": None}


def _still_absent(absent: list[Row], recorded: dict[str, Row]) -> Iterator[Row]:
    """Each hole once, and none where another record stands for the same cell and seed."""
    seen = {_place(row) for row in recorded.values()}
    for row in absent:
        if _place(row) not in seen:
            seen.add(_place(row))
            yield row


def _place(row: Row) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in (*CELL, "seed"))


def _differ(row: Row, other: Row | None) -> bool:
    return other is not None and any(row[name] != other[name] for name in ("status", "top1", "weights_sha256"))


def _disagreement(run_id: str, path: Path) -> str:
    return f"run {run_id} has another result in {path}; the folder named first counts"
