"""From a plan to workers through submitit: a SLURM cluster, local processes, or this very process. No torch here."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import submitit
from submitit.core.utils import FailedJobError

from benchmark.errors import UsageError
from benchmark.job import Job, Work
from benchmark.plan import Plan
from benchmark.records import Folder

Executor = Literal["slurm", "local", "inline"]

LOCAL_TIMEOUT_MINUTES = 60 * 24 * 365
"""submitit ends local jobs after five minutes unless told otherwise."""


@dataclass(frozen=True)
class Settings:
    """How to execute; none of it changes a number. `threads` is per worker, None for an equal share of the cores."""

    device: str
    threads: int | None = None
    data_dir: str | None = None
    deadline: float | None = None


def choose_executor(wanted: str) -> Executor:
    """`auto` means SLURM where a cluster answers, local processes elsewhere."""
    if wanted == "auto":
        return "slurm" if slurm_answers() else "local"
    if wanted == "slurm" and not slurm_answers():
        raise UsageError("executor 'slurm' needs a cluster, and sinfo does not answer here; valid: local, inline")
    return wanted  # type: ignore[return-value]


def slurm_answers() -> bool:
    """Whether jobs can be submitted: sbatch alone may be left over from a package."""
    if not shutil.which("sbatch") or not shutil.which("sinfo"):
        return False
    try:
        return subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=30, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def work_of(plan: Plan, folder: Folder) -> tuple[tuple[Work, ...], tuple[Work, ...]]:
    """What is to be trained: teachers, and cohorts of students."""
    teachers = tuple(Work(str(folder.teachers.path), (teacher.id,)) for teacher in plan.missing_teachers)
    cohorts = tuple(
        Work(str(folder.path), tuple(run.id for run in cohort.runs), cohort.teacher.id if cohort.teacher else None)
        for cohort in plan.cohorts
    )
    return teachers, cohorts


def launch(plan: Plan, folder: Folder, settings: Settings, executor: Executor) -> "Launched":
    """Start everything that a plan misses."""
    teachers, cohorts = work_of(plan, folder)
    whole = Job(
        grid_folder=str(folder.path),
        work=teachers + cohorts,
        device=settings.device,
        threads=settings.threads or cores(),
        data_dir=settings.data_dir,
        deadline=settings.deadline,
    )
    if executor == "inline":
        return Inline(whole)
    if executor == "local":
        return Local(_local_jobs(whole, folder, settings))
    return Slurm(_slurm_jobs(whole, teachers, cohorts, folder, settings.threads or SLURM_CORES))


class Launched:
    """Workers under way."""

    def wait(self, tick: Callable[[], None], seconds: float = 0.5) -> None:
        """Block until they end, calling `tick` now and then; an interrupt asks them to stop and waits for that."""

    def complaints(self) -> list[str]:
        """What to say of workers that ended without a word."""
        return []


class Inline(Launched):
    """This process does the work, one cohort after another."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def wait(self, tick: Callable[[], None], seconds: float = 0.5) -> None:
        watching = threading.Event()

        def watch() -> None:
            while not watching.wait(seconds):
                tick()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            finished = self.job()
        finally:
            watching.set()
            watcher.join()
        tick()
        if not finished and (self.job.deadline is None or time.time() < self.job.deadline):
            raise KeyboardInterrupt  # the job has taken the signal for itself, to stop at a step boundary


class Local(Launched):
    """submitit's local processes: one per GPU, or one with all cores."""

    def __init__(self, jobs: Sequence[submitit.Job[Any]]) -> None:
        self.jobs = jobs

    def wait(self, tick: Callable[[], None], seconds: float = 0.5) -> None:
        interrupted = False
        running = self.jobs
        while running:
            try:
                tick()
                time.sleep(seconds)
            except KeyboardInterrupt:
                interrupted = True
            running = [job for job in self.jobs if not job.done()]
            if interrupted:  # again and again: a worker that is just starting does not listen yet
                _ask_to_stop(running)
        tick()
        if interrupted:
            raise KeyboardInterrupt

    def complaints(self) -> list[str]:
        dead = [job for job in self.jobs if not job.paths.result_pickle.exists()]
        return [f"worker {job.job_id} ended early; its log: {job.paths.stderr}" for job in dead]


