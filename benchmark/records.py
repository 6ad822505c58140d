"""Records of finished runs, the folder they live in, and the tidy tables made from them. No torch here.

A run is done when a record that validates exists under its final name; every write is atomic.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from benchmark.errors import UsageError
from benchmark.files import write_json, write_rows
from benchmark.spec import Run, Value

SCHEMA = 1
"""Raised when the shape of a record changes."""

TEACHERS = "teachers"
"""Name of the results folder that all grids share for their teachers."""

Status = Literal["done", "diverged", "not_applicable"]
State = Literal["done", "diverged", "not_applicable", "failed", "corrupt", "missing"]


class Result(Value):
    """What a run came to on the test set after its last epoch: deterministic, compared bit for bit.

    top1, top5 and agreement are shares in [0, 1]; nll and kl_teacher (KL(teacher || student) at temperature 1) are nats
    per image; ece is the expected calibration error over 15 bins. The four relation measures compare student and
    teacher embeddings of test images, 1 meaning the same geometry. test_duplicates counts the test images whose pixels
    equal a training image's.
    """

    reason: str | None = None
    diverged_epoch: int | None = None
    top1: float | None = None
    top5: float | None = None
    nll: float | None = None
    ece: float | None = None
    agreement: float | None = None
    kl_teacher: float | None = None
    distance_correlation: float | None = None
    angle_correlation: float | None = None
    cka: float | None = None
    neighbour_overlap: float | None = None
    validation_top1: float | None = None
    train_top1: float | None = None
    train_loss: float | None = None
    test_images: int | None = None
    test_duplicates: int | None = None
    data_sha256: str | None = None
    weights_sha256: str | None = None
    teacher_id: str | None = None
    teacher_weights_sha256: str | None = None
    teacher_top1: float | None = None


class Cost(Value):
    """What the run took. Parameters, MACs (multiply-accumulates of one image's inference) and training FLOPs (two per
    multiply-accumulate, every step's forward and backward and the teacher's forward) follow from the networks. Seconds
    are of this device while `cohort_size` runs trained together: the whole cohort's by the wall clock, and, on a CPU,
    where steps do not overlap, the student's own and the teacher's.
    """

    parameters: int | None = None
    macs: int | None = None
    teacher_parameters: int | None = None
    teacher_macs: int | None = None
    training_flops: int | None = None
    cohort_seconds: float | None = None
    student_seconds: float | None = None
    teacher_seconds: float | None = None
    cohort_size: int | None = None
    peak_memory_bytes: int | None = None


class Provenance(Value):
    """Where the numbers come from."""

    finished: str
    host: str
    device: str
    threads: int
    deterministic: bool
    teacher_supply: str = "live"
    code: str
    versions: dict[str, str]
    resumed: int = 0
    job: str | None = None


class Record(Value):
    """The JSON file of one finished, diverged or not-applicable run."""

    schema_version: int = SCHEMA
    run_id: str
    status: Status
    run: Run
    result: Result
    cost: Cost
    provenance: Provenance


class RecordError(UsageError):
    """A record that cannot be used: corrupt, of another schema, or under another run's name."""


