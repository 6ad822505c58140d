"""From what is to be trained to job arrays: which cohorts share a job, and which jobs an array."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from benchmark.ground.errors import UsageError
from benchmark.launch.slurm.profile import Profile
from benchmark.launch.slurm.scheduler import Limits
from benchmark.plan.values import Cohort
from benchmark.spec import Run

T = TypeVar("T")
Bundle = tuple[Cohort, ...]
"""Cohorts that one job trains one after another, or its workers side by side."""


@dataclass(frozen=True)
class Array:
    """Jobs that are submitted together and wait for the same teachers, by their ids."""

    name: str
    bundles: tuple[Bundle, ...]
    needs: tuple[str, ...] = ()


def arrange(
    teachers: Sequence[Run],
    cohorts: Sequence[Cohort],
    awaited: Sequence[str],
    seconds: Mapping[str, float],
    profile: Profile,
    limits: Limits,
) -> list[Array]:
    """Arrays of teachers, then of cohorts, each within the cluster's array size.

    A cohort waits for its teacher if that is to be trained or `awaited`. Small cohorts of one teacher share a job as
    far as their seconds are known. What would be more jobs than this user may submit is shared out over as many as
    there may be. Raises UsageError if there may be none.
    """
    alone: list[Bundle] = [(Cohort((teacher,)),) for teacher in teachers]
    bundles = _packed(sorted(cohorts, key=_teacher_id), seconds, profile)
    if limits.jobs is not None and len(alone) + len(bundles) > limits.jobs:
        if limits.jobs < 1 + bool(alone and bundles):
            raise UsageError(f"{limits.jobs} more jobs may be submitted by this user now; try again later")
        places = max(1, limits.jobs // 2) if bundles else limits.jobs
        alone = _merged(alone, places)
        bundles = _merged(bundles, limits.jobs - len(alone))
    needed = {*awaited, *(teacher.id for teacher in teachers)}
    by_needs: dict[tuple[str, ...], list[Bundle]] = {}
    for bundle in bundles:
        by_needs.setdefault(tuple(sorted({_teacher_id(cohort) for cohort in bundle} & needed)), []).append(bundle)
    arrays = [Array("teachers", tuple(part)) for part in _parts(alone, limits.array)]
    for needs, jobs in by_needs.items():
        arrays += [Array(_name(part), tuple(part), needs) for part in _parts(jobs, limits.array)]
    return arrays


def _packed(cohorts: Sequence[Cohort], seconds: Mapping[str, float], profile: Profile) -> list[Bundle]:
    """A job for every cohort, or for as many of one teacher as fill its length; and never less than it has workers."""
    bundles: list[list[Cohort]] = []
    room = 0.0
    for cohort in cohorts:
        cost = sum(seconds.get(run.id, float("inf")) for run in cohort.runs) / profile.workers
        same = bool(bundles) and _teacher_id(bundles[-1][0]) == _teacher_id(cohort)
        if not same or (cost > room and len(bundles[-1]) >= profile.workers):
            bundles.append([])
            room = profile.job_minutes * 60.0
        bundles[-1].append(cohort)
        room -= cost
    return [tuple(bundle) for bundle in bundles]


def _merged(bundles: Sequence[Bundle], count: int) -> list[Bundle]:
    """Neighbours put together until at most `count` are left, none empty."""
    size, more = divmod(len(bundles), count)
    ends = [index * size + min(index, more) for index in range(count + 1)]
    parts = [bundles[start:end] for start, end in pairwise(ends)]
    return [tuple(cohort for bundle in part for cohort in bundle) for part in parts if part]


def _parts(items: Sequence[T], size: int | None) -> list[Sequence[T]]:
    size = size or len(items) or 1
    return [items[start : start + size] for start in range(0, len(items), size)]


def _name(bundles: Sequence[Bundle]) -> str:
    """After the cohorts: data set, teacher and seed, as far as they have them in common."""
    runs = [cohort.runs[0] for bundle in bundles for cohort in bundle]
    parts = (
        {run.dataset.name for run in runs},
        {run.teacher.student.name if run.teacher else "students" for run in runs},
        {f"s{run.seed}" for run in runs},
    )
    return "-".join(part.pop() if len(part) == 1 else f"{len(part)}" for part in parts[:2]) + (
        f"-{parts[2].pop()}" if len(parts[2]) == 1 else ""
    )


def _teacher_id(cohort: Cohort) -> str:
    return cohort.teacher.id if cohort.teacher else ""
