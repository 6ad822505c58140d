"""How long a plan will take, from what runs of the same kind took."""

import shutil
from pathlib import Path

import fake_results as fake
import pytest
from planned import finish, grid, record

from benchmark.plan.forecast import forecast
from benchmark.plan.plan import make_plan
from benchmark.plan.values import Forecast
from benchmark.records import Folder
from benchmark.spec import Grid, load_grid


def of(grid: Grid, folder: Folder) -> Forecast:
    return forecast(make_plan(grid, folder), folder)


def test_a_forecast_says_what_was_never_measured(folder: Folder) -> None:
    plan = make_plan(grid(), folder)
    assert {run.id for run in of(grid(), folder).unknown} == {run.id for run in (*plan.teachers, *plan.runs)}
    fake.write(folder.path, *(record(run, 10.0) for run in plan.runs if run.seed == 0 and run.method != "sp"))
    fake.write(folder.teachers.path, *(record(teacher, 10.0) for teacher in plan.teachers))
    found = of(grid(), folder)
    assert {run.method for run in found.unknown} == {"sp"}
    assert len(found.unknown) == 12
    assert found.seconds == pytest.approx(12 * 10.0 / 2)


def test_what_is_not_applicable_takes_no_time(folder: Folder) -> None:
    plan = make_plan(grid(), folder)
    finish(folder, plan, 10.0)
    later = [run.id for run in plan.runs if run.seed == 1]
    for run_id in later:
        folder.record_path(run_id).unlink()
    plan = make_plan(grid(), folder)
    assert forecast(plan, folder).seconds == pytest.approx(18 * 10.0 / 2)
    assert forecast(plan, folder, later[:6]).seconds == pytest.approx(12 * 10.0 / 2)
    assert forecast(plan, folder, later) == Forecast(0.0, (), ())


def test_a_forecast_adds_up_what_runs_of_the_same_kind_took(folder: Folder) -> None:
    plan = make_plan(grid(), folder)
    fake.write(folder.path, *(record(run, 10.0) for run in plan.runs if run.seed == 0))
    fake.write(folder.teachers.path, *(record(teacher, 10.0) for teacher in plan.teachers))
    assert of(grid(), folder).seconds == pytest.approx(18 * 10.0 / 2)
    finish(folder, plan, 10.0)
    assert of(grid(), folder).seconds == 0.0


def test_a_forecast_takes_the_reference_where_nothing_was_measured(folder: Folder) -> None:
    reference = Folder(folder.path.parent / "reference" / folder.path.name)
    finish(reference, make_plan(grid(), reference), 4.0)
    assert of(grid(), folder).seconds == pytest.approx((36 + 4) * 4.0 / 2)


def test_a_grid_that_was_measured_has_a_forecast_before_anything_was_run(tmp_path: Path) -> None:
    measured = Path("results") / "reference" / "cifar100_cpu" / "measured"
    shutil.copytree(Path(__file__).parents[2] / measured, tmp_path / measured)
    folder = Folder(tmp_path / "results" / "cifar100_cpu")
    plan = make_plan(load_grid("cifar100_cpu"), folder)
    assert len(plan.runs) == 9 * 3
    found = forecast(plan, folder)
    assert found.seconds > 0
    assert (found.basis, found.unknown) == (("AMD EPYC (AVX2), 1 thread",), ())
