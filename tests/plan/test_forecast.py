"""How long a plan will take, from what runs of the same kind took."""

import shutil
from pathlib import Path

import fake_results as fake
import pytest
from planned import finish, grid, record

from benchmark.plan.plan import make_plan
from benchmark.records import Folder
from benchmark.spec import load_grid


def test_a_forecast_is_unknown_until_everything_was_measured(folder: Folder) -> None:
    plan = make_plan(grid(), folder)
    assert plan.forecast_seconds is None
    fake.write(folder.path, *(record(run, 10.0) for run in plan.runs if run.seed == 0 and run.method != "sp"))
    fake.write(folder.teachers.path, *(record(teacher, 10.0) for teacher in plan.teachers))
    assert make_plan(grid(), folder).forecast_seconds is None


def test_a_forecast_adds_up_what_runs_of_the_same_kind_took(folder: Folder) -> None:
    plan = make_plan(grid(), folder)
    fake.write(folder.path, *(record(run, 10.0) for run in plan.runs if run.seed == 0))
    fake.write(folder.teachers.path, *(record(teacher, 10.0) for teacher in plan.teachers))
    assert make_plan(grid(), folder).forecast_seconds == pytest.approx(18 * 10.0 / 2)
    finish(folder, plan, 10.0)
    assert make_plan(grid(), folder).forecast_seconds == 0.0


def test_a_forecast_takes_the_reference_where_nothing_was_measured(folder: Folder) -> None:
    reference = Folder(folder.path.parent / "reference" / folder.path.name)
    finish(reference, make_plan(grid(), reference), 4.0)
    assert make_plan(grid(), folder).forecast_seconds == pytest.approx((36 + 4) * 4.0 / 2)


def test_a_grid_that_was_measured_has_a_forecast_before_anything_was_run(tmp_path: Path) -> None:
    measured = Path("results") / "reference" / "cifar100_cpu" / "measured"
    shutil.copytree(Path(__file__).parents[2] / measured, tmp_path / measured)
    plan = make_plan(load_grid("cifar100_cpu"), Folder(tmp_path / "results" / "cifar100_cpu"))
    assert len(plan.runs) == 9 * 3
    assert plan.forecast_seconds is not None
    assert plan.forecast_seconds > 0
    assert plan.forecast_basis == ("AMD EPYC (AVX2), 1 thread",)
