"""To SLURM through submitit: teachers first, then arrays of cohorts that wait for just the teachers they need."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError

from benchmark import ledger, scheduler
from benchmark.arrays import Array, Bundle, arrange
from benchmark.claims import Claims
from benchmark.errors import UsageError
from benchmark.forecast import forecasts
from benchmark.job import Job, Work
from benchmark.plan import Cohort, Plan
from benchmark.profile import Profile
from benchmark.records import Folder
from benchmark.slurm_job import SlurmJob
from benchmark.snapshot import ROOT, snapshot, source_hash

NOTICE_SECONDS = 120
"""How long before the time limit SLURM warns, if that is not much of the limit; it may do so a minute early."""

EARLY_SECONDS = 60
ENDLESS = 10**6
"""submitit counts time-outs and gives up; here the progress decides."""


@dataclass(frozen=True)
class Submission:
    """A plan, less what is queued already, as arrays; `awaited` are jobs that train teachers already, by teacher."""

    whole: Job
    folder: Folder
    profile: Profile
    profile_name: str | None
    arrays: Sequence[Array]
    awaited: Mapping[str, str]

    def submit(self) -> list[ledger.Entry]:
        """Hand everything to SLURM and note it in the ledger. Raises UsageError if it is refused."""
        code = snapshot(self.folder.path.resolve() / "code")
        jobs, sole, submitted = dict(self.awaited), set(self.awaited), []
        for array in self.arrays:
            known = {teacher_id: jobs[teacher_id] for teacher_id in array.needs}
            executor = self._executor(array, code, _dependency(known, sole))
            try:
                with redirect_stderr(StringIO()):  # submitit prints there what the error says as well
                    started = executor.submit_array([self._job(bundle) for bundle in array.bundles])
            except FailedJobError as error:
                raise UsageError(f"SLURM refused {array.name}: {_reason(error)}") from None
            entries = [self._entry(job, bundle, code) for job, bundle in zip(started, array.bundles, strict=True)]
            self._note(entries)
            submitted += entries
            jobs |= {run_id: entry.job_id for entry in entries for run_id in entry.run_ids}
            sole |= {entry.run_ids[0] for entry in entries if len(entry.run_ids) == 1}
        return submitted

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
        described = []
        for array in self.arrays:
            known = {teacher_id: self.awaited.get(teacher_id, f"JOB_OF_{teacher_id}") for teacher_id in array.needs}
            executor = self._executor(array, code, _dependency(known, set(known)))
            if len(array.bundles) > 1:
                executor.parameters["map_count"] = len(array.bundles)
            text = executor._make_submission_file_text(executor._submitit_command_str, "")
            described.append((array, [line for line in text.splitlines() if line and line != "# Parameters"][1:]))
        return described

    def _executor(self, array: Array, code: Path, dependency: str | None) -> submitit.SlurmExecutor:
        profile = self.profile
        executor = submitit.SlurmExecutor(self._logs(array), max_num_timeout=ENDLESS)
        options = {key: value for key, value in profile.sbatch.items() if key != "time"}
        options = {"cpus-per-task": self.whole.threads, **options}
        again = {"requeue": True, "kill-on-invalid-dep": "yes", "chdir": str(code)}
        wide: dict[str, Any] = {"ntasks_per_node": profile.workers} if profile.workers > 1 else {}
        executor.update_parameters(
            job_name=f"{self.folder.path.name}-{array.name}",
            time=profile.minutes,
            signal_delay_s=_notice(profile.minutes),
            dependency=dependency,
            array_parallelism=profile.max_parallel or len(array.bundles),
            stderr_to_stdout=True,
            wckey=None,
            setup=[*profile.setup, f"export PYTHONPATH={shlex.quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}"],
            srun_args=[f"--cpus-per-task={options['cpus-per-task']}"],  # since 22.05 srun does not inherit it
            additional_parameters={**options, **again},
            **wide,
        )
        return executor

    def _logs(self, array: Array) -> Path:
        return self.folder.path.resolve() / "logs" / array.name

    def _job(self, bundle: Bundle) -> SlurmJob:
        """What a bundle's worker gets: also the teachers it needs, should their jobs have gone wrong."""
        limit = self.profile.minutes * 60
        missing = {work.run_ids[0]: work for work in self.whole.work if work.teacher_id is None}
        needed = {cohort.teacher.id for cohort in bundle if cohort.teacher} & missing.keys()
        own = [_work(cohort, self.folder) for cohort in bundle]
        work = (*(missing[teacher_id] for teacher_id in sorted(needed)), *own)
        job = replace(self.whole, work=work, patient=self.profile.workers > 1)
        return SlurmJob(job, warning=max(0, limit - _notice(self.profile.minutes) - EARLY_SECONDS))

    def _entry(self, job: "submitit.Job[Any]", bundle: Bundle, code: Path) -> ledger.Entry:
        return ledger.Entry(
            job_id=job.job_id,
            executor="slurm",
            run_ids=tuple(run.id for cohort in bundle for run in cohort.runs),
            log=ledger.log_name(job.paths.stdout, self.folder),
            profile=self.profile_name,
            code=code.name,
        )


