"""What a worker executes: cohorts one after another, claimed, so that several workers may share one list.

The submitted value carries run ids and the results folder, nothing else that changes numbers; where to go on from is
found out when it starts.
"""

import logging
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.ground.errors import UsageError, machine_trouble, one_line
from benchmark.launch.signals import Stop, stop_signals
from benchmark.plan.values import Cohort
from benchmark.records import Folder
from benchmark.records.claims import STALE_SECONDS, Claims
from benchmark.spec import FROZEN, Grid, load_grid

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 1.2 * STALE_SECONDS
"""How long a worker that is not patient waits for cohorts that others have claimed: they may be dead."""

Executor = Literal["slurm", "local", "inline"]
Outcome = Literal["finished", "stopped", "busy"]


@dataclass(frozen=True)
class Work:
    """A cohort by the ids of its runs, in a grid's folder or in the teachers'."""

    folder: str
    run_ids: tuple[str, ...]
    teacher_id: str | None = None


@dataclass(frozen=True)
class Job:
    """Cohorts for one worker, and the teachers they need. `deadline` is in seconds since the epoch; `gpu` the one GPU
    that it is to see, by index or UUID.

    A patient worker stays until all of its work is done, its own or others'; another one leaves others' to them.
    """

    grid_folder: str
    work: tuple[Work, ...]
    device: str
    threads: int
    data_dir: str | None = None
    deadline: float | None = None
    patient: bool = True
    gpu: str | None = None

    def __call__(self) -> bool:
        """Bring all work to records; False if stopped before. A cohort that fails leaves the others alone."""
        with stop_signals(signal.SIGINT, signal.SIGTERM) as stop:
            return self.run_until_stopped(stop)

    def run_until_stopped(self, stop: Stop) -> bool:
        """The same, stopped by whatever asks for it through `stop`."""
        if self.gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu  # submitit's local executor takes indices alone
        _set_threads(self.threads)
        grid = load_grid(str(Path(self.grid_folder) / FROZEN))
        waiting, idle_since = list(self.work), time.monotonic()
        with Claims() as claims:
            while waiting and not stop.now(self.deadline):
                outcomes = {work: self._attempt(work, grid, claims, stop) for work in waiting}
                waiting = [work for work in waiting if outcomes[work] != "finished"]
                if set(outcomes.values()) != {"busy"}:
                    idle_since = time.monotonic()
                elif self.patient or time.monotonic() - idle_since < PATIENCE_SECONDS:
                    time.sleep(POLL_SECONDS)
                else:
                    log.info("left to the workers that are at them: %s", waiting)
                    break
        return not waiting

    def run_ids(self) -> list[tuple[Folder, str]]:
        """Every run of this job and the folder that it lies in."""
        return [(Folder(Path(work.folder)), run_id) for work in self.work for run_id in work.run_ids]

    def _attempt(self, work: Work, grid: Grid, claims: Claims, stop: Stop) -> Outcome:
        """Train what of a cohort has neither record nor failure, if nobody else has claimed it."""
        folder, home = Folder(Path(work.folder)), Folder(Path(self.grid_folder))
        home.check_place()
        open_ids = _open(folder, work.run_ids)
        if not open_ids:
            return "finished"
        if stop.now(self.deadline) or _teacher_pending(folder, work.teacher_id):
            return "busy"
        mine = [run_id for run_id in open_ids if claims.take(folder.claim_path(run_id))]
        if not mine:
            return "busy"
        paths = [folder.claim_path(run_id) for run_id in mine]
        try:
            cohort = Attempt(
                self,
                work,
                folder,
                grid,
                stop=lambda: stop.now(self.deadline) or not claims.hold(paths) or not home.is_there(),
                is_mine=lambda run_id: claims.refresh(folder.claim_path(run_id)),
            )
            done = cohort.train_or_fail(mine)
        finally:
            claims.release(paths)
        if not done:
            return "stopped"
        return "busy" if _open(folder, work.run_ids) else "finished"


@dataclass(frozen=True)
class Settings:
    """How to execute; none of it changes a number. `threads` is per worker, None for an equal share of the cores;
    `workers` are those of a GPU, or of this machine where it has none, None for the usual number."""

    device: str
    threads: int | None = None
    data_dir: str | None = None
    deadline: float | None = None
    workers: int | None = None


