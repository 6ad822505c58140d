"""Records of results folders as one tidy table: a row for each run that was made or should have been."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pandas as pd

from analysis.runs.alike import CELL, COSTED, Row, grouped, poolable
from analysis.runs.headings import Seen, headings, seen
from analysis.runs.measured import joined
from analysis.runs.relations import of_one_version
from analysis.runs.revisions import Revisions
from analysis.runs.shared import cell_and_seed, own_teacher, pairs_of, repeated
from analysis.style import MATCHED
from benchmark.ground.errors import UsageError
from benchmark.ground.files import read_table
from benchmark.metrics import METRICS
from benchmark.records import Folder, Record, Result, key_columns
from benchmark.spec import Pair, Run, digest


@dataclass(frozen=True)
class Results:
    """What one or several results folders hold.

    `runs` has one row a run, with the columns of `columns` as far as anything fills them; a run that several pairs
    share (`shared`) has a row for each. `records` are the valid ones of each folder, `labels` what methods call
    themselves in them; `unreadable` says of the others what is wrong, and so does `problems`.
    """

    runs: pd.DataFrame
    problems: tuple[str, ...]
    records: Mapping[Path, Sequence[Record]]
    labels: Mapping[str, str]
    unreadable: tuple[str, ...]


def load(folders: Sequence[Path], *, include_stale: bool = False) -> Results:
    """Raises UsageError for a folder that is not there, and if no folder holds a valid record of a student.

    A stale record (`revisions`) is a hole, unless they are to be included; even then it stands only where its
    cell and seed have no current one.
    """
    if not folders:
        raise UsageError("no results folder is named")
    records, unreadable = _read(folders)
    problems = [*unreadable]
    found: dict[str, Record] = {}
    students = [(path, each) for path, members in records.items() for each in members if each.run.teacher]
    for path, each in students:
        if _differ(each, found.setdefault(each.run_id, each)):
            problems.append(f"run {each.run_id} has another result in {path}; the folder named first counts")
    if not found:
        raise UsageError(f"no valid record of a student in {', '.join(map(str, folders))}{_first(problems)}")
    said: list[str] = []
    absences = {path: [*_absent(Folder(path), members, said)] for path, members in records.items()}
    waiting = [hole for holes in absences.values() for hole in holes]
    revisions = Revisions.newest([*(each.run for each in found.values()), *(run for run, _ in waiting)])
    saw = [(each.run.dataset, each.result.data_sha256) for _, each in students]
    names = headings([*saw, *((run.dataset, None) for run, _ in waiting)])
    known = {run_id: _row(each, revisions, names) for run_id, each in found.items()}
    fresh = {cell_and_seed(row) for row in known.values() if not row["stale"]}
    rows = [row for row in known.values() if not row["stale"] or cell_and_seed(row) not in fresh]
    stale = [] if include_stale else [row for row in rows if row["stale"]]
    current, unlike = of_one_version([row for row in rows if include_stale or not row["stale"]])
    problems += [*unlike, *said, *_stale_problem(stale), *_teacher_problems(current)]
    absent = [*map(_left_out, stale), *({**row, **_dataset(run, names)} for run, row in waiting)]
    for path in records:
        planned = set(Folder(path).planned_ids())
        absent += _product_holes([known[x.run_id] for its, x in students if its == path and x.run_id not in planned])
    listed = _pairs_of_runs(records, absences)
    runs, left_out = joined(pd.DataFrame(_completed(current, absent, listed)), folders)
    labels = [(each.provenance.labels or {}).items() for each in reversed(found.values())]
    return Results(
        runs.sort_values([*CELL, "seed", "run_id"], ignore_index=True),
        (*problems, *left_out),
        records,
        {name: text for own in labels for name, text in own},
        tuple(unreadable),
    )


def progress(runs: pd.DataFrame) -> str:
    """`digits: 45 of 48 runs done`, a line for each data set."""
    return "\n".join(f"{dataset}: {counted(statuses)}" for dataset, statuses in runs.groupby("dataset").status)


def counted(statuses: "pd.Series[str]") -> str:
    """`45 of 48 runs done, 1 diverged, 2 missing`."""
    counts = statuses.value_counts().sort_index()
    others = [f", {count} {str(status).replace('_', ' ')}" for status, count in counts.items() if status != "done"]
    return f"{counts.get('done', 0)} of {len(statuses)} runs done{''.join(others)}"


def plain(frame: pd.DataFrame) -> list[Row]:
    """A frame's rows as plain values, None for what is not known."""
    names = list(map(str, frame))
    known = frame.astype(object).where(frame.notna(), None)
    return [dict(zip(names, row, strict=True)) for row in known.itertuples(index=False, name=None)]


