"""How every run of a grid stands: its record, its claim, its job in SLURM. From files and one look at the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from benchmark import ledger, scheduler
from benchmark.claims import is_claimed
from benchmark.errors import UsageError
from benchmark.progress import under_way
from benchmark.records import Folder, State
from benchmark.scheduler import Queued
from benchmark.terminal import counts, plain, print_problems

Standing = State | Literal["running", "queued", "lost"]
LOG_LINES = 6
LOG_BYTES = 20_000


@dataclass(frozen=True)
class Survey:
    """Every run's standing, the newest job that was to train it, and the jobs that wait or run now.

    A run is lost if its job is gone and left neither a record nor the reason why.
    """

    standings: dict[str, Standing]
    jobs: dict[str, ledger.Entry]
    live: dict[str, Queued]

    def having(self, standing: Standing) -> list[str]:
        return [run_id for run_id, each in self.standings.items() if each == standing]


def survey(folder: Folder, run_ids: Sequence[str]) -> Survey:
    """Look at the files, and once at SLURM's queue if jobs were submitted for runs that are still to come.

    Where SLURM cannot be asked, as at home with results moved there, nothing counts as queued or lost.
    """
    states = {run_id: folder.state(run_id) for run_id in run_ids}
    jobs = {run_id: entry for entry in ledger.entries_beside(folder) for run_id in entry.run_ids}
    open_jobs = {jobs[run_id].job_id for run_id, state in states.items() if state == "missing" and run_id in jobs}
    submitted = {entry.job_id for entry in jobs.values() if entry.executor == "slurm"} & open_jobs
    try:
        live = scheduler.queue(submitted)
    except UsageError:
        live, submitted = {}, set()
    standings: dict[str, Standing] = {}
    for run_id, state in states.items():
        standings[run_id] = state
        if state != "missing":
            continue
        job_id = jobs[run_id].job_id if run_id in jobs else ""
        if is_claimed(folder.claim_path(run_id)):
            standings[run_id] = "running"
        elif job_id in live:
            standings[run_id] = "queued"
        elif job_id in submitted:
            standings[run_id] = "lost"
    return Survey(standings, jobs, live)


def print_status(folder: Folder, console: Console) -> None:
    """What a results folder holds, what is under way, and what went wrong."""
    say = plain(console)
    if not folder.path.is_dir():
        say(f"nothing was run yet: there is no folder {folder.path}")
        return
    run_ids = folder.planned_ids()
    found = survey(folder, run_ids)
    say(f"{len(run_ids)} runs in {folder.path}: {counts(found.standings.values())}")
    submitted = {run_id for entry in ledger.entries(folder) for run_id in entry.run_ids} - set(run_ids)
    teachers = survey(folder.teachers, sorted(submitted))
    if submitted:
        say(f"{len(submitted)} teachers in {folder.teachers.path}: {counts(teachers.standings.values())}")
    for entry in under_way(folder):
        say(f"running: {entry['cohort']}: epoch {entry['epoch']}/{entry['epochs']} of {entry['runs']} runs")
    for part, home in ((teachers, folder.teachers), (found, folder)):
        _print_queued(part, console)
        _print_lost(part, folder, console)
        print_problems(part.standings, home, console)
        _print_logs(part, folder, console)


def _print_queued(found: Survey, console: Console) -> None:
    for job_id, run_ids in _by_job(found, found.having("queued")).items():
        job = found.live[job_id]
        why = job.why if job.waits else f"{job.state.lower()} on {job.node}"
        plain(console)(f"queued: job {job_id}, {len(run_ids)} runs: {why}")


def _print_lost(found: Survey, folder: Folder, console: Console) -> None:
    lost = _by_job(found, found.having("lost"))
    ends = scheduler.endings(lost)
    for job_id, run_ids in lost.items():
        ended = ends.get(job_id, "is gone")
        plain(console)(f"lost: job {job_id} {ended} without a record of {len(run_ids)} runs ({run_ids[0]} ...)")
        _print_tail(folder.path.parent / found.jobs[run_ids[0]].log, console)
    if lost:
        plain(console)("run the same command again to submit lost runs once more, or with --retry lost only them")


def _print_logs(found: Survey, folder: Folder, console: Console) -> None:
    """The end of the log of every job in which runs failed."""
    failed = [run_id for run_id in found.having("failed") if run_id in found.jobs]
    for run_ids in _by_job(found, failed).values():
        _print_tail(folder.path.parent / found.jobs[run_ids[0]].log, console)


def _by_job(found: Survey, run_ids: Sequence[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for run_id in run_ids:
        grouped.setdefault(found.jobs[run_id].job_id, []).append(run_id)
    return grouped


def _print_tail(log: Path, console: Console) -> None:
    """Where a log is, and its last lines."""
    if not log.is_file():
        return
    plain(console)(f"  log: {log}")
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    for line in lines[-LOG_LINES:]:
        plain(console)(f"    {line}")
