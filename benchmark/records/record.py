"""Records of finished runs, and the rows of the tidy tables made from them. No torch here.

What a record says has to be possible: every number has its bounds, and numbers that depend on each other have to agree.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, StrictInt, ValidationError, model_validator

from benchmark.ground.errors import UsageError, one_line
from benchmark.ground.files import FileError, read_bytes, read_table
from benchmark.spec import Run, Value
from benchmark.spec.value import MOST, Count, Label, Line, Name, Size, first_complaint

SCHEMA = 1
"""Raised when the shape of a record changes."""

RELATIONS_VERSION = 1
"""What the relation measures of a record are, beside them as `relations_version`: 1, of a stratified sample of test
images, `cka` debiased; None, of the first 500 test images, `cka` not debiased and above 0 for unrelated embeddings."""

Status = Literal["done", "diverged", "not_applicable"]

ROUNDING = 1e-6
"""How far a measure may lie outside of its mathematical range."""

Epoch = Annotated[int, Field(ge=-MOST, le=MOST)]
Share = Annotated[float, Field(ge=0, le=1)]
Overlap = Annotated[float, Field(ge=-ROUNDING, le=1 + ROUNDING)]
Correlation = Annotated[float, Field(ge=-1 - ROUNDING, le=1 + ROUNDING)]
MOST_NATS = 1e39
"""Above every difference of logits, which are float32."""
Seconds = Annotated[float, Field(ge=0, le=1e12)]
Amount = Annotated[Count, Field(gt=0)]
"""Of what every network has."""

RELATIONS = ("distance_correlation", "within_class_correlation", "angle_correlation", "cka", "neighbour_overlap")
THE_TEACHERS = ("teacher_weights_sha256", "teacher_top1")
OF_TEACHER = (*THE_TEACHERS, "agreement", "kl_teacher", *RELATIONS, "relations_version")
"""What only a run has that had a teacher."""

OF_IMAGES = ("test_images", "test_duplicates", "data_sha256")
OF_EVERY_RUN = ("reason", "diverged_epoch", *OF_IMAGES, "teacher_id", *THE_TEACHERS)
"""What a run may have that was not trained to its end."""


ADDED = ("within_class_correlation", "relations_version", "measures", "predictions_sha256")
"""Fields of a result that records did not have at first. Where they say nothing they are not written, so that a record
that is written again keeps its bytes."""


class Result(Value):
    """What a run came to on the test set after its last epoch: deterministic, compared bit for bit.

    top1, top5 and agreement are shares in [0, 1]; nll and kl_teacher (KL(teacher || student) at temperature 1) are nats
    per image; ece is the expected calibration error over 15 bins. The relation measures compare student and
    teacher embeddings of test images, 1 meaning the same geometry; `relations_version` says of which images, and how.
    test_duplicates counts the test images whose pixels equal a training image's. `measures` are those of
    `benchmark.metrics` without a field of their own; predictions_sha256 is the hash of the file that holds what the
    network says of the test images, whether it was kept or not.
    """

    model_config = ConfigDict(strict=True)

    reason: Line | None = None
    diverged_epoch: Epoch | None = None
    top1: Share | None = None
    top5: Share | None = None
    nll: Annotated[float, Field(ge=0, le=MOST_NATS)] | None = None
    ece: Overlap | None = None
    agreement: Share | None = None
    kl_teacher: Annotated[float, Field(ge=-ROUNDING, le=MOST_NATS)] | None = None
    distance_correlation: Correlation | None = None
    angle_correlation: Correlation | None = None
    cka: Correlation | None = None
    neighbour_overlap: Overlap | None = None
    within_class_correlation: Correlation | None = None
    relations_version: Size | None = None
    measures: dict[Name, Annotated[float, Field(ge=-MOST_NATS, le=MOST_NATS)]] | None = None
    validation_top1: Share | None = None
    train_top1: Share | None = None
    train_loss: Annotated[float, Field(ge=-MOST_NATS, le=MOST_NATS)] | None = None
    test_images: Size | None = None
    test_duplicates: Count | None = None
    data_sha256: Line | None = None
    weights_sha256: Line | None = None
    predictions_sha256: Line | None = None
    teacher_id: Line | None = None
    teacher_weights_sha256: Line | None = None
    teacher_top1: Share | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.top1 is not None and self.top5 is not None and self.top1 > self.top5:
            raise ValueError(f"top1 = {self.top1} is above top5 = {self.top5}")
        if self.test_duplicates and self.test_images and self.test_duplicates > self.test_images:
            raise ValueError(f"test_duplicates = {self.test_duplicates} of test_images = {self.test_images}")
        if self.relations_version is None and self.cka is not None and self.cka < -ROUNDING:
            raise ValueError(f"cka = {self.cka} is below 0, which one that is not debiased cannot be")
        if self.teacher_id is None and (said := self.said(*OF_TEACHER)):
            raise ValueError(f"{said} without a teacher_id")
        if self.measures:
            from benchmark.metrics import check  # numpy need not be waited for where there are none

            check(self.measures, taught=self.teacher_id is not None)
        return self

    def said(self, *names: str) -> str:
        """Those of these that have a value, for a message."""
        return ", ".join(name for name in type(self).model_fields if name in names and getattr(self, name) is not None)


OF_TRAINED = tuple(name for name in Result.model_fields if name not in OF_EVERY_RUN)
"""What only a run has that was trained to its end: every measure."""


class Cost(Value):
    """What the run took. Parameters, MACs (multiply-accumulates of one image's inference) and training FLOPs (two per
    multiply-accumulate, every step's forward and backward and the teacher's forward) follow from the networks. Seconds
    are of this device while `cohort_size` runs trained together: the whole cohort's by the wall clock, and, on a CPU,
    where steps do not overlap, the student's own and the teacher's.
    """

    model_config = ConfigDict(strict=True)

    parameters: Amount | None = None
    macs: Amount | None = None
    teacher_parameters: Amount | None = None
    teacher_macs: Amount | None = None
    training_flops: Count | None = None
    cohort_seconds: Seconds | None = None
    student_seconds: Seconds | None = None
    teacher_seconds: Seconds | None = None
    cohort_size: Size | None = None
    peak_memory_bytes: Count | None = None


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


class Provenance(Value):
    """Where the numbers come from; `labels` is what methods that are not the suite's call themselves for people;
    `captured`, on a device that can replay steps from a graph, whether any were."""

    model_config = ConfigDict(strict=True)

    finished: Annotated[str, AfterValidator(_moment)]
    host: Line
    device: Line
    threads: Size
    deterministic: bool
    teacher_supply: Line = "live"
    code: Line
    versions: dict[Line, Line]
    resumed: Count = 0
    job: Line | None = None
    labels: dict[Line, Label] | None = None
    captured: bool | None = None


class Record(Value):
    """The JSON file of one finished, diverged or not-applicable run."""

    schema_version: StrictInt = SCHEMA
    run_id: str
    status: Status
    run: Run
    result: Result
    cost: Cost
    provenance: Provenance

    @property
    def lacks_teacher(self) -> bool:
        """Whether the run was trained without its teacher, which could not serve, and has nothing of it yet."""
        return self.run.teacher is not None and self.result.teacher_id is None and self.status != "not_applicable"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        result, run = self.result, self.run
        if self.status == "done":
            if result.top1 is None:
                raise ValueError("done without a result.top1")
            if said := result.said("reason", "diverged_epoch"):
                raise ValueError(f"done with a result.{said}")
        elif said := result.said(*OF_TRAINED):
            raise ValueError(f"{self.status} with a result.{said}")
        if self.status == "not_applicable" and (not result.reason or result.diverged_epoch is not None):
            raise ValueError("not_applicable needs a result.reason and no result.diverged_epoch")
        if result.diverged_epoch is not None and result.diverged_epoch >= run.recipe.epochs:
            raise ValueError(f"result.diverged_epoch = {result.diverged_epoch} of {run.recipe.epochs} epochs")
        if result.teacher_id is not None and (run.teacher is None or result.teacher_id != run.teacher.id):
            raise ValueError(f"result.teacher_id = {result.teacher_id!r} is not the run's teacher")
        return self

    @model_validator(mode="after")
    def _of_its_run(self) -> Self:
        """What a run has none of is not measured."""
        top1 = self.result.validation_top1
        if top1 is not None and not self.run.dataset.validation:
            raise ValueError(f"result.validation_top1 = {top1} of a run without validation images")
        return self

    def written(self) -> dict[str, Any]:
        """What its file holds, as plain JSON values."""
        silent = {name for name in ADDED if getattr(self.result, name) is None}
        return self.model_dump(mode="json", exclude={"result": silent})


class RecordError(UsageError):
    """A record that cannot be used: corrupt, of another schema, or under another run's name."""