def _first(problems: list[str]) -> str:
    """The first of what is wrong with perhaps hundreds of records, on one line."""
    if not problems:
        return ""
    return f": {problems[0]}" + (f"; and so for {len(problems)} in all" if len(problems) > 1 else "")


def _read(folders: Sequence[Path]) -> tuple[dict[Path, list[Record]], list[str]]:
    records: dict[Path, list[Record]] = {}
    problems: list[str] = []
    for path in dict.fromkeys(folders):
        if not path.is_dir():
            raise UsageError(f"results folder {str(path)!r} does not exist")
        records[path], errors = Folder(path).records()
        problems += map(str, errors)
    return records, problems


def _pairs_of_runs(
    records: Mapping[Path, Sequence[Record]], absences: Mapping[Path, Sequence[tuple[Run, Row]]]
) -> dict[str, list[Pair]]:
    """By run: the pairs of the grids that have it, done or not."""
    pairs: dict[str, list[Pair]] = {}
    for path, members in records.items():
        listed = pairs_of(path)
        for run_id in [*(each.run_id for each in members), *(row["run_id"] for _, row in absences[path])]:
            pairs.setdefault(run_id, []).extend(listed)
    return pairs


def _dataset(run: Run, names: Mapping[Seen, str], images: str | None = None) -> Row:
    """The data set's heading, and its name."""
    return {"dataset": names[seen(run.dataset, images)], "dataset_name": run.dataset.name}


def _row(record: Record, revisions: Revisions, names: Mapping[Seen, str]) -> Row:
    """Of a run with a record."""
    run, result = record.run, record.result
    row = {**key_columns(run, record.run_id), **_dataset(run, names, result.data_sha256), **_result(result)}
    row |= {**record.cost.model_dump(), "device": record.provenance.device, "status": record.status}
    return {**row, **_settings(run), "stale": revisions.stale(run)}


def _result(result: Result) -> Row:
    """With a column for every metric, by its own name."""
    said = {**result.model_dump(exclude={"measures"}), **(result.measures or {})}
    measured = {name: said.pop(metric.field, None) for name, metric in METRICS.items()}
    return {name: value for name, value in said.items() if name in Result.model_fields} | measured


def _settings(run: Run) -> Row:
    """What a run was trained with, apart from its seed and its teacher's."""
    assert run.teacher is not None
    return {
        "whole_dataset": run.dataset.train is None and run.dataset.test is None,
        "dataset_hash": digest(run.dataset.identified),
        "student_hash": digest(run.student.identified),
        "recipe_hash": digest(run.recipe.identified),
        "uncosted_recipe_hash": digest({**run.recipe.identified, **dict.fromkeys(COSTED)}),
        "teacher_hash": digest({**run.teacher.identified, "seed": None}),
        "shuffled": run.shuffled,
        "options": json.dumps(run.options, sort_keys=True),
        "method_hash": digest([run.method, run.options, run.revisions]),
        "protocol": run.protocol,
        "epochs": run.recipe.epochs,
        "teacher_epochs": run.teacher.recipe.epochs,
        "teacher_id": run.teacher.id,
        "teacher_seed": run.teacher.seed,
    }


