"""A plan is a grid minus what is finished: what is missing, in cohorts, after their teachers."""

from collections import Counter

import fake_results as fake
import pytest
import tomli_w
from planned import METHODS, finish, grid, record

from benchmark.plan.cells import cells
from benchmark.plan.forecast import forecast
from benchmark.plan.frozen import freeze
from benchmark.plan.plan import make_plan
from benchmark.records import Folder
from benchmark.spec import Control, Run, load_grid
from benchmark.spec import run as spec_run


def test_a_fresh_folder_misses_everything(folder: Folder) -> None:
    plan = make_plan(grid(), folder)
    assert len(plan.runs) == len({run.id for run in plan.runs}) == 2 * 3 * 2 * 3
    assert len(plan.teachers) == len(plan.missing_teachers) == 2 * 2
    assert Counter(plan.states.values()) == {"missing": 36}
    assert not folder.path.exists()


def test_pairs_of_one_teacher_share_a_cohort_and_seeds_do_not(folder: Folder) -> None:
    plan = make_plan(grid(), folder)
    assert sorted(len(cohort.runs) for cohort in plan.cohorts) == [3] * 4 + [6] * 4
    for cohort in plan.cohorts:
        assert len({(run.dataset.name, run.seed, run.teacher and run.teacher.id) for run in cohort.runs}) == 1
    assert sum(len(cohort.runs) for cohort in plan.cohorts) == len(plan.runs)


def test_teachers_have_one_seed_or_their_students(folder: Folder) -> None:
    assert {run.teacher.seed for run in cells(grid()) if run.teacher} == {0}
    paired = cells(grid(teacher_seed="paired"))
    assert all(run.teacher and run.teacher.seed == run.seed for run in paired)


def test_only_what_is_missing_is_planned(folder: Folder) -> None:
    plan = make_plan(grid(), folder)
    finish(folder, plan)
    assert make_plan(grid(), folder).cohorts == ()
    lost, broken, diverged, failed = plan.runs[:4]
    folder.record_path(lost.id).unlink()
    folder.record_path(broken.id).write_text("{")
    folder.record_path(diverged.id).unlink()
    fake.write(folder.path, record(diverged, status="diverged"))
    folder.record_path(failed.id).unlink()
    folder.fail(failed.id, "ValueError: no", "")
    again = make_plan(grid(), folder)
    assert [run for cohort in again.cohorts for run in cohort.runs] == [lost]
    assert again.missing_teachers == ()
    assert Counter(again.states.values()) == {"done": 32, "missing": 1, "corrupt": 1, "diverged": 1, "failed": 1}


def test_what_is_tried_again_is_planned_as_if_it_had_not_failed(folder: Folder) -> None:
    plan = make_plan(grid(), folder)
    finish(folder, plan)
    failed, left = plan.runs[:2]
    assert failed.teacher
    for home, run in ((folder, failed), (folder, left), (folder.teachers, failed.teacher)):
        home.record_path(run.id).unlink()
        home.fail(run.id, "ValueError: no", "")
    again = make_plan(grid(), folder, again={failed.id, failed.teacher.id})
    assert again.missing == (failed,)
    assert again.missing_teachers == (failed.teacher,)
    assert again.states[left.id] == "failed"
    assert folder.failure(failed.id)  # which nothing has forgotten


def test_records_of_a_method_that_is_not_installed_do_not_stand_in_the_way(folder: Folder) -> None:
    """The rest is planned and forecast; the grid keeps the name."""
    plan = make_plan(grid(), folder)
    finish(folder, plan, seconds=3.0)
    student, *_ = (run for run in plan.runs if run.method == "kd")
    strange = {"method": "guest+kd", "label": "guest+kd", "options": {"guest": {"weight": 2.0}}}
    fake.write(folder.path, record(student.model_copy(update=strange), 3.0))
    folder.record_path(student.id).unlink()
    folder.path.joinpath("grid.toml").write_text(tomli_w.dumps(grid(methods=(*METHODS, "guest+kd")).as_toml()))
    freeze(grid(), folder, write=True)
    assert load_grid(str(folder.path / "grid.toml")).methods == (*METHODS, "guest+kd")
    again = make_plan(grid(), folder)
    assert [run for cohort in again.cohorts for run in cohort.runs] == [student]
    assert forecast(again, folder).seconds


def test_a_teacher_is_trained_only_if_a_missing_run_needs_it(folder: Folder) -> None:
    plan = make_plan(grid(), folder)
    finish(folder, plan)
    for path in (folder.teachers.path / "records").iterdir():
        path.unlink()
    assert make_plan(grid(), folder).missing_teachers == ()
    folder.record_path(plan.runs[0].id).unlink()
    assert make_plan(grid(), folder).missing_teachers == (plan.runs[0].teacher,)


def test_the_same_run_under_two_names_is_one(folder: Folder) -> None:
    same = Control(name="tuned", methods=("sp",), options={"sp": {"weight": 3000.0}})
    plan = make_plan(grid(methods=("student", "sp", "sp@tuned"), control=(same,)), folder)
    assert [run.label for run in plan.runs] == ["student", "sp"] * 12
    assert plan.aliases == {"sp@tuned": "sp"}


def test_planning_hashes_each_run_once(monkeypatch: pytest.MonkeyPatch, folder: Folder) -> None:
    hashed: list[object] = []
    monkeypatch.setattr(spec_run, "digest", lambda value, size=5: hashed.append(value) or f"{len(hashed):x}")

    def hashes(seeds: int) -> int:
        hashed.clear()
        make_plan(grid(seeds=tuple(range(seeds))), folder)
        return len(hashed)

    few, many = hashes(2), hashes(20)
    assert many - few == 2 * 18 * 3 * 2 * 3  # a run's id and its cohort's: no more for each of the runs that are added


def test_a_changed_copy_has_an_id_of_its_own() -> None:
    run = cells(grid())[0]
    assert run.id
    changed = run.model_copy(update={"seed": run.seed + 1})
    assert changed.id == Run.model_validate(changed.model_dump()).id != run.id
    assert changed.cohort_key != run.cohort_key
    assert run.model_copy() == run
