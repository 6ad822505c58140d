"""How every run of a grid stands: its record, its claim, its job in SLURM, from files and one look at the queue; and
what --retry tries again: runs that failed, or that jobs which are gone left undone. No torch here."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from benchmark.command.display import position
from benchmark.command.terminal import counts, problem_lines
from benchmark.ground.errors import UsageError
from benchmark.launch.slurm import scheduler
from benchmark.launch.slurm.scheduler import Queued
from benchmark.plan.values import Plan
from benchmark.records import Folder, State, ledger
from benchmark.records.claims import is_claimed
from benchmark.records.progress import under_way

LiveState = State | Literal["running", "queued", "lost"]
LOG_LINES = 6
LOG_BYTES = 20_000


@dataclass(frozen=True)
class RunStates:
    """Every run's state, the newest job that was to train it, the jobs that wait or run now, and how those ended
    that are gone and left neither a record of a run nor the reason why.

    Such a run is lost, or failed if its job calls itself completed.
    """

    states: dict[str, LiveState]
    jobs: dict[str, ledger.Entry]
    live: dict[str, Queued]
    left_by: dict[str, str]

    def having(self, state: LiveState) -> list[str]:
        return [run_id for run_id, each in self.states.items() if each == state]


def run_states(folder: Folder, run_ids: Sequence[str]) -> RunStates:
    """Look at the files, and once at SLURM's queue if jobs were submitted for runs that are still to come.

    Where SLURM cannot be asked, as at home with results moved there, nothing counts as queued or lost.
    """
    states: dict[str, LiveState] = {run_id: folder.state(run_id) for run_id in run_ids}
    jobs = ledger.newest_jobs(folder)
    missing = [run_id for run_id, state in states.items() if state == "missing"]
    submitted = {run_id: jobs[run_id] for run_id in missing if run_id in jobs and jobs[run_id].in_slurm}
    try:
        waiting = scheduler.live(submitted.values())
    except UsageError:
        waiting, submitted = {}, {}
    live = {entry.job_id: job for entry, job in waiting.items()}
    gone = [entry for entry in submitted.values() if entry not in waiting]
    ends = {entry.job_id: "is gone" for entry in gone} | scheduler.endings(gone)
    left_by: dict[str, str] = {}
    for run_id in missing:
        job_id = submitted[run_id].job_id if run_id in submitted else ""
        states[run_id] = folder.state(run_id)  # again: it may have ended just before its job was looked for
        if states[run_id] != "missing":
            continue
        if is_claimed(folder.claim_path(run_id)):
            states[run_id] = "running"
        elif job_id in live:
            states[run_id] = "queued"
        elif job_id in ends:
            left_by[run_id] = ends[job_id]
            states[run_id] = "failed" if ends[job_id] == "COMPLETED" else "lost"
    return RunStates(states, jobs, live, left_by)


def status_lines(folder: Folder) -> Iterator[str]:
    """What a results folder holds, what is under way, and what went wrong, line by line."""
    if not folder.path.is_dir():
        yield f"nothing was run yet: there is no folder {folder.path}"
        return
    run_ids = folder.known_ids()
    found = run_states(folder, run_ids)
    yield f"{len(run_ids)} runs in {folder.path}: {counts(found.states.values())}"
    submitted = {run_id for entry in ledger.entries(folder) for run_id in entry.run_ids} - set(run_ids)
    teachers = run_states(folder.teachers, sorted(submitted))
    if submitted:
        yield f"{len(submitted)} teachers in {folder.teachers.path}: {counts(teachers.states.values())}"
    for entry in under_way(folder):
        yield f"running: {entry.cohort}: {position(entry)} of {len(entry.run_ids)} runs"
    for part, home in ((teachers, folder.teachers), (found, folder)):
        yield from _of_jobs(part, home, folder.path.parent)
    if teachers.left_by or found.left_by:
        yield "run the same command again to submit these runs once more, or with --retry lost only them"


def to_try_again(plan: Plan, folder: Folder, console: Console) -> list[tuple[Folder, str]]:
    """Failed runs and teachers, also runs that are without their teacher, but none whose job goes on with other runs:
    that would not come back to it, and has the code that it failed with.
    """
    found = []
    for home, states in ((folder, plan.states), (folder.teachers, plan.teacher_states)):
        failed = [run_id for run_id, state in states.items() if state == "failed" or home.why_without_teacher(run_id)]
        busy = _live_jobs(home, failed)
        for job_id, count in Counter(busy.values()).items():
            console.print(f"left alone: {count} failed runs, until their job {job_id} is done with its others")
        found += [(home, run_id) for run_id in failed if run_id not in busy]
    return found


def left_undone(plan: Plan, folder: Folder) -> list[str]:
    """Runs that jobs left undone which are gone."""
    return list(run_states(folder, [run.id for run in plan.runs]).left_by)


def _of_jobs(found: RunStates, home: Folder, results: Path) -> Iterator[str]:
    """What jobs wait for, what others left undone, and why runs failed, each with the end of its job's log."""
    for job_id, run_ids in _by_job(found, found.having("queued")).items():
        job = found.live[job_id]
        why = job.why if job.waits else f"{job.state.lower()} on {job.node}"
        yield f"queued: job {job_id}, {len(run_ids)} runs: {why}"
    for job_id, (first, *others) in _by_job(found, found.left_by).items():
        ended = f"job {job_id} {found.left_by[first]} without a record of {1 + len(others)} runs ({first} ...)"
        yield f"{found.states[first]}: {ended}"
        yield from _end_of(results / found.jobs[first].log)
    explained = {run_id: each for run_id, each in found.states.items() if run_id not in found.left_by}
    yield from problem_lines(explained, home, home.records()[1])
    failed = [run_id for run_id, each in explained.items() if each == "failed" and run_id in found.jobs]
    for first, *_ in _by_job(found, failed).values():
        yield from _end_of(results / found.jobs[first].log)


def _by_job(found: RunStates, run_ids: Iterable[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for run_id in run_ids:
        grouped.setdefault(found.jobs[run_id].job_id, []).append(run_id)
    return grouped


def _end_of(log: Path) -> Iterator[str]:
    """Where a log is, and its last lines."""
    if not log.is_file():
        return
    yield f"  log: {log}"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    yield from (f"    {line}" for line in lines[-LOG_LINES:])


def _live_jobs(home: Folder, run_ids: Sequence[str]) -> dict[str, str]:
    """The newest job of each of these runs, as far as it waits or runs; none where there is no SLURM to ask."""
    jobs = ledger.newest_jobs(home)
    submitted = {run_id: jobs[run_id] for run_id in run_ids if run_id in jobs and jobs[run_id].in_slurm}
    try:
        live = scheduler.live(submitted.values())
    except UsageError:
        return {}
    return {run_id: entry.job_id for run_id, entry in submitted.items() if entry in live}
