"""jobs.jsonl: which jobs were started for which runs. No torch here.

Lines that a full disk cut short, or that are damaged otherwise, are passed over by number; what comes after stands on
lines of its own.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, field
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic.dataclasses import dataclass

from benchmark.ground.errors import UsageError
from benchmark.ground.files import open_regular, read_bytes, say_once
from benchmark.records.folder import TEACHERS, Folder
from benchmark.spec.value import Name, first_complaint

NAME = "jobs.jsonl"
LOGS = "logs"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, config=ConfigDict(extra="ignore"))
class Entry:
    """A job, the runs it is to train, and how it was started. `code` is the hash of what it runs; `log` is its output,
    as a path from where all results land, so that it stays true when they are moved. Clusters and years use numbers
    again: a job is the one of this id, this name and, where it was noted, on this cluster. `folder` is where the ledger
    lay when the job was noted; in a copy of it the job is the original's.
    """

    job_id: Annotated[str, Field(pattern=r"^[0-9]{1,18}(_[0-9]{1,18})?$")]
    executor: Literal["slurm", "local"]
    run_ids: tuple[Name, ...]
    log: str
    profile: str | None = None
    code: str | None = None
    submitted: str = field(default_factory=_now)
    cluster: str | None = None
    folder: str | None = field(default=None, compare=False)

    @field_validator("log")
    @classmethod
    def _below(cls, log: str) -> str:
        if PurePath(log).is_absolute() or ".." in PurePath(log).parts:
            raise ValueError("is not below the results")
        return log

    @property
    def in_slurm(self) -> bool:
        """Else its id is a process id, which may equal another job's."""
        return self.executor == "slurm"

    @property
    def name(self) -> str | None:
        """What the job is called in SLURM: grid and array, between which its log lies in a folder of logs."""
        parts = PurePath(self.log).parts
        return f"{parts[0]}-{parts[2]}" if len(parts) == 4 and parts[1] == LOGS else None


ENTRY = TypeAdapter(Entry)


def log_name(path: Path, folder: Folder) -> str:
    """A log as a path from where all results land."""
    return str(Path(folder.absolute.name) / path.resolve().relative_to(folder.path.resolve()))


def check(folder: Folder) -> None:
    """Raise UsageError, before a job is started, for a link in the ledger's place, and for a folder whose jobs' logs
    would land elsewhere: submitit and sbatch read % in a path as a pattern."""
    if "%" in str(folder.absolute):
        raise UsageError(f"results folder {str(folder.absolute)!r}: % in the path of a job's log is read as a pattern")
    path = folder.path / NAME
    if path.is_symlink():  # what it leads to may be another user's
        raise UsageError(f"{path} is a link; it is not followed")


def note(folder: Folder, entries: Sequence[Entry]) -> None:
    """Append lines, in one write, so that two commands do not mix theirs.

    Raises UsageError for a link, or whatever else is no file, in the ledger's place.
    """
    check(folder)
    here = {"folder": str(folder.path.resolve())}
    text = "".join(json.dumps(asdict(entry) | here) + "\n" for entry in entries)
    path = folder.path / NAME
    with open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW) as file:
        if size := file.seek(0, os.SEEK_END):
            file.seek(size - 1)
            text = text if file.read() == b"\n" else f"\n{text}"
        file.write(text.encode())


def entries(folder: Folder) -> list[Entry]:
    """Jobs started for one grid, oldest first; in a copy of its folder not those of the original, which a folder that
    was moved has taken along. Raises FileError for a ledger that is no file, or leads elsewhere."""
    try:
        lines = read_bytes(folder.part(NAME)).split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip() and not _is_copied(entry := ENTRY.validate_json(line), folder):
                found.append(entry)
        except ValidationError as error:
            say_once(f"passed over: line {number} of {folder.path / NAME}: {first_complaint(error)}")
    return found


def _is_copied(entry: Entry, folder: Folder) -> bool:
    """Whether the ledger that a job was noted in is still there, and is another one than this folder's."""
    if entry.folder is None:
        return False
    try:
        return not os.path.samefile(Path(entry.folder) / NAME, folder.path / NAME)
    except (OSError, ValueError):  # moved
        return False


def entries_beside(folder: Folder) -> list[Entry]:
    """Those of all grids in the same place, oldest first: they share their teachers."""
    found = [entry for path in folder.path.parent.glob(f"*/{NAME}") for entry in entries(Folder(path.parent))]
    return sorted(found, key=lambda entry: entry.submitted)


def newest_jobs(folder: Folder) -> dict[str, Entry]:
    """The last job that was started for each run of a folder. Another grid's may be of the same runs, and lands
    elsewhere; teachers are all grids'."""
    found = entries_beside(folder) if folder.absolute.name == TEACHERS else entries(folder)
    return {run_id: entry for entry in found for run_id in entry.run_ids}
