"""A results folder: where everything of a run lies, and how the run stands. No torch here.

A run is done when a record that validates exists under its final name; every write is atomic. No link that leads out of
the folder is followed.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from benchmark.ground.errors import UsageError, one_line
from benchmark.ground.files import FileError, inside, json_files, read_bytes, read_table, remove, write_json, write_rows
from benchmark.ground.text import cleaned
from benchmark.records.record import Record, RecordError, cost_row, read_record, run_rows
from benchmark.spec import FROZEN, Run
from benchmark.spec.value import first_complaint

TEACHERS = "teachers"
"""Name of the results folder that all grids share for their teachers."""

PARTS = (
    *("records", "planned", "curves", "failures", "weights", "predictions", "checkpoints"),
    *("claims", "progress", "splits", "measured", "logs", "code"),
)
"""The folders in a results folder."""

State = Literal["done", "diverged", "not_applicable", "failed", "corrupt", "missing"]


class Folder:
    """A results folder: one grid's, or the teachers' that all grids share."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Folder({str(self.path)!r})"

    @property
    def absolute(self) -> Path:
        """The folder by its own name: it may be a link to another disk, and its teachers lie beside the link."""
        return self._named.parent.resolve() / self._named.name

    @property
    def teachers(self) -> "Folder":
        """Beside it."""
        return Folder(self._named.parent / TEACHERS)

    @property
    def _named(self) -> Path:
        """The folder by a name of its own, also where it is meant from within (`.`)."""
        return self.path if self.path.name not in ("", "..") else self.path.resolve()

    def is_there(self) -> bool:
        """Whether a grid's folder is still where it was begun."""
        return (self.path / FROZEN).exists()

    def check_place(self) -> None:
        """Raise UsageError if a grid's folder is gone from where it was begun, lest a second one is made there."""
        if not self.is_there():
            raise UsageError(
                f"results folder {self.path} is gone, renamed or removed while its runs were trained: give it its name "
                "back and run the same command again to go on"
            )

    def check_parts(self) -> None:
        """Raise FileError if something else lies where a folder of this one belongs: it would fail every run, once its
        training is done. Whatever is missing is made when it is needed.
        """
        for path in (self.path, *map(self.part, PARTS)):
            if os.path.lexists(path) and not path.is_dir():
                raise FileError(f"{path} is no folder; move it away")

    def part(self, name: str) -> Path:
        """A folder or file of this one. Raises FileError for a link that leads out of it."""
        return inside(self.path, name)

    def record_path(self, run_id: str) -> Path:
        return self.part("records") / f"{run_id}.json"

    def planned_path(self, run_id: str) -> Path:
        return self.part("planned") / f"{run_id}.json"

    def curve_path(self, run_id: str) -> Path:
        return self.part("curves") / f"{run_id}.csv"

    def weights_path(self, run_id: str) -> Path:
        return self.part("weights") / f"{run_id}.safetensors"

    def predictions_path(self, run_id: str) -> Path:
        return self.part("predictions") / f"{run_id}.safetensors"

    def failure_path(self, run_id: str) -> Path:
        return self.part("failures") / f"{run_id}.json"

    def checkpoints_path(self, run_id: str) -> Path:
        return inside(self.path, f"checkpoints/{run_id}")

    def claim_path(self, run_id: str) -> Path:
        return self.part("claims") / f"{run_id}.json"

    def record(self, run_id: str) -> Record | None:
        """A run's record, None if it has none. Raises RecordError for one that does not validate."""
        path = self.record_path(run_id)
        return read_record(path) if os.path.lexists(path) else None

    def state(self, run_id: str) -> State:
        """What there is of a run."""
        return self.look(run_id)[0]

    def is_open(self, run_id: str) -> bool:
        """Whether something is to be done for a run."""
        return self.look(run_id)[1]

    def look(self, run_id: str) -> tuple[State, bool]:
        """What there is of a run, and whether something is to be done for it: it has neither record nor failure, or a
        record without its teacher, and no note that this cannot serve."""
        try:
            record = self.record(run_id)
        except RecordError:
            return "corrupt", False
        if record is not None:
            return record.status, record.lacks_teacher and self.failure(run_id) is None
        return ("missing", True) if self.failure(run_id) is None else ("failed", False)

    def lacks_teacher(self, run_id: str) -> bool:
        """Whether a run has a valid record, and that nothing of its teacher."""
        try:
            record = self.record(run_id)
        except RecordError:
            return False
        return record is not None and record.lacks_teacher

    def why_without_teacher(self, run_id: str) -> str | None:
        """Why a run's record has nothing of its teacher, None for any other run."""
        reason = self.failure(run_id)  # looked for first: few runs have any
        return reason if reason is not None and self.lacks_teacher(run_id) else None

    def finish(self, record: Record, curve: list[dict[str, Any]] | None) -> None:
        """Write a run's curve, unless it is None and stays as it is, and record; forget an earlier failure."""
        if curve is not None:
            write_rows(self.curve_path(record.run_id), curve)
        write_json(self.record_path(record.run_id), record.written())
        self.forget_failure(record.run_id)

    def plan(self, run: Run) -> None:
        """Keep a run's full description, so that a job needs only its id. What is not part of the id, such as where
        weights lie, may have changed since."""
        try:
            known = self.planned(run.id) == run
        except (FileNotFoundError, FileError):
            known = False
        if not known:
            write_json(self.planned_path(run.id), run.model_dump(mode="json"))

    def planned(self, run_id: str) -> Run:
        """Raises FileNotFoundError if the run was not planned, FileError for a plan that is damaged or another's."""
        path = self.planned_path(run_id)
        try:
            run = Run.model_validate_json(read_bytes(path))
            if run.id != run_id:
                raise FileError(f"{path} is the plan of {run.id}; move it away and run the same command again")
        except FileError:
            raise
        except (ValueError, RecursionError) as error:
            why = first_complaint(error) if isinstance(error, ValidationError) else one_line(error)
            raise FileError(f"{path} is no plan of a run: {why}; run the same command again to have it made") from None
        return run

    def planned_ids(self) -> list[str]:
        return _stems(self.part("planned"))

    def known_ids(self) -> list[str]:
        """Of runs that were planned or made; where results were published, plans need not lie beside the records."""
        return sorted({*self.planned_ids(), *_stems(self.part("records"))})

    def fail(
        self, run_id: str, error: str, log: str, teacher_id: str | None = None, stamp: Sequence[Any] | None = None
    ) -> None:
        """Note why a run failed, or is recorded without its teacher; if it was the teacher's fault, that stands only
        until something changes about it. stamp: what it was like when it was refused, by default what it is like now.
        """
        blamed = {"teacher_id": teacher_id, "teacher": stamp or self.stamp_of_teacher(teacher_id)} if teacher_id else {}
        write_json(self.failure_path(run_id), {"run_id": run_id, "error": error, "log": log, **blamed})

    def blamed(self, run_id: str) -> bool:
        """Whether the note on a run blames its teacher."""
        try:
            return isinstance(read_table(self.failure_path(run_id)).get("teacher_id"), str)
        except (OSError, FileError):
            return False

    def failure(self, run_id: str) -> str | None:
        """Why the last attempt at a run failed, None if it did not."""
        path = self.failure_path(run_id)
        try:
            note = read_table(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except FileError as error:
            return f"unreadable failure note: {error}"
        teacher_id = note.get("teacher_id")
        if isinstance(teacher_id, str) and self.stamp_of_teacher(teacher_id) != note.get("teacher"):
            return None
        return cleaned(str(note.get("error", f"unreadable failure note: {path} gives no error")))

    def forget_failure(self, run_id: str) -> None:
        """Raises FileError for a folder in the note's place."""
        remove(self.failure_path(run_id))

    def stamp_of_teacher(self, run_id: str) -> list[list[int] | None]:
        """What changes whenever a teacher's record or weights are written, removed or put back."""
        teachers = self.teachers
        return [_stamp(path) for path in (teachers.record_path(run_id), teachers.weights_path(run_id))]

    def records(self) -> tuple[list[Record], list[RecordError]]:
        """Every valid record, sorted by id, and what is wrong with the others."""
        good: list[Record] = []
        bad: list[RecordError] = []
        for run_id in _stems(self.part("records")):
            try:
                good.append(read_record(self.record_path(run_id)))
            except RecordError as error:
                bad.append(error)
        return good, bad

    def write_tables(self, records: Sequence[Record] | None = None) -> None:
        """Derive runs.csv and costs.csv from the records, which need not be read again where they are at hand."""
        if records is None:
            records, _ = self.records()
        write_rows(self.path / "runs.csv", run_rows(records))
        write_rows(self.path / "costs.csv", [cost_row(record) for record in records])


def _stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name that no file can have
        return None
    return [status.st_size, status.st_mtime_ns]


def _stems(folder: Path) -> list[str]:
    return [path.stem for path in json_files(folder)]
