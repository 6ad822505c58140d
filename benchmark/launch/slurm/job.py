"""A job in SLURM's hands: asked to go, it leaves checkpoints and has itself queued again. No torch here until it runs.

SLURM sends SIGUSR2 some time before the time limit, and on preemption where the administrators chose so
(`SlurmctldParameters=preempt_send_user_signal`); otherwise SIGTERM is what preemption, and scancel, begin with.
"""

import logging
import os
import signal
import subprocess
import time
from dataclasses import dataclass

from submitit.helpers import DelayedSubmission

from benchmark.launch.job import Job
from benchmark.launch.signals import Evicted, stop_signals

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0
"""How long to wait for a step boundary after a signal. SLURM's usual time between asking and killing is 30 s."""


@dataclass(frozen=True)
class SlurmJob:
    """`warning` is after how many seconds at the earliest SLURM warns of the time limit: a signal before that means
    preemption.
    """

    job: Job
    warning: float

    def __call__(self) -> None:
        """Do the work. Raises RuntimeError if runs failed, so that SLURM says so of the job."""
        before, started = self.progress(), time.monotonic()
        with stop_signals(signal.SIGTERM, signal.SIGUSR2, patience=PATIENCE_SECONDS) as stop:
            try:
                self.job.run_until_stopped(stop)
            except Evicted:
                log.warning("no step boundary came in time; the newest checkpoints are gone on from")
        if stop.asked == signal.SIGUSR2 or (stop.asked and _is_preempted()):
            if time.monotonic() - started >= self.warning and self.progress() == before:
                self._give_up(time.monotonic() - started)
            else:
                signal.raise_signal(signal.SIGUSR2)  # now it is submitit's to handle, which queues the job again
        failed = [run_id for folder, run_id in self.job.run_ids() if folder.state(run_id) in ("failed", "corrupt")]
        if failed:
            raise RuntimeError(f"{len(failed)} of {len(self.job.run_ids())} runs failed: {', '.join(failed)}")

    def checkpoint(self) -> DelayedSubmission:
        """Called by submitit when the job is to be queued again: the same ids, to go on from the newest checkpoints."""
        return DelayedSubmission(self)

    def progress(self) -> list[str]:
        """What is there of every run: its state, and its checkpoints, which are named after their steps."""
        return [
            " ".join(
                [folder.state(run_id), *sorted(path.name for path in folder.checkpoints_path(run_id).glob("*.pt"))]
            )
            for folder, run_id in self.job.run_ids()
        ]

    def _give_up(self, seconds: float) -> None:
        """A job that made no step from start to time limit would make none the next time."""
        reason = f"no step was made in {seconds:.0f} s until the time limit; it needs more time or smaller steps"
        for folder, run_id in self.job.run_ids():
            if folder.state(run_id) == "missing":
                folder.fail(run_id, f"TimeLimit: {reason}", "")


def _is_preempted() -> bool:
    """Whether this job is still to run as far as SLURM is concerned: scancel and scontrol requeue change that first."""
    command = ["squeue", "--noheader", "--jobs", os.environ["SLURM_JOB_ID"], "--format=%T"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return answer.stdout.split() == ["RUNNING"]