def job_of(cohorts: Iterable[Cohort], folder: Folder, settings: Settings, default_threads: int) -> Job:
    """Cohorts as one job. Those without a teacher are teachers themselves, and lie in the teachers' folder."""
    work = []
    for cohort in cohorts:
        home = folder if cohort.teacher else folder.teachers
        run_ids = tuple(run.id for run in cohort.runs)
        work.append(Work(str(home.absolute), run_ids, cohort.teacher.id if cohort.teacher else None))
    return Job(
        grid_folder=str(folder.absolute),
        work=tuple(work),
        device=settings.device,
        threads=settings.threads or default_threads,
        data_dir=settings.data_dir,
        deadline=settings.deadline,
    )


@dataclass(frozen=True)
class Attempt:
    """A cohort under way. is_mine: looks whether this worker still has the claim on a run, by its id."""

    job: Job
    work: Work
    folder: Folder
    grid: Grid
    stop: Callable[[], bool]
    is_mine: Callable[[str], bool]

    def train_or_fail(self, run_ids: Sequence[str], alone: bool = False) -> bool:
        """Train; if one of the runs raises, try each by itself, so that only that one fails. False if stopped.

        The machine's trouble is no run's fault: the error goes on to what started this worker.
        """
        from benchmark.training.teacher import TeacherError

        try:
            return self._train(run_ids, alone)
        except TeacherError as error:
            log.error("%s", error)
            return self._without_teacher(run_ids, f"{type(error).__name__}: {error}")
        except Exception as error:
            log.error(
                "training failed: %s: %s", ", ".join(run_ids), one_line(error)
            )  # its traceback is with the failure
            if machine_trouble(error):
                raise
            if len(run_ids) > 1 and not isinstance(error, UsageError):  # which is the whole cohort's
                return all([self.train_or_fail([run_id], alone) for run_id in run_ids])
            for run_id in filter(self.is_mine, run_ids):
                self.folder.fail(run_id, f"{type(error).__name__}: {error}", traceback.format_exc())
            return True

    def _without_teacher(self, run_ids: Sequence[str], reason: str) -> bool:
        """Train without it what reads nothing of a teacher, and fail the others. False if stopped.

        The note beside a record that lacks its teacher is written last: what has neither of them is gone on with.
        """
        import methods

        assert self.work.teacher_id is not None
        blame = self.work.teacher_id, self.folder.stamp_of_teacher(self.work.teacher_id)
        runs = [self.folder.planned(run_id) for run_id in run_ids]
        alone = [run.id for run in runs if not methods.reads(run.method, run.options)]
        for run_id in (run_id for run_id in run_ids if run_id not in alone and self.is_mine(run_id)):
            self.folder.fail(run_id, reason, "", *blame)
        unrecorded = [run_id for run_id in alone if not self.folder.record_path(run_id).exists()]
        if unrecorded and not self.train_or_fail(unrecorded, alone=True):
            return False
        for run_id in filter(self.is_mine, alone):
            if self.folder.lacks_teacher(run_id):
                self.folder.fail(run_id, reason, "", *blame)
        return True

    def _train(self, run_ids: Sequence[str], alone: bool) -> bool:
        from benchmark.records.progress import Reporter
        from benchmark.training.cohort import run_cohort
        from benchmark.training.device import device_named

        still_open = [run_id for run_id in run_ids if self.folder.is_open(run_id)]
        if not still_open:
            return True
        runs = [self.folder.planned(run_id) for run_id in still_open]
        data_dir = Path(self.job.data_dir) if self.job.data_dir else None
        device = device_named(self.job.device)
        with Reporter(Path(self.job.grid_folder), runs) as reporter:
            watch = (self.stop, reporter.report, self.is_mine)
            return run_cohort(self.folder, runs, self.grid, device, data_dir, *watch, alone=alone)


def _open(folder: Folder, run_ids: Sequence[str]) -> list[str]:
    return [run_id for run_id in run_ids if folder.is_open(run_id)]


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
