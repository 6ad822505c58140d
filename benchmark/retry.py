"""What --retry tries again: runs that failed, or that jobs which are gone left undone. No torch here."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from benchmark.errors import UsageError
from benchmark.launch.slurm import scheduler
from benchmark.records import Folder, ledger
from benchmark.status import survey
from benchmark.terminal import plain

if TYPE_CHECKING:
    from benchmark.plan.values import Plan


def forget_failures(plan: "Plan", folder: Folder, console: Console) -> None:
    """Have failed runs and teachers planned again, but none whose job goes on with other runs: that would not come back
    to it, and has the code that it failed with.
    """
    for home, states in ((folder, plan.states), (folder.teachers, plan.teacher_states)):
        failed = [run_id for run_id, state in states.items() if state == "failed"]
        busy = _live_jobs(home, failed)
        for job_id, count in Counter(busy.values()).items():
            plain(console)(f"left alone: {count} failed runs, until their job {job_id} is done with its others")
        for run_id in failed:
            if run_id not in busy:
                home.failure_path(run_id).unlink(missing_ok=True)


def left_undone(plan: "Plan", folder: Folder) -> list[str]:
    """Runs that jobs left undone which are gone."""
    return list(survey(folder, [run.id for run in plan.runs]).left_by)


def _live_jobs(home: Folder, run_ids: Sequence[str]) -> dict[str, str]:
    """The newest job of each of these runs, as far as it waits or runs; none where there is no SLURM to ask."""
    jobs = ledger.newest_jobs(home)
    submitted = {run_id: jobs[run_id].job_id for run_id in run_ids if run_id in jobs and jobs[run_id].in_slurm}
    try:
        live = scheduler.queue(submitted.values())
    except UsageError:
        return {}
    return {run_id: job_id for run_id, job_id in submitted.items() if job_id in live}
