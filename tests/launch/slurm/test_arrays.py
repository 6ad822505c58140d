"""Which cohorts share a job, which jobs an array, and that no run is forgotten or submitted twice."""

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.ground.errors import UsageError
from benchmark.launch.slurm.arrays import Array, arrange
from benchmark.launch.slurm.profile import Profile
from benchmark.launch.slurm.scheduler import Limits
from benchmark.plan.values import Cohort
from benchmark.spec import Run

TEACHERS = tuple(tiny.TEACHER.model_copy(update={"seed": seed}) for seed in range(4))
PROFILE = Profile(sbatch={}, job_minutes=10)


def cohorts(per_teacher: list[int]) -> list[Cohort]:
    """That many cohorts of two runs for each of the first teachers."""
    return [
        Cohort(tuple(tiny.run(method, seed=seed, teacher=teacher) for method in ("student", "kd")))
        for teacher, count in zip(TEACHERS, per_teacher, strict=False)
        for seed in range(count)
    ]


def students(arrays: list[Array]) -> list[Run]:
    return [run for array in arrays for bundle in array.bundles for c in bundle for run in c.runs if run.teacher]


def sizes(arrays: list[Array]) -> list[list[int]]:
    """Cohorts of every job of every array of students."""
    return [[len(bundle) for bundle in array.bundles] for array in arrays if array.name != "teachers"]


def test_an_array_for_every_teacher_that_is_waited_for() -> None:
    arrays = arrange(TEACHERS[:2], cohorts([2, 3, 1]), (), {}, PROFILE, Limits())
    assert [array.name for array in arrays] == [
        "teachers",
        *(array.name for array in arrays[1:]),
    ]
    assert {array.needs for array in arrays[1:]} == {(TEACHERS[0].id,), (TEACHERS[1].id,), ()}
    assert sorted(map(len, sizes(arrays))) == [1, 2, 3]
    assert arrange((), cohorts([1]), (TEACHERS[0].id,), {}, PROFILE, Limits())[0].needs == (TEACHERS[0].id,)


def test_small_cohorts_of_known_cost_share_a_job() -> None:
    wanted = cohorts([5, 1])
    minutes = {run.id: 120.0 for cohort in wanted for run in cohort.runs}  # a cohort takes 4 minutes
    arrays = arrange((), wanted, (), minutes, PROFILE, Limits())
    assert sorted(size for array in sizes(arrays) for size in array) == [1, 1, 2, 2]
    unknown = arrange((), wanted, (), {}, PROFILE, Limits())
    assert [size for array in sizes(unknown) for size in array] == [1] * 6


def test_workers_of_a_job_have_a_cohort_each() -> None:
    profile = PROFILE.model_copy(update={"workers": 2})
    assert sizes(arrange((), cohorts([5]), (), {}, profile, Limits())) == [[2, 2, 1]]


def test_arrays_are_cut_at_the_clusters_size() -> None:
    assert sizes(arrange((), cohorts([5]), (), {}, PROFILE, Limits(array=2))) == [[1, 1], [1, 1], [1]]


@pytest.mark.parametrize(("teachers", "jobs"), [(0, 0), (2, 0), (2, 1)])
def test_no_job_may_be_submitted(teachers: int, jobs: int) -> None:
    with pytest.raises(UsageError, match=f"{jobs} more jobs may be submitted"):
        arrange(TEACHERS[:teachers], cohorts([1, 1]), (), {}, PROFILE, Limits(jobs=jobs))


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    missing=st.integers(0, 4),
    jobs=st.none() | st.integers(2, 9),
    size=st.none() | st.integers(1, 4),
    workers=st.integers(1, 3),
)
def test_every_run_once_within_all_limits(
    counts: list[int], missing: int, jobs: int | None, size: int | None, workers: int
) -> None:
    teachers, wanted = TEACHERS[: min(missing, len(counts))], cohorts(counts)
    profile = PROFILE.model_copy(update={"workers": workers})
    arrays = arrange(teachers, wanted, (), {}, profile, Limits(size, jobs))
    trained = [c.runs[0].id for a in arrays if a.name == "teachers" for b in a.bundles for c in b]
    assert trained == [teacher.id for teacher in teachers]
    assert sorted(run.id for run in students(arrays)) == sorted(run.id for c in wanted for run in c.runs)
    assert jobs is None or sum(len(array.bundles) for array in arrays) <= jobs
    assert size is None or all(len(array.bundles) <= size for array in arrays)
    for array in arrays:
        assert all(bundle for bundle in array.bundles)
        if array.name != "teachers":
            own = {c.teacher.id for bundle in array.bundles for c in bundle if c.teacher}
            assert set(array.needs) == own & set(trained)