def read_record(path: Path) -> Record:
    """The record in a file. Raises RecordError that names the file and what is wrong with it."""
    try:
        text = path.read_bytes()
        record = Record.model_validate_json(text)
    except OSError as error:
        raise RecordError(f"record {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise RecordError(_complaint(path, text, error)) from None
    if record.schema_version != SCHEMA:
        raise RecordError(_other_schema(path, record.schema_version))
    if record.run.id != record.run_id or path.stem != record.run_id:
        raise RecordError(f"record {path} says {record.run_id}, its run hashes to {record.run.id}")
    return record


def _complaint(path: Path, text: bytes, error: ValidationError) -> str:
    """What a record's validation failed for; a record of another schema is that first of all."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"record {path} cannot be read: {first['msg']}"
    raw = json.loads(text)
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA:
        return _other_schema(path, version)
    return f"record {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}"


def _other_schema(path: Path, version: Any) -> str:
    return f"record {path} has schema version {version!r}; this suite reads {SCHEMA}"


class Folder:
    """A results folder: one grid's, or the teachers' that all grids share."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Folder({str(self.path)!r})"

    @property
    def teachers(self) -> "Folder":
        return Folder(self.path.parent / TEACHERS)

    def record_path(self, run_id: str) -> Path:
        return self.path / "records" / f"{run_id}.json"

    def planned_path(self, run_id: str) -> Path:
        return self.path / "planned" / f"{run_id}.json"

    def curve_path(self, run_id: str) -> Path:
        return self.path / "curves" / f"{run_id}.csv"

    def weights_path(self, run_id: str) -> Path:
        return self.path / "weights" / f"{run_id}.safetensors"

    def failure_path(self, run_id: str) -> Path:
        return self.path / "failures" / f"{run_id}.json"

    def checkpoints_path(self, run_id: str) -> Path:
        return self.path / "checkpoints" / run_id

    def claim_path(self, run_id: str) -> Path:
        return self.path / "claims" / f"{run_id}.json"

    def record(self, run_id: str) -> Record | None:
        """A run's record, None if it has none. Raises RecordError for one that does not validate."""
        path = self.record_path(run_id)
        return read_record(path) if path.exists() else None

    def state(self, run_id: str) -> State:
        """What there is of a run."""
        try:
            record = self.record(run_id)
        except RecordError:
            return "corrupt"
        if record is not None:
            return record.status
        return "missing" if self.failure(run_id) is None else "failed"

    def finish(self, record: Record, curve: list[dict[str, Any]]) -> None:
        """Write a run's curve and record, and forget an earlier failure."""
        write_rows(self.curve_path(record.run_id), curve)
        write_json(self.record_path(record.run_id), record.model_dump(mode="json"))
        self.failure_path(record.run_id).unlink(missing_ok=True)

    def plan(self, run: Run) -> None:
        """Keep a run's full description, so that a job needs only its id. What is not part of the id, such as where
        weights lie, may have changed since."""
        try:
            known = self.planned(run.id) == run
        except (FileNotFoundError, ValueError):
            known = False
        if not known:
            write_json(self.planned_path(run.id), run.model_dump(mode="json"))

    def planned(self, run_id: str) -> Run:
        return Run.model_validate_json(self.planned_path(run_id).read_bytes())

    def planned_ids(self) -> list[str]:
        return _stems(self.path / "planned")

    def known_ids(self) -> list[str]:
        """Of runs that were planned or made; where results were published, plans need not lie beside the records."""
        return sorted({*self.planned_ids(), *_stems(self.path / "records")})

    def fail(self, run_id: str, error: str, log: str, teacher_id: str | None = None) -> None:
        """Note why a run failed; if it was its teacher's fault, that stands only until something changes about it."""
        blamed = {"teacher_id": teacher_id, "teacher": self._stamp_of_teacher(teacher_id)} if teacher_id else {}
        write_json(self.failure_path(run_id), {"run_id": run_id, "error": error, "log": log, **blamed})

    def failure(self, run_id: str) -> str | None:
        """Why the last attempt at a run failed, None if it did not."""
        try:
            note = json.loads(self.failure_path(run_id).read_bytes())
            if "teacher_id" in note and self._stamp_of_teacher(note["teacher_id"]) != note["teacher"]:
                return None
            return str(note["error"])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError):
            return "unreadable failure note"

    def _stamp_of_teacher(self, run_id: str) -> list[list[int] | None]:
        """What changes whenever a teacher's record or weights are written, removed or put back."""
        teachers = self.teachers
        return [_stamp(path) for path in (teachers.record_path(run_id), teachers.weights_path(run_id))]

    def records(self) -> tuple[list[Record], list[RecordError]]:
        """Every valid record, sorted by id, and what is wrong with the others."""
        good: list[Record] = []
        bad: list[RecordError] = []
        for run_id in _stems(self.path / "records"):
            try:
                good.append(read_record(self.record_path(run_id)))
            except RecordError as error:
                bad.append(error)
        return good, bad

    def write_tables(self, records: Sequence[Record] | None = None) -> None:
        """Derive runs.csv and costs.csv from the records, which need not be read again where they are at hand."""
        if records is None:
            records, _ = self.records()
        write_rows(self.path / "runs.csv", [run_row(record) for record in records])
        write_rows(self.path / "costs.csv", [cost_row(record) for record in records])


def key_columns(run: Run, run_id: str) -> dict[str, Any]:
    """The columns that both tables begin with."""
    return {
        "run_id": run_id,
        "dataset": run.dataset.name,
        "pair": run.pair,
        "teacher": run.teacher.student.name if run.teacher else "",
        "student": run.student.name,
        "method": run.label or run.method,
        "seed": run.seed,
    }


def run_row(record: Record) -> dict[str, Any]:
    """One row of runs.csv."""
    return {**key_columns(record.run, record.run_id), "status": record.status, **record.result.model_dump()}


def cost_row(record: Record) -> dict[str, Any]:
    """One row of costs.csv."""
    return {**key_columns(record.run, record.run_id), "device": record.provenance.device, **record.cost.model_dump()}


def _stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.json") if not path.name.startswith("."))
