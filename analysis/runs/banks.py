"""What runs and their teachers said of the test images, from the files beside their records."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from benchmark.ground.errors import UsageError
from benchmark.metrics import Metric
from benchmark.records import Folder, Record
from benchmark.records.predictions import NoPredictionsError, Predictions, of_run


class Banks:
    """The predictions of the runs of results folders, read as they are asked for; teachers', which many share, once."""

    def __init__(self, records: Mapping[Path, Sequence[Record]]) -> None:
        """records: of each folder; of a run in several the first counts, wherever its predictions are."""
        self._records = records
        self._teachers: dict[tuple[Path, str, str | None], Predictions | UsageError] = {}

    @cached_property
    def _homes(self) -> dict[str, tuple[list[Folder], Record]]:
        found: dict[str, tuple[list[Folder], Record]] = {}
        for path, members in self._records.items():
            for record in members:
                found.setdefault(record.run_id, ([], record))[0].append(Folder(path))
        return found

    def record(self, run_id: str) -> Record:
        return self._homes[run_id][1]

    def of(self, run_id: str) -> Predictions:
        """A run's. Raises UsageError for predictions that were not kept, are damaged or another training's."""
        folders, record = self._homes[run_id]
        kept = (folder for folder in folders if folder.predictions_path(run_id).exists())
        return of_run(next(kept, folders[0]), record)

    def of_teacher(self, run_id: str, teacher_id: str | None = None) -> Predictions:
        """Of a run's teacher, or of another that the same results have; errors as of `of`."""
        (folder, *_), record = self._homes[run_id]
        own, weights = record.result.teacher_id, record.result.teacher_weights_sha256
        teacher_id = teacher_id or own
        if teacher_id is None:
            raise UsageError(f"{run_id} was trained without a teacher")
        key = folder.teachers.path, teacher_id, weights if teacher_id == own else None
        if key not in self._teachers:
            try:
                self._teachers[key] = _read_teacher(folder.teachers, *key[1:])
            except UsageError as error:
                self._teachers[key] = error
        found = self._teachers[key]
        if isinstance(found, UsageError):
            raise found
        return found

    def value(self, run_id: str, metric: Metric) -> float | None:
        """None where the metric is not defined. Raises UsageError also for predictions that lack what it needs."""
        teacher = self.of_teacher(run_id) if metric.of_teacher else None
        return valued(run_id, metric, self.of(run_id), teacher)


def valued(run_id: str, metric: Metric, own: Predictions, teacher: Predictions | None = None) -> float | None:
    try:
        given = own.given(teacher)
    except UsageError as error:
        raise UsageError(f"{run_id}: {error}") from None
    if lacking := [need for need in metric.needs if need not in given]:
        raise UsageError(f"{run_id}: its predictions have no {', '.join(lacking)}")
    return metric(given)


def _read_teacher(folder: Folder, teacher_id: str, weights: str | None) -> Predictions:
    """weights: their hash, where students say what theirs was."""
    record = folder.record(teacher_id)
    if record is None:
        raise NoPredictionsError(f"teacher {teacher_id} has no record in {folder.path}")
    if weights not in (None, record.result.weights_sha256):
        raise UsageError(f"teacher {teacher_id} in {folder.path} has other weights than its students learnt from")
    return of_run(folder, record)
