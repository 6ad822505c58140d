"""What a worker executes: cohorts one after another, claimed, so that several workers may share one list.

The submitted value carries run ids and the results folder, nothing else that changes numbers; where to go on from is
found out when it starts.
"""

import logging
import os
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from submitit.core.utils import UncompletedJobError
from submitit.helpers import DelayedSubmission

from benchmark.claims import Claims
from benchmark.errors import UsageError
from benchmark.records import Folder
from benchmark.spec import Grid, load_grid

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0

Outcome = Literal["finished", "stopped", "busy"]


@dataclass(frozen=True)
class Work:
    """A cohort by the ids of its runs, in a grid's folder or in the teachers'."""

    folder: str
    run_ids: tuple[str, ...]
    teacher_id: str | None = None


@dataclass(frozen=True)
class Job:
    """Cohorts for one worker, and the teachers they need. `deadline` is in seconds since the epoch."""

    grid_folder: str
    work: tuple[Work, ...]
    device: str
    threads: int
    data_dir: str | None = None
    deadline: float | None = None

    def __call__(self) -> bool:
        """Bring all work to records; False if stopped before. A cohort that fails leaves the others alone."""
        _set_threads(self.threads)
        grid = load_grid(str(Path(self.grid_folder) / "grid.toml"))
        waiting = list(self.work)
        with Claims() as claims, _stop_signals() as stop:
            while waiting and not stop.now(self.deadline):
                outcomes = {work: self._attempt(work, grid, claims, stop) for work in waiting}
                waiting = [work for work in waiting if outcomes[work] != "finished"]
                if waiting and "finished" not in outcomes.values():
                    time.sleep(POLL_SECONDS)
        return not waiting

    def checkpoint(self) -> DelayedSubmission:
        """Called by submitit on preemption and time-out: the same work, to go on from the newest checkpoints."""
        return DelayedSubmission(self)

    def _attempt(self, work: Work, grid: Grid, claims: Claims, stop: "Stop") -> Outcome:
        """Train what of a cohort has neither record nor failure, if nobody else has claimed it."""
        folder = Folder(Path(work.folder))
        missing = [run_id for run_id in work.run_ids if not folder.record_path(run_id).exists()]
        open_ids = [run_id for run_id in missing if folder.failure(run_id) is None]
        if not open_ids:
            return "finished"
        if stop.now(self.deadline) or _teacher_pending(folder, work.teacher_id):
            return "busy"
        mine = [run_id for run_id in open_ids if claims.take(folder.claim_path(run_id))]
        if not mine:
            return "busy"
        try:
            done = self._train_or_fail(folder, mine, grid, stop)
        finally:
            claims.release([folder.claim_path(run_id) for run_id in mine])
        return "finished" if done and mine == open_ids else "busy"

    def _train_or_fail(self, folder: Folder, run_ids: Sequence[str], grid: Grid, stop: "Stop") -> bool:
        """Train a cohort; if one of its runs raises, try each alone, so that only that one fails. False if stopped."""
        from benchmark.teacher import TeacherError

        try:
            return self._train(folder, run_ids, grid, stop)
        except UncompletedJobError:  # submitit ends the job from a signal; nothing is wrong with the cohort
            raise
        except Exception as error:
            log.exception("training failed: %s", ", ".join(run_ids))
            if len(run_ids) > 1 and not isinstance(error, (TeacherError, UsageError)):  # those are the whole cohort's
                return all([self._train_or_fail(folder, [run_id], grid, stop) for run_id in run_ids])
            for run_id in run_ids:
                folder.fail(run_id, f"{type(error).__name__}: {error}", traceback.format_exc())
            return True

    def _train(self, folder: Folder, run_ids: Sequence[str], grid: Grid, stop: "Stop") -> bool:
        from benchmark.cohort import run_cohort
        from benchmark.progress import Reporter

        still_open = [run_id for run_id in run_ids if not folder.record_path(run_id).exists()]
        if not still_open:
            return True
        runs = [folder.planned(run_id) for run_id in still_open]
        with Reporter(Path(self.grid_folder), runs) as reporter:
            data_dir = Path(self.data_dir) if self.data_dir else None
            device = _device(self.device)
            return run_cohort(folder, runs, grid, device, data_dir, lambda: stop.now(self.deadline), reporter.report)


class Stop:
    """Whether to stop at the next step boundary: asked by a signal, or because time is up."""

    def __init__(self) -> None:
        self.asked = False

    def now(self, deadline: float | None) -> bool:
        return self.asked or (deadline is not None and time.time() >= deadline)


@contextmanager
def _stop_signals() -> Iterator[Stop]:
    """SIGINT and SIGTERM ask for a stop at the next step boundary, where a checkpoint is written."""
    stop = Stop()

    def ask(signum: int, frame: FrameType | None) -> None:
        stop.asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _teacher_pending(folder: Folder, teacher_id: str | None) -> bool:
    """Whether a cohort's teacher is still to come. One that failed is not: the gate will say so."""
    if teacher_id is None:
        return False
    teachers = folder.teachers
    return not teachers.record_path(teacher_id).exists() and teachers.failure(teacher_id) is None


def _set_threads(threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what deterministic kernels on a GPU ask for
    import torch

    torch.set_num_threads(threads)


def _device(name: str) -> "torch.device":
    import torch

    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
