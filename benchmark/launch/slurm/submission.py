"""To SLURM through submitit: teachers first, then arrays of cohorts that wait for just the teachers they need."""

import shlex
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError

from benchmark.ground.errors import UsageError
from benchmark.launch.job import Settings, job_of
from benchmark.launch.signals import held_back
from benchmark.launch.slurm import scheduler
from benchmark.launch.slurm.arrays import Array, Bundle, arrange
from benchmark.launch.slurm.job import SlurmJob
from benchmark.launch.slurm.profile import Profile
from benchmark.plan.forecast import forecasts
from benchmark.plan.values import Cohort, Plan
from benchmark.records import Folder, ledger
from benchmark.records.claims import Claims, seems_left
from benchmark.records.code import ROOT, snapshot, source_hash
from benchmark.spec import Run

NOTICE_SECONDS = 120
"""How long before the time limit SLURM warns, if that is not much of the limit; it may do so a minute early."""

EARLY_SECONDS = 60
LOOK_SECONDS = 1.0
CORES = 4
"""Threads of a worker where neither profile nor grid nor command line say."""
ENDLESS = 10**6
"""submitit counts time-outs and gives up; here the progress decides."""


@dataclass(frozen=True)
class Submission:
    """A plan, less what is queued already, as arrays; the teachers that are still to come, by id, of which others may
    have queued some; and the job of every run that is queued."""

    folder: Folder
    settings: Settings
    profile: Profile
    profile_name: str | None
    arrays: Sequence[Array]
    teachers: Mapping[str, Run]
    queued: Mapping[str, str]

    @property
    def threads(self) -> int:
        """Of each worker."""
        return self.settings.threads or int(self.profile.sbatch.get("cpus-per-task", CORES))

    def submit(self) -> list[ledger.Entry]:
        """Hand everything to SLURM and note it in the ledger. Raises UsageError if it is refused."""
        code = snapshot(self.folder.part("code").resolve())
        jobs, submitted = dict(self.queued), []
        for array in self.arrays:
            executor = self._executor(array, code, _dependency(jobs, array.needs))
            with held_back(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a job that is not noted would come again
                entries = self._submit(array, executor, code)
                self._note(entries)
            for entry in entries:
                jobs |= dict.fromkeys(entry.run_ids, entry.job_id)
            submitted += entries
        return submitted

    def _submit(self, array: Array, executor: submitit.SlurmExecutor, code: Path) -> list[ledger.Entry]:
        try:
            with redirect_stderr(StringIO()):  # submitit prints there what the error says as well
                started = executor.submit_array([self._job(bundle) for bundle in array.bundles])
        except FailedJobError as error:
            raise UsageError(f"SLURM refused {array.name}: {_reason(error)}") from None
        return [self._entry(job, bundle, code) for job, bundle in zip(started, array.bundles, strict=True)]

    def _note(self, entries: Sequence[ledger.Entry]) -> None:
        """What cannot be written down is cancelled: it would be submitted again, and --cancel would not find it."""
        try:
            ledger.note(self.folder, entries)
        except OSError:
            scheduler.cancel(entry.job_id for entry in entries)
            raise

    def sbatch(self) -> list[tuple[Array, list[str]]]:
        """The parameters that sbatch gets, line by line; the ids of jobs that are not submitted yet are left open."""
        code = self.folder.path.resolve() / "code" / source_hash(ROOT)
        jobs, described = dict(self.queued), []
        for array in self.arrays:
            executor = self._executor(array, code, _dependency(jobs, array.needs))
            for run_ids in map(_run_ids, array.bundles):
                jobs |= dict.fromkeys(run_ids, f"JOB_OF_{run_ids[0]}")
            if len(array.bundles) > 1:
                executor.parameters["map_count"] = len(array.bundles)
            text = executor._make_submission_file_text(executor._submitit_command_str, "")
            described.append((array, [line for line in text.splitlines() if line and line != "# Parameters"][1:]))
        return described

    def _executor(self, array: Array, code: Path, dependency: str | None) -> submitit.SlurmExecutor:
        profile = self.profile
        executor = submitit.SlurmExecutor(self.folder.absolute / ledger.LOGS / array.name, max_num_timeout=ENDLESS)
        options = {key: value for key, value in profile.sbatch.items() if key != "time"}
        options = {"cpus-per-task": self.threads, **options}
        again = {"requeue": True, "kill-on-invalid-dep": "yes", "chdir": str(code)}
        wide: dict[str, Any] = {"ntasks_per_node": profile.workers} if profile.workers > 1 else {}
        executor.update_parameters(
            job_name=f"{self.folder.absolute.name}-{array.name}",
            time=profile.minutes,
            signal_delay_s=_notice(profile.minutes),
            dependency=dependency,
            array_parallelism=profile.max_parallel or len(array.bundles),
            stderr_to_stdout=True,
            wckey=None,
            setup=[*profile.setup, *_environment(code)],
            srun_args=[f"--cpus-per-task={options['cpus-per-task']}"],  # since 22.05 srun does not inherit it
            additional_parameters={**options, **again},
            **wide,
        )
        return executor

    def _job(self, bundle: Bundle) -> SlurmJob:
        """What a bundle's worker gets: also the teachers it needs, should their jobs have gone wrong, or be cancelled
        with the grid that they were queued for."""
        limit = self.profile.minutes * 60
        needed = sorted({cohort.teacher.id for cohort in bundle if cohort.teacher} & self.teachers.keys())
        cohorts = (*(Cohort((self.teachers[teacher_id],)) for teacher_id in needed), *bundle)
        whole = job_of(cohorts, self.folder, self.settings, self.threads)
        job = replace(whole, patient=self.profile.workers > 1)
        return SlurmJob(job, warning=max(0, limit - _notice(self.profile.minutes) - EARLY_SECONDS))

    def _entry(self, job: submitit.Job[Any], bundle: Bundle, code: Path) -> ledger.Entry:
        return ledger.Entry(
            job_id=job.job_id,
            executor="slurm",
            run_ids=_run_ids(bundle),
            log=ledger.log_name(job.paths.stdout, self.folder),
            profile=self.profile_name,
            code=code.name,
            cluster=scheduler.cluster(),
        )


@contextmanager
def submitting(folder: Folder) -> Iterator[None]:
    """Only one command at a time submits to a place where results land, else two would submit the same.

    Raises UsageError if another one is at it.
    """
    path = folder.teachers.claim_path("submission")
    with Claims() as claims:
        while not claims.take(path):
            if seems_left(path):  # its holder may live; a sign of life would show
                time.sleep(LOOK_SECONDS)
                continue
            raise UsageError(
                f"another command is submitting jobs for {folder.path.parent} now; try again when it is done"
            )
        yield


def prepare(plan: Plan, folder: Folder, settings: Settings, profile: Profile, profile_name: str | None) -> Submission:
    """What of a plan is neither queued nor running, as arrays of jobs."""
    ledger.check(folder)
    live, own = scheduler.live(ledger.entries_beside(folder)), {*ledger.entries(folder)}
    shared = {teacher.id for teacher in plan.teachers}
    queued = {run_id: entry.job_id for entry in live for run_id in entry.run_ids if entry in own or run_id in shared}
    cohorts = [
        Cohort(runs) for cohort in plan.cohorts if (runs := tuple(run for run in cohort.runs if run.id not in queued))
    ]
    wanted = [run for cohort in cohorts for run in cohort.runs]
    limits = scheduler.limits(_text(profile, "account"), _text(profile, "qos"))
    needed = {run.teacher.id for run in wanted if run.teacher}
    missing = [teacher for teacher in plan.missing_teachers if teacher.id in needed]
    teachers = [teacher for teacher in missing if teacher.id not in queued]
    awaited = [teacher.id for teacher in missing if teacher.id in queued]
    seconds = {run_id: cost.alone for run_id, cost in forecasts(wanted, folder).items()}
    arrays = arrange(teachers, cohorts, awaited, seconds, profile, limits)
    by_id = {teacher.id: teacher for teacher in missing}
    return Submission(folder, settings, profile, profile_name, arrays, by_id, queued)


def _dependency(jobs: Mapping[str, str], teacher_ids: Sequence[str]) -> str | None:
    """Start when the jobs of these have ended, however: workers look at the records, train a teacher that is still
    missing, and say of one that failed why it did."""
    return ",".join(f"afterany:{job}" for job in dict.fromkeys(jobs[each] for each in teacher_ids)) or None


def _run_ids(bundle: Bundle) -> tuple[str, ...]:
    return tuple(run.id for cohort in bundle for run in cohort.runs)


def _notice(minutes: int) -> int:
    return min(NOTICE_SECONDS, minutes * 60 // 4)


def _text(profile: Profile, key: str) -> str | None:
    return str(profile.sbatch[key]) if key in profile.sbatch else None


def _reason(error: Exception) -> str:
    said = [
        line.removeprefix("sbatch: error: ") for line in str(error).splitlines() if line.startswith("sbatch: error")
    ]
    return "; ".join(said) or " ".join(str(error).split())


def _environment(code: Path) -> list[str]:
    """Lines of shell. Workers keep no bytecode beside the code: a full disk may cut such a file short, and no later job
    could import it.
    """
    path = f"export PYTHONPATH={shlex.quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}"
    return [path, "export PYTHONDONTWRITEBYTECODE=1"]
