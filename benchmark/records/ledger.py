"""jobs.jsonl: which jobs were started for which runs. No torch here."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmark.records.folder import Folder

NAME = "jobs.jsonl"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Entry:
    """A job, the runs it is to train, and how it was started. `code` is the hash of what it runs; `log` is its output,
    as a path from where all results land, so that it stays true when they are moved.
    """

    job_id: str
    executor: str
    run_ids: tuple[str, ...]
    log: str
    profile: str | None = None
    code: str | None = None
    submitted: str = field(default_factory=_now)

    @property
    def in_slurm(self) -> bool:
        """Else its id is a process id, which may equal another job's."""
        return self.executor == "slurm"


def log_name(path: Path, folder: Folder) -> str:
    return str(path.resolve().relative_to(folder.path.resolve().parent))


def note(folder: Folder, entries: Sequence[Entry]) -> None:
    """Append lines, in one write, so that two commands do not mix theirs."""
    text = "".join(json.dumps(asdict(entry)) + "\n" for entry in entries)
    with (folder.path / NAME).open("a", encoding="utf-8") as file:
        file.write(text)


def entries(folder: Folder) -> list[Entry]:
    """Jobs started for one grid, oldest first; lines that a full disk cut short are passed over."""
    found = []
    try:
        lines = (folder.path / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            raw = json.loads(line)
            found.append(Entry(**{**raw, "run_ids": tuple(raw["run_ids"])}))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def entries_beside(folder: Folder) -> list[Entry]:
    """Those of all grids in the same place, oldest first: they share their teachers."""
    found = [entry for path in folder.path.parent.glob(f"*/{NAME}") for entry in entries(Folder(path.parent))]
    return sorted(found, key=lambda entry: entry.submitted)


def newest_jobs(folder: Folder) -> dict[str, Entry]:
    """The last job that was started for each run here and beside."""
    return {run_id: entry for entry in entries_beside(folder) for run_id in entry.run_ids}