def read_record(path: Path) -> Record:
    """The record in a file. Raises RecordError that names the file and what is wrong with it."""
    try:
        record = Record.model_validate_json(read_bytes(path))
        mine = record.run.id == record.run_id == path.stem
    except ValidationError as error:
        raise RecordError(_complaint(path, error)) from None
    except FileError as error:
        raise RecordError(f"record {error}") from None
    except OSError as error:
        raise RecordError(f"record {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # a run that cannot be hashed
        raise RecordError(f"record {path}: run: {one_line(error)}") from None
    if record.schema_version != SCHEMA:
        raise RecordError(_other_schema(path, record.schema_version))
    if not mine:
        raise RecordError(f"record {path} says {_shown(record.run_id)}, its run hashes to {record.run.id}")
    return record


def _complaint(path: Path, error: ValidationError) -> str:
    """What a record's validation failed for; a record of another schema is that first of all."""
    if error.errors()[0]["type"] == "json_invalid":
        return f"record {path} cannot be read: {first_complaint(error)}"
    try:
        version = read_table(path).get("schema_version")
    except (OSError, FileError):  # no table, or one whose numbers are too long to be read at all
        version = None
    if version != SCHEMA:
        return _other_schema(path, version)
    return f"record {path}: {first_complaint(error)}"


def _other_schema(path: Path, version: Any) -> str:
    return f"record {path} has schema version {_shown(version)}; this suite reads {SCHEMA}"


def _shown(value: Any, most: int = 200) -> str:
    """A value of a record, which may be anything, for the inside of a message."""
    text = value if isinstance(value, str) and value.isprintable() else ascii(value)
    return text if len(text) <= most else f"{text[:most]}..."


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


def run_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The rows of runs.csv. What results had not from the start is a column where any record says it."""
    names = sorted({name for record in records for name in record.result.measures or ()})
    hashed = ["predictions_sha256"] if any(record.result.predictions_sha256 for record in records) else []
    return [
        {
            **key_columns(record.run, record.run_id),
            "status": record.status,
            **record.result.model_dump(exclude={"measures", "predictions_sha256"}),
            **{name: getattr(record.result, name) for name in hashed},
            **{name: (record.result.measures or {}).get(name) for name in names},
        }
        for record in records
    ]


def cost_row(record: Record) -> dict[str, Any]:
    """One row of costs.csv."""
    return {**key_columns(record.run, record.run_id), "device": record.provenance.device, **record.cost.model_dump()}
