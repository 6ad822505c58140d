"""What `benchmark.cost` measured on a device, as a file in a grid's results folder. No torch here."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from benchmark.ground.errors import UsageError
from benchmark.ground.files import json_files, read_table, write_json
from benchmark.records.folder import Folder
from benchmark.records.record import Provenance, Seconds
from benchmark.spec import Value
from benchmark.spec.value import Count, Label, Line, Size, first_complaint

SCHEMA = 1
"""Raised when the shape of these files changes."""


Amount = Annotated[float, Field(ge=0, le=1e30)]


class Measurement(Value):
    """One method on one pair, trained alone; medians over rounds. `results/README.md` describes every field.

    kind: hash of what the time of a step depends on (`benchmark.plan.forecast.step_key`).
    """

    dataset: Label
    pair: Label
    teacher: Label
    student: Label
    method: Label
    kind: Line
    batch_size: Size
    step_seconds: Seconds
    teacher_seconds: Seconds
    images_per_second: Amount
    phase_epochs: Count
    phase_step_seconds: Seconds
    step_flops: Annotated[Count, Field(gt=0)]
    step_joules: Amount | None = None
    memory_bytes: Count
    parameters: Count
    macs: Count
    latency_seconds: Seconds
    inference_batch_size: Size
    inference_images_per_second: Amount
    rounds: Count
    busy: float | None


class Measured(Value):
    """The measurements of one device. clock: what seconds are of, the wall's or this process's processors'."""

    schema_version: int = SCHEMA
    grid: Line
    provenance: Provenance
    clock: Literal["wall", "processor"]
    measurements: tuple[Measurement, ...]

    @property
    def origin(self) -> str:
        """The device in words."""
        threads = self.provenance.threads
        return f"{self.provenance.device}, {threads} thread{'s' if threads > 1 else ''}"


def device_slug(device: str, threads: int) -> str:
    """A device and its number of threads as a file name: `amd-epyc-avx2-1-thread`."""
    name = f"{device} {threads} thread{'s' if threads > 1 else ''}"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def path_for(folder: Folder, provenance: Provenance) -> Path:
    """`measured/<device>.json`: one file for each device and number of threads."""
    return folder.part("measured") / f"{device_slug(provenance.device, provenance.threads)}.json"


def write(folder: Folder, measured: Measured) -> Path:
    """Keep measurements; earlier ones of the same device stay where none takes their place."""
    path = path_for(folder, measured.provenance)
    if path.exists():
        new = {_cell(each) for each in measured.measurements}
        kept = [each for each in read(path).measurements if _cell(each) not in new]
        rows = sorted((*kept, *measured.measurements), key=_cell)
        measured = measured.model_copy(update={"measurements": tuple(rows)})
    write_json(path, measured.model_dump(mode="json"))
    return path


def _cell(measurement: Measurement) -> tuple[str, ...]:
    return measurement.dataset, measurement.pair, measurement.student, measurement.method


def read(path: Path) -> Measured:
    """Raises UsageError for a file that cannot be used."""
    try:
        raw = read_table(path)
        if raw.get("schema_version") != SCHEMA:
            raise UsageError(f"{path} has schema version {raw.get('schema_version')!r}; this suite reads {SCHEMA}")
        return Measured.model_validate(raw)
    except ValidationError as error:
        raise UsageError(f"{path}: {first_complaint(error)}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def read_all(folder: Folder) -> Iterator[Measured]:
    """Of every device, in the order of their names."""
    yield from map(read, json_files(folder.part("measured")))