def _left_out(row: Row) -> Row:
    """A stale record's row without its numbers; every column stays, for a table may have no other rows."""
    key = {name: row[name] for name in ("run_id", "dataset_name", *CELL, "teacher", "student", "seed")}
    return {**dict.fromkeys(row), **key, "status": "stale", "reason": row["stale"]}


def _stale_problem(stale: list[Row]) -> list[str]:
    if not stale:
        return []
    reasons = "; ".join(sorted({row["stale"] for row in stale}))
    count = f"{len(stale)} records are" if len(stale) > 1 else "1 record is"
    return [f"{count} left out as stale ({reasons}); --include-stale counts them"]


def _teacher_problems(rows: list[Row]) -> Iterator[str]:
    """Teachers that some runs had with other weights than others, as when two machines trained their own."""
    weights: dict[str, set[str]] = {}
    for row in rows:
        if row["teacher_weights_sha256"]:
            weights.setdefault(row["teacher_id"], set()).add(row["teacher_weights_sha256"])
    for teacher, hashes in sorted(weights.items()):
        if len(hashes) > 1:
            named = " and ".join(sorted(sha256[:12] for sha256 in hashes))
            yield f"teacher {teacher} has several weights ({named}): runs under different ones are not pooled"


def _absent(folder: Folder, members: Sequence[Record], problems: list[str]) -> Iterator[tuple[Run, Row]]:
    """The runs that a folder planned and has no valid record of, and their holes; and those of records that are not
    valid, were not planned there and still say which run they are of.
    """
    planned = set(folder.planned_ids())
    for run_id in sorted(set(folder.known_ids()) - {each.run_id for each in members}):
        try:
            if run_id in planned:
                run = folder.planned(run_id)
            else:
                run = Run.model_validate(read_table(folder.record_path(run_id)).get("run"))
        except (OSError, ValueError, RecursionError):
            problems += [f"planned run {folder.planned_path(run_id)} cannot be read"] if run_id in planned else []
            continue
        if run.teacher and run.id == run_id:
            yield run, {**key_columns(run, run_id), **_why_absent(folder, run_id)}


def _why_absent(folder: Folder, run_id: str) -> Row:
    if reason := folder.failure(run_id):
        return {"status": "failed", "reason": reason}
    if folder.record_path(run_id).exists():
        return {"status": "failed", "reason": "its record is not valid"}
    return {"status": "missing", "reason": None}


def _product_holes(rows: list[Row]) -> Iterator[Row]:
    """Where it is not said what was planned, as in a published folder, it was every method of a data set on each of its
    pairs, with all seeds of the pair: some pairs may have got more (`benchmark.grid --more-seeds`). A control that
    matches a method's FLOPs is none where another has these epochs, or the method cannot serve."""
    for members in grouped(rows, "dataset"):
        methods = {row["method"] for row in members if not row["method"].startswith(MATCHED)}
        for own in grouped(members, "pair"):
            names = {name: own[0][name] for name in ("dataset", "dataset_name", "pair", "student")}
            names["teacher"] = own_teacher(names["pair"], names["student"])
            for method, seed in product(methods, {row["seed"] for row in own}):
                yield {"run_id": "", **names, "method": method, "seed": seed, "status": "missing", "reason": None}


def _completed(current: Sequence[Row], absent: Sequence[Row], pairs: Mapping[str, Sequence[Pair]]) -> list[Row]:
    """The rows, each hole once, and none where a record stands for the same cell and seed; and which are `pooled`."""
    current = repeated(current, pairs)
    taken = {cell_and_seed(row) for row in current}
    holes = {cell_and_seed(row): row for row in reversed(repeated(absent, pairs)) if cell_and_seed(row) not in taken}
    rows = [*current, *holes.values()]
    alike = set(map(id, poolable(rows)))
    return [{**row, "pooled": id(row) in alike} for row in rows]


def _differ(record: Record, other: Record) -> bool:
    ours, theirs = ((each.status, each.result.top1, each.result.weights_sha256) for each in (record, other))
    return ours != theirs
