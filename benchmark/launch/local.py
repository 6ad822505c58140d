"""From a plan to workers on this machine: local processes through submitit, or this very process."""

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pynvml
import submitit

from benchmark.ground.processors import cores
from benchmark.launch.job import Executor, Job, Settings, Work, job_of
from benchmark.launch.signals import not_ignored, stop_signals
from benchmark.plan.values import Cohort, Plan
from benchmark.records import Folder, ledger

LOCAL_TIMEOUT_MINUTES = 60 * 24 * 365
"""submitit ends local jobs after five minutes unless told otherwise."""


LEAST_PART = 3
"""Runs that are worth a process, a copy of the data and a teacher's forward of their own."""


def launch(plan: Plan, folder: Folder, settings: Settings, executor: Executor) -> "Launched":
    """Start everything that a plan misses on this machine."""
    teachers = (Cohort((teacher,)) for teacher in plan.missing_teachers)
    whole = job_of((*teachers, *plan.cohorts), folder, settings, default_threads=cores())
    return Inline(whole) if executor == "inline" else Local(_local_jobs(whole, folder, settings))


class Launched:
    """Workers under way."""

    def wait(self, tick: Callable[[], None], seconds: float = 0.5) -> None:
        """Block until they end, calling `tick` now and then. An interrupt, or a signal that asks this process to end,
        asks them to stop, which is waited for; then KeyboardInterrupt is raised."""

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
    """submitit's local processes."""

    def __init__(self, jobs: Sequence[submitit.Job[Any]]) -> None:
        self.jobs = jobs

    def wait(self, tick: Callable[[], None], seconds: float = 0.5) -> None:
        interrupted = False
        running = self.jobs
        with stop_signals(*not_ignored(signal.SIGTERM, signal.SIGHUP)) as stop:
            while running:
                try:
                    tick()
                    time.sleep(seconds)
                except KeyboardInterrupt:
                    interrupted = True
                except BaseException:  # nobody would watch them any more
                    _ask_to_stop(running)
                    raise
                running = [job for job in self.jobs if not job.done()]
                if interrupted or stop.asked:  # again and again: a worker that is just starting does not listen yet
                    _ask_to_stop(running)
        tick()
        if interrupted or stop.asked:
            raise KeyboardInterrupt

    def complaints(self) -> list[str]:
        said = []
        for job in self.jobs:
            if not job.paths.result_pickle.exists():
                said.append(f"worker {job.job_id} ended early; its log: {job.paths.stderr}")
            elif error := job.exception():
                said.append(f"worker {job.job_id} ended with {_last_line(error)}; its log: {job.paths.stderr}")
        return said


def _last_line(error: BaseException) -> str:
    """Of what submitit tells of a worker's error: its trace, which stands between two rules, if there is one."""
    trace = re.split(r"\n-{5,}\n", str(error))[-2:][0]
    return trace.strip().rpartition("\n")[2]


def visible_gpus() -> list[str]:
    """The GPUs that this process sees, by index or UUID, without importing torch."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        named = (name.strip() for name in listed.split(","))
        return list(takewhile(re.compile(r"\d+|(GPU|MIG)-.+").fullmatch, named))  # as CUDA, up to the first it ignores
    try:
        pynvml.nvmlInit()
        return [str(index) for index in range(pynvml.nvmlDeviceGetCount())]  # a GPU once, in however many instances
    except pynvml.NVMLError:
        return []


def _local_jobs(whole: Job, folder: Folder, settings: Settings) -> list[submitit.Job[Any]]:
    """One worker per GPU, or as many as are wanted, all with the same list, which claims share out; without GPUs, as
    many as are wanted, or as the cores hold workers of that many threads, or one with all cores; no more than can be
    busy at once.

    submitit would start everything at once: the cap is here. Interrupts from the terminal are ignored by submitit's
    controllers, which would kill their workers within a second, and handled by the workers themselves.
    """
    gpus = (settings.workers or 1) * visible_gpus() if settings.device in ("auto", "cuda") else []
    most = len(gpus) or settings.workers or (max(1, cores() // settings.threads) if settings.threads else 1)
    whole = replace(whole, work=tuple(balanced(whole.work, most)))
    workers = min(most, _busy_at_once(whole.work))
    threads = settings.threads or max(1, cores() // workers)
    jobs: list[submitit.Job[Any]] = []
    ledger.check(folder)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for worker in range(workers):
            executor = submitit.LocalExecutor(folder.path / "logs")
            executor.update_parameters(timeout_min=LOCAL_TIMEOUT_MINUTES)
            job = executor.submit(replace(whole, threads=threads, gpu=gpus[worker] if gpus else None))
            jobs.append(job)
            ledger.note(folder, [_entry(job, whole)])
    except BaseException:  # whatever it is, nobody would watch them
        _ask_to_stop(jobs)
        raise
    finally:
        signal.signal(signal.SIGINT, before)
    return jobs


def balanced(work: Sequence[Work], workers: int) -> list[Work]:
    """The same runs so that workers end together: where too few cohorts are left for the last round, those are cut in
    parts, of LEAST_PART runs or more, for the workers that would stand idle.

    Each part reads the data and has the teacher run for itself; results do not depend on the company of a run.
    """
    teachers = [each for each in work if each.teacher_id is None]
    cohorts = [each for each in work if each.teacher_id is not None]
    last = len(cohorts) % workers
    whole = len(cohorts) - last
    return [*teachers, *cohorts[:whole], *(part for each in cohorts[whole:] for part in _cut(each, workers // last))]


def _cut(work: Work, most: int) -> list[Work]:
    parts = max(1, min(most, len(work.run_ids) // LEAST_PART))
    return [replace(work, run_ids=work.run_ids[i::parts]) for i in range(parts)]


def _busy_at_once(work: Sequence[Work]) -> int:
    """Teachers train before the students do."""
    return max(Counter(each.teacher_id is None for each in work).values(), default=1)


def _entry(job: submitit.Job[Any], whole: Job) -> ledger.Entry:
    run_ids = tuple(run_id for work in whole.work for run_id in work.run_ids)
    return ledger.Entry(
        job.job_id, "local", run_ids, ledger.log_name(job.paths.stderr, Folder(Path(whole.grid_folder)))
    )


def _ask_to_stop(jobs: Sequence[submitit.Job[Any]]) -> None:
    """SIGTERM to submitit's controllers, whose process ids are the jobs' ids; they pass it on to their workers."""
    for job in jobs:
        with suppress(ProcessLookupError):
            os.kill(int(job.job_id), signal.SIGTERM)