class Slurm(Launched):
    """Jobs in the queue: submission returns, the cluster goes on alone."""

    def __init__(self, job_ids: Sequence[str]) -> None:
        self.job_ids = job_ids


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[int]:
    """Indices of the GPUs that this process sees, without importing torch."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return [int(index) for index in listed.split(",") if index.strip().isdigit()]
    if not shutil.which("nvidia-smi"):
        return []
    answer = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return list(range(len(answer.stdout.splitlines()))) if answer.returncode == 0 else []


def _local_jobs(whole: Job, folder: Folder, settings: Settings) -> list[submitit.Job[Any]]:
    """One worker per GPU, all with the same list, which claims share out; one worker without GPUs.

    submitit would start everything at once: the cap is here. Interrupts from the terminal are ignored by submitit's
    controllers, which would kill their workers within a second, and handled by the workers themselves.
    """
    gpus = visible_gpus() if settings.device in ("auto", "cuda") else []
    workers = max(1, len(gpus))
    threads = settings.threads or max(1, cores() // workers)
    jobs = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for worker in range(workers):
            executor = submitit.LocalExecutor(folder.path / "logs")
            executor.update_parameters(
                timeout_min=LOCAL_TIMEOUT_MINUTES,
                gpus_per_node=1 if gpus else 0,
                visible_gpus=gpus[worker : worker + 1],
            )
            job = executor.submit(replace(whole, threads=threads))
            _note(folder, job.job_id, "local", whole.work)
            jobs.append(job)
    finally:
        signal.signal(signal.SIGINT, before)
    return jobs


def _slurm_jobs(
    whole: Job, teachers: Sequence[Work], cohorts: Sequence[Work], folder: Folder, threads: int
) -> list[str]:
    """A job per teacher, then a job per cohort that starts when its teacher's has ended well."""
    teacher_jobs: dict[str, str] = {}
    job_ids = []
    for work in (*teachers, *cohorts):
        executor = submitit.SlurmExecutor(folder.path / "logs")
        name = f"{folder.path.name}-{work.run_ids[0]}"
        executor.update_parameters(job_name=name, cpus_per_task=threads, **SLURM_DEFAULTS)
        own = tuple(teacher for teacher in teachers if teacher.run_ids[0] == work.teacher_id)
        if own and work.teacher_id:
            executor.update_parameters(dependency=f"afterok:{teacher_jobs[work.teacher_id]}")
        try:
            job = executor.submit(replace(whole, work=(*own, work), threads=threads))
        except FailedJobError as error:
            raise UsageError(f"SLURM refused the job of {work.run_ids[0]}: {str(error).strip()}") from None
        _note(folder, job.job_id, "slurm", (work,))
        if work.teacher_id is None:
            teacher_jobs[work.run_ids[0]] = job.job_id
        job_ids.append(job.job_id)
    return job_ids


SLURM_CORES = 4
SLURM_DEFAULTS: dict[str, Any] = {"time": 60 * 12, "mem": "8GB"}


def _note(folder: Folder, job_id: str, executor: str, work: Sequence[Work]) -> None:
    """One line in jobs.jsonl for every job that was started."""
    entry = {
        "job_id": job_id,
        "executor": executor,
        "submitted": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_ids": [run_id for item in work for run_id in item.run_ids],
    }
    with (folder.path / "jobs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def _ask_to_stop(jobs: Sequence[submitit.Job[Any]]) -> None:
    """SIGTERM to submitit's controllers, whose process ids are the jobs' ids; they pass it on to their workers."""
    for job in jobs:
        with suppress(ProcessLookupError):
            os.kill(int(job.job_id), signal.SIGTERM)
