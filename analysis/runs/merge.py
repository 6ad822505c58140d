"""Merging records that several machines made for one grid: what agrees is copied, what contradicts is named."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.style import count
from benchmark.ground.errors import UsageError
from benchmark.ground.files import atomic, read_bytes
from benchmark.records import Folder, Record


@dataclass
class Merged:
    """How many records were copied, how many were there already, how many teachers' came along, and what was left out,
    a line each."""

    copied: int = 0
    known: int = 0
    teachers: int = 0
    conflicts: list[str] = field(default_factory=list)

    def account(self, target: Path) -> str:
        along = f" (and {count(self.teachers, 'teacher')})" if self.teachers else ""
        copied = f"{count(self.copied, 'record')}{along} copied"
        return f"merged into {target}: {copied}, {self.known} there already, {len(self.conflicts)} left out"


@dataclass(frozen=True)
class Witness:
    """What a shared thing was on the machine whose record is named first."""

    value: str
    record: Path


def merge(target: Path, sources: Sequence[Path]) -> Merged:
    """Copy every valid record, with its curve and predictions, from the sources into `target`, and with their weights
    those of its teachers from beside the source to beside the target, unless it contradicts what is there.

    A record's run id hashes its protocol: data set, recipe, options, revisions, teacher. What the id does not hold is
    checked here: one run has one result, one teacher the same weights, and one data set the same images everywhere.

    Raises UsageError for a source that holds no valid record.
    """
    merged = Merged()
    known: dict[str, Witness] = {}
    records, errors = Folder(target).records()
    if errors:
        raise UsageError(f"nothing is merged into a folder with records that cannot be read: {errors[0]}")
    for record in records:
        _agree(record, Folder(target).record_path(record.run_id), known)
    # Every source is read before the first record is copied.
    readable = [(source, *Folder(source).records()) for source in sources]
    for source, found, errors in readable:
        if not found:
            raise UsageError("; ".join([*map(str, errors), f"no valid record in {source}"]))
        records += found
    for teacher in _teachers(records, Folder(target), merged):
        _agree(teacher, Folder(target).teachers.record_path(teacher.run_id), known)
    for source, found, errors in readable:
        merged.conflicts += map(str, errors)
        for teacher in _teachers(found, Folder(source), merged):
            merged.teachers += _take(teacher, Folder(source).teachers, Folder(target).teachers, known, merged) is True
        for record in found:
            copied = _take(record, Folder(source), Folder(target), known, merged)
            merged.copied += copied is True
            merged.known += copied is False
        _copy_plan(Folder(source), Folder(target))
    return merged


def _teachers(records: Iterable[Record], folder: Folder, merged: Merged) -> Iterator[Record]:
    """Of these records, those that lie beside the folder; what cannot be read is a conflict."""
    for run_id in sorted({record.result.teacher_id for record in records if record.result.teacher_id}):
        try:
            if (found := folder.teachers.record(run_id)) is not None:
                yield found
        except UsageError as error:
            merged.conflicts.append(str(error))


def _take(record: Record, source: Folder, target: Folder, known: dict[str, Witness], merged: Merged) -> bool | None:
    """Whether the record was copied, or was there already; None if it is left out."""
    run_id, path = record.run_id, source.record_path(record.run_id)
    if conflict := _agree(record, path, known):
        merged.conflicts.append(conflict)
        return None
    there = target.record_path(run_id).exists() and record.lacks_teacher >= target.lacks_teacher(run_id)
    parts = [Folder.curve_path, Folder.predictions_path, *([Folder.weights_path] if record.run.teacher is None else [])]
    for part in parts:
        _copy(part(source, run_id), part(target, run_id))
    if not there:  # also in the place of one that still lacked its teacher; last, when all that it speaks of is there
        content = read_bytes(path)
        with atomic(target.record_path(run_id)) as temporary:
            temporary.write_bytes(content)
    target.failure_path(run_id).unlink(missing_ok=True)
    return not there


def _agree(record: Record, path: Path, known: dict[str, Witness]) -> str:
    """Remember what a record says of things that others name too; what contradicts an earlier one, empty if nothing."""
    claims = list(_claims(record))
    for name, value in claims:
        witness = known.get(name)
        if witness and witness.value != value:
            return f"{path} is left out: {name} is {value}, but {witness.value} in {witness.record}"
    for name, value in claims:
        known.setdefault(name, Witness(value, path))
    return ""


def _claims(record: Record) -> Iterator[tuple[str, str]]:
    result, run = record.result, record.run
    accuracy = "no accuracy" if result.top1 is None else f"{100 * result.top1:.4f} %"
    yield f"the result of {record.run_id}", f"{record.status}, {accuracy}, weights {_short(result.weights_sha256)}"
    if result.data_sha256:
        data = run.dataset.model_dump_json()
        yield f"the hash of data set {data}", _short(result.data_sha256)
    if run.teacher is None:
        yield f"the weights' hash of teacher {record.run_id}", _short(result.weights_sha256)
    if result.teacher_id and result.teacher_weights_sha256:
        yield f"the weights' hash of teacher {result.teacher_id}", _short(result.teacher_weights_sha256)


def _short(sha256: str | None) -> str:
    return sha256[:12] if sha256 else "unknown"


def _copy_plan(source: Folder, target: Folder) -> None:
    """What was asked for, so that holes stay visible; the target's own grid file stays."""
    for run_id in source.planned_ids():
        _copy(source.planned_path(run_id), target.planned_path(run_id))
    _copy(source.path / "grid.toml", target.path / "grid.toml")


def _copy(source: Path, target: Path) -> None:
    """A file that is there, to where there is none yet. Raises FileError for a device or a pipe, which has no end."""
    if os.path.lexists(source) and not os.path.lexists(target):
        content = read_bytes(source)
        with atomic(target) as temporary:
            temporary.write_bytes(content)
