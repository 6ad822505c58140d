"""The command line's side of SLURM: submit, show what would be, watch, cancel."""

import argparse
import time
from typing import TYPE_CHECKING

from rich.console import Console

from benchmark.command.display import Display
from benchmark.ground.errors import UsageError
from benchmark.launch.job import Executor, Settings
from benchmark.launch.slurm import scheduler
from benchmark.plan.values import Plan
from benchmark.records import Folder, ledger
from benchmark.records.claims import is_claimed

if TYPE_CHECKING:
    from benchmark.launch.slurm.submission import Submission

LOOK_SECONDS = 1.0
QUEUE_SECONDS = 60.0
"""How often a watcher asks for the queue at most, and only while no worker is at a run."""


def choose_executor(wanted: str) -> Executor:
    """`auto` means SLURM where a cluster answers, local processes where there is none.

    Raises UsageError where a cluster is configured that does not answer: nobody means to train on its login node.
    """
    if wanted not in ("auto", "slurm"):
        return wanted  # type: ignore[return-value]
    silent = scheduler.silence()
    if silent == "":
        return "slurm"
    if wanted == "auto" and (silent is None or not scheduler.configured()):
        return "local"
    why = f": {silent}" if silent else ", and SLURM is not installed"
    raise UsageError(f"executor {wanted!r}: sinfo does not answer here{why}; to train on this machine: local, inline")


def submission(plan: Plan, folder: Folder, settings: Settings, options: argparse.Namespace) -> "Submission":
    """What is to be submitted. Raises UsageError for a profile, an option or a queue that cannot be used."""
    from benchmark.launch.slurm.profile import load_profile
    from benchmark.launch.slurm.submission import prepare

    changes = {"max_parallel": options.max_parallel, "workers": options.workers}
    profile = load_profile(options.profile, options.slurm, changes)
    return prepare(plan, folder, settings, profile, options.profile)


def check_unused(executor: Executor, options: argparse.Namespace, console: Console) -> None:
    """Where nothing is submitted, say so of what was given for that. Raises UsageError for a profile or an option that
    could not be used anywhere, and for what jobs cannot heed."""
    from benchmark.launch.slurm.profile import load_profile

    if executor == "slurm" and options.stop_after:
        raise UsageError("--stop-after ends training on this machine; jobs end at their profile's time, and go on")
    if executor != "slurm" and (options.profile or options.slurm):
        load_profile(options.profile, options.slurm)
        console.print(f"--profile and --slurm are for jobs of SLURM; the executor is {executor}, which takes neither")
    if executor == "inline" and options.workers:
        console.print("--workers is for executors slurm and local; inline is one worker, this process")


def show(wanted: "Submission", console: Console) -> None:
    """The jobs that would be submitted, and what sbatch would be told."""
    for array, lines in wanted.sbatch():
        runs = sum(len(cohort.runs) for bundle in array.bundles for cohort in bundle)
        console.print(f"\n{array.name}: {len(array.bundles)} jobs, {runs} runs")
        for line in lines:
            console.print(f"  {line}")


def submit(plan: Plan, folder: Folder, settings: Settings, options: argparse.Namespace, console: Console) -> None:
    """Submit what is neither finished nor queued, and say what that was."""
    from benchmark.launch.slurm.submission import submitting

    with submitting(folder):
        submitted = submission(plan, folder, settings, options).submit()
    for entry in submitted:
        console.print(f"submitted job {entry.job_id}: {len(entry.run_ids)} runs; log: {folder.path.parent / entry.log}")
    if not submitted:
        console.print("nothing to submit: what is missing is queued or running already")
    console.print(
        "the jobs go on without this command; --status shows how far they are, --cancel takes them out of the queue"
    )


def watch(plan: Plan, folder: Folder, console: Console) -> None:
    """Show progress, read from files, until every run has ended or no job is left to train it."""
    asked, open_runs = time.monotonic(), [run.id for run in plan.runs]
    with Display(folder, open_runs, console) as display:
        while open_runs := [run_id for run_id in open_runs if folder.is_open(run_id)]:
            display.tick()
            if time.monotonic() - asked > QUEUE_SECONDS:
                asked = time.monotonic()
                claimed = any(is_claimed(folder.claim_path(run_id)) for run_id in open_runs)
                if not claimed and _queue_is_empty(folder, console):
                    break
            time.sleep(LOOK_SECONDS)
        display.tick()


def _queue_is_empty(folder: Folder, console: Console) -> bool:
    """A controller that is away for a while tells nothing about the jobs, which go on."""
    try:
        return not live_jobs(folder)
    except UsageError as error:
        console.print(f"still watching: {error}")
        return False


def cancel(folder: Folder, console: Console) -> None:
    """Cancel this grid's jobs."""
    live = live_jobs(folder)
    if not live:
        console.print("no job of this grid is queued or running")
        return
    scheduler.cancel(live)
    console.print(f"cancelled {len(live)} jobs: {', '.join(live)}")


def live_jobs(folder: Folder) -> list[str]:
    """Ids of the jobs submitted for this grid that wait or run."""
    return [entry.job_id for entry in scheduler.live(ledger.entries(folder))]
