"""Progress, by way of files: workers write how far they are, watchers read it. No torch here."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.ground.files import FileError, inside, json_files, read_bytes, remove, say_once, write_json
from benchmark.records.claims import is_claimed
from benchmark.records.folder import Folder
from benchmark.records.record import Share
from benchmark.spec import Run
from benchmark.spec.value import MOST, Count, Line, Name, first_complaint

WRITE_SECONDS = 1.0


class Entry(BaseModel):
    """What a file says of a cohort; jobs run a copy of the suite, which may be older than this or newer."""

    model_config = ConfigDict(strict=True, extra="ignore")

    cohort: Line
    epoch: Annotated[float, Field(ge=-MOST, le=MOST)]
    epochs: Count
    run_ids: list[Name]
    shares: dict[str, Share] = {}
    train_top1: dict[Line, Line] = {}


class Trained(Protocol):
    """What a reporter needs of a member of a cohort."""

    run: Run
    curve: list[dict[str, Any]]
    diverged_epoch: int | None
    first_step: int
    next_step: int
    steps: int


class Reporter:
    """A worker's side: one small file per cohort under way, gone when the block ends."""

    def __init__(self, grid_folder: Path, runs: Sequence[Run]) -> None:
        self._path = inside(grid_folder, "progress") / f"{runs[0].id}.json"  # parts of a cohort may train apart
        self._runs = runs
        self._run_ids = [run.id for run in runs]
        self._written = 0.0

    def __enter__(self) -> Self:
        self._clear()
        self._write(())
        return self

    def __exit__(self, *error: object) -> None:
        remove(self._path)

    def _clear(self) -> None:
        """Remove what a killed worker left behind of these runs, which may have trained in other company."""
        for path, entry in _entries(self._path.parent):
            if not set(self._run_ids).isdisjoint(entry.run_ids):
                remove(path)

    def report(self, members: Sequence[Trained]) -> None:
        """Called after every step; most of the time it does nothing."""
        if time.monotonic() - self._written > WRITE_SECONDS and self._path.parent.is_dir():  # not moved away
            self._write(members)

    def _write(self, members: Sequence[Trained]) -> None:
        first = self._runs[0]
        teacher = first.teacher.student.name if first.teacher else f"teacher {first.student.name}"
        write_json(
            self._path,
            {
                "cohort": f"{first.dataset.name} · {teacher} · seed {first.seed}",
                "epoch": min((member.next_step / member.steps for member in members if _goes_on(member)), default=0.0),
                "epochs": first.recipe.epochs,
                "run_ids": self._run_ids,
                "shares": {member.run.id: _share(member) for member in members},
                "train_top1": {_name(member.run): _training_top1(member) for member in members},
            },
        )
        self._written = time.monotonic()


def under_way(folder: Folder) -> list[Entry]:
    """What workers last said of their cohorts; not of those whose worker is gone, which leaves its file behind."""
    homes = (folder, folder.teachers)
    return [
        entry
        for _, entry in _entries(folder.part("progress"))
        if any(is_claimed(home.claim_path(run_id)) for run_id in entry.run_ids for home in homes)
    ]


def left_behind(folder: Folder) -> list[Path]:
    """Files of cohorts that nobody is at."""
    shown = {entry.run_ids[0] for entry in under_way(folder)}
    return [path for path, entry in _entries(folder.part("progress")) if entry.run_ids[0] not in shown]


def _entries(folder: Path) -> Iterator[tuple[Path, Entry]]:
    """What can be read; a file that is damaged is said to be passed over."""
    for path in json_files(folder):
        try:
            entry = Entry.model_validate_json(read_bytes(path))
            if entry.run_ids:
                yield path, entry
        except OSError:  # finished in this very moment
            continue
        except FileError as error:
            say_once(f"passed over: {error}")
        except ValidationError as error:
            say_once(f"passed over: {path}: {first_complaint(error)}")


def _goes_on(member: Trained) -> bool:
    return member.diverged_epoch is None


def _share(member: Trained) -> float:
    """How much of a run's training is behind it, phases counted like other epochs; all of it if it diverged."""
    if not _goes_on(member):
        return 1.0
    return (member.next_step - member.first_step) / (member.run.recipe.epochs * member.steps - member.first_step)


def _name(run: Run) -> str:
    return f"{run.pair or run.student.name} {run.label}"


def _training_top1(member: Trained) -> str:
    """What is shown of a run: the training accuracy of its latest whole epoch in percent, or why there is none."""
    if not _goes_on(member):
        return "diverged"
    if not member.curve:
        return "waits" if member.next_step == member.first_step else "begins"
    top1 = member.curve[-1]["train_top1"]
    return "teacher only" if top1 is None else f"{100 * top1:.1f}"
