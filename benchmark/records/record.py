"""Records of finished runs, and the rows of the tidy tables made from them. No torch here."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from benchmark.errors import UsageError
from benchmark.spec import Run, Value

SCHEMA = 1
"""Raised when the shape of a record changes."""

Status = Literal["done", "diverged", "not_applicable"]


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