@contextmanager
def submitting(folder: Folder) -> Iterator[None]:
    """Only one command at a time submits to a place where results land, else two would submit the same.

    Raises UsageError if another one is at it.
    """
    path = folder.teachers.path / "claims" / "submission.json"
    with Claims() as claims:
        if not claims.take(path):
            raise UsageError(
                f"another command is submitting jobs for {folder.path.parent} now; try again when it is done"
            )
        yield


def prepare(plan: Plan, folder: Folder, whole: Job, profile: Profile, profile_name: str | None) -> Submission:
    """What of a plan is neither queued nor running, as arrays of jobs."""
    started = [entry for entry in ledger.entries_beside(folder) if entry.in_slurm]
    live = scheduler.queue(entry.job_id for entry in started)
    job_of = {run_id: entry.job_id for entry in started if entry.job_id in live for run_id in entry.run_ids}
    teachers = [teacher for teacher in plan.missing_teachers if teacher.id not in job_of]
    awaited = {teacher.id: job_of[teacher.id] for teacher in plan.missing_teachers if teacher.id in job_of}
    cohorts = [
        Cohort(runs) for cohort in plan.cohorts if (runs := tuple(run for run in cohort.runs if run.id not in job_of))
    ]
    wanted = [run for cohort in cohorts for run in cohort.runs]
    limits = scheduler.limits(_text(profile, "account"), _text(profile, "qos"))
    needed = {run.teacher.id for run in wanted if run.teacher}
    teachers = [teacher for teacher in teachers if teacher.id in needed]
    seconds = {run_id: cost.alone for run_id, cost in forecasts(wanted, folder).items()}
    arrays = arrange(teachers, cohorts, tuple(awaited), seconds, profile, limits)
    work = tuple(_work(Cohort((teacher,)), folder) for teacher in teachers)
    return Submission(replace(whole, work=work), folder, profile, profile_name, arrays, awaited)


def _work(cohort: Cohort, folder: Folder) -> Work:
    home = folder if cohort.teacher else folder.teachers
    return Work(
        str(home.path.resolve()), tuple(run.id for run in cohort.runs), cohort.teacher.id if cohort.teacher else None
    )


def _dependency(jobs: Mapping[str, str], sole: set[str]) -> str | None:
    """Start when the teachers are trained. A job that has several of them may fail because of another one's; then the
    workers look at the records.
    """
    kinds = {job_id: "afterok" if teacher_id in sole else "afterany" for teacher_id, job_id in sorted(jobs.items())}
    return ",".join(f"{kind}:{job_id}" for job_id, kind in kinds.items()) or None


def _notice(minutes: int) -> int:
    return min(NOTICE_SECONDS, minutes * 60 // 4)


def _text(profile: Profile, key: str) -> str | None:
    return str(profile.sbatch[key]) if key in profile.sbatch else None


def _reason(error: Exception) -> str:
    said = [
        line.removeprefix("sbatch: error: ") for line in str(error).splitlines() if line.startswith("sbatch: error")
    ]
    return "; ".join(said) or " ".join(str(error).split())
