"""Plans: what of a grid is missing, who trains together, and what it will take."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import fake_results as fake
import pytest
import tomli_w

from benchmark.errors import UsageError
from benchmark.plan.cells import cells, check_options, select
from benchmark.plan.frozen import check_frozen, freeze, merge
from benchmark.plan.plan import make_plan
from benchmark.plan.values import Plan, Selection
from benchmark.records import Cost, Folder, Record, Result
from benchmark.spec import Architecture, Control, Dataset, Grid, Options, Pair, Run, load_grid
from benchmark.spec import run as spec_run
from methods import MethodError

METHODS = ("student", "kd", "sp")


def grid(**changes: Any) -> Grid:
    """Two pairs under one teacher, one under another."""
    pairs = [("l", "s"), ("l", "t"), ("m", "s")]
    values: dict[str, Any] = {
        "name": "g",
        "datasets": [Dataset(name="digits"), Dataset(name="mnist")],
        "pairs": [Pair(teacher=teacher, student=student) for teacher, student in pairs],
        "architectures": {name: Architecture(name=name, model=f"model_{name}") for name in "lmst"},
        "methods": METHODS,
        "seeds": (0, 1),
        "recipe": fake.RECIPE,
        "teacher_recipe": fake.RECIPE,
    }
    return Grid(**{**values, **changes})


RESULTS = {"done": Result(top1=0.5), "diverged": Result(reason="not finite", diverged_epoch=0)}


def record(run: Run, seconds: float | None = None, status: str = "done") -> Record:
    """A run's record, trained in a cohort of two."""
    like = fake.record(fake.run())
    cost = Cost(cohort_seconds=seconds, cohort_size=2)
    result = RESULTS[status].model_copy(update={"teacher_id": run.teacher.id if run.teacher else None})
    values = {"run_id": run.id, "run": run, "status": status, "result": result, "cost": cost}
    return like.model_copy(update=values)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "g")


def finish(folder: Folder, plan: Plan, seconds: float | None = None) -> None:
    """Records of everything."""
    fake.write(folder.path, *(record(run, seconds) for run in plan.runs))
    fake.write(folder.teachers.path, *(record(teacher, seconds) for teacher in plan.teachers))


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
    assert again.forecast_seconds


def test_a_teacher_is_trained_only_if_a_missing_run_needs_it(folder: Folder) -> None:
    plan = make_plan(grid(), folder)
    finish(folder, plan)
    for path in (folder.teachers.path / "records").iterdir():
        path.unlink()
    assert make_plan(grid(), folder).missing_teachers == ()
    folder.record_path(plan.runs[0].id).unlink()
    assert make_plan(grid(), folder).missing_teachers == (plan.runs[0].teacher,)


@pytest.mark.parametrize(
    ("selection", "runs"),
    [
        (Selection(), 36),
        (Selection(methods=("kd",)), 12),
        (Selection(methods=("kd", "rkd_d")), 24),
        (Selection(seeds=(5,)), 18),
        (Selection(pairs=("l_s",)), 12),
        (Selection(datasets=("mnist",)), 18),
        (Selection(methods=("kd",), seeds=(0,), pairs=("m_s",), datasets=("digits",)), 1),
    ],
    ids=str,
)
def test_selections(selection: Selection, runs: int) -> None:
    selected = cells(select(grid(), selection))
    assert len(selected) == runs
    known = {run.id for run in cells(grid(methods=(*METHODS, "rkd_d"), seeds=(0, 1, 5)))}
    assert {run.id for run in selected} <= known  # what else is chosen does not change a run


@pytest.mark.parametrize(
    ("selection", "complaint"),
    [
        (Selection(pairs=("l_x",)), "unknown pair 'l_x': did you mean .* valid: l_s, l_t, m_s"),
        (Selection(datasets=("minst",)), "unknown dataset 'minst': did you mean mnist"),
    ],
)
def test_selections_that_the_grid_lacks(selection: Selection, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        select(grid(), selection)


def by_method(usual: Options = {}, overrides: Options = {}) -> dict[str, Run]:
    runs = cells(grid(methods=("student", "kd", "kd+sp"), options=usual, seeds=(0,)), overrides)
    return {run.method: run for run in runs[:3]}


def test_overrides_make_other_runs_with_other_labels() -> None:
    plain, changed = by_method(), by_method(overrides={"kd": {"temperature": 2}})
    assert changed["student"] == plain["student"]
    for method, label in (("kd", "kd[temperature=2]"), ("kd+sp", "kd[temperature=2]+sp")):
        assert changed[method].id != plain[method].id
        assert changed[method].label == label
        assert plain[method].label == method
    assert by_method(overrides={"kd": {"temperature": 4}}) == plain  # the default, said aloud


def test_a_grid_has_usual_options_of_its_own() -> None:
    usual: Options = {"kd": {"temperature": 2.0}}
    run = by_method(usual)["kd"]
    assert (run.options["kd"]["temperature"], run.label) == (2.0, "kd")
    assert run.id == by_method(overrides=usual)["kd"].id  # how it was said does not matter
    back = by_method(usual, {"kd": {"temperature": 4}})["kd"]
    assert (back.id, back.label) == (by_method()["kd"].id, "kd[temperature=4]")


@pytest.mark.parametrize(
    ("usual", "overrides", "complaint"),
    [
        ({}, {"gkd": {"power": 2}}, "--option names 'gkd', which is not among this run's methods: kd, sp, student"),
        (
            {},
            {"kd": {"temp": 2}},
            "method 'kd' has no option 'temp'; valid: ce, standardize, t_squared, temperature, weight",
        ),
        ({}, {"kd": {"temperature": "hot"}}, "kd.temperature = 'hot' is not a float"),
        ({"kdd": {"temperature": 2}}, {}, "unknown method 'kdd': did you mean kd"),
        ({"kd": {"temp": 2}}, {}, "method 'kd' has no option 'temp'"),
    ],
)
def test_options_that_do_not_exist(usual: Options, overrides: Options, complaint: str) -> None:
    with pytest.raises((UsageError, MethodError), match=complaint):
        check_options(grid(options=usual), overrides)


def test_options_of_methods_that_are_not_chosen_now_may_stand_in_the_grid() -> None:
    check_options(grid(options={"gkd": {"power": 2}}), {"kd": {"temperature": 2}})


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"recipe": fake.RECIPE.model_copy(update={"epochs": 3})}, "recipe.epochs = 30 there, 3 now"),
        ({"teacher_recipe": fake.RECIPE.model_copy(update={"flip": True})}, "teacher_recipe.flip = False there, True"),
        ({"teacher_seed": "paired"}, "teacher_seed = 0 there, 'paired' now"),
        ({"datasets": [Dataset(name="digits", train=9)]}, "datasets.digits.train = None there, 9 now"),
        ({"datasets": [Dataset(name="digits", path="x", test=9)]}, "datasets.digits.test = None there, 9 now"),
        (
            {"architectures": {**grid().architectures, "l": Architecture(name="l", model="x")}},
            "architectures.l.model = 'model_l' there, 'x' now",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_folder_keeps_one_protocol(changes: dict[str, Any], difference: str, folder: Folder) -> None:
    with pytest.raises(UsageError) as caught:
        check_frozen(grid(**changes), grid(), folder)
    assert difference in str(caught.value)
    assert str(folder.path) in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": ("gkd",)},
        {"seeds": (7,)},
        {"pairs": [Pair(teacher="m", student="t")]},
        {"datasets": [Dataset(name="cifar10")]},
        {"description": "other"},
        {},
    ],
    ids=str,
)
def test_another_selection_is_the_same_protocol_and_adds_up(changes: dict[str, Any], folder: Folder) -> None:
    check_frozen(grid(**changes), grid(), folder)
    both = merge(grid(), grid(**changes))
    ids = {run.id for run in cells(both)}
    assert {run.id for run in cells(grid())} <= ids
    assert {run.id for run in cells(grid(**changes))} <= ids
    assert merge(both, grid(**changes)) == both


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


def by_label(plan_grid: Grid, pair: str = "l_s", seed: int = 0) -> dict[str, Run]:
    return {run.label: run for run in cells(plan_grid) if (run.pair, run.seed) == (pair, seed)}


def test_recipes_differ_for_an_architecture_in_either_role() -> None:
    runs = by_label(grid(recipes={"s": {"learning_rate": 0.01}, "m": {"flip": True}}), pair="m_s")
    assert runs["kd"].recipe == fake.RECIPE.model_copy(update={"learning_rate": 0.01})
    assert runs["kd"].teacher is not None
    assert runs["kd"].teacher.recipe == fake.RECIPE.model_copy(update={"flip": True})
    assert by_label(grid(), pair="l_t")["kd"].recipe == fake.RECIPE


def test_controls_are_runs_of_methods_under_another_recipe_teacher_or_options() -> None:
    controls = (
        Control(name="longer", recipe={"epochs": 60}),
        Control(name="born_again", methods=("kd", "sp"), teacher="student"),
        Control(name="shuffled", methods=("kd",), shuffled=True),
        Control(name="hot", methods=("kd",), options={"kd": {"temperature": 20.0}}),
    )
    controlled = grid(control=controls)
    assert controlled.all_methods == (
        *METHODS,
        "student@longer",
        "kd@born_again",
        "sp@born_again",
        "kd@shuffled",
        "kd@hot",
    )
    runs = by_label(controlled.model_copy(update={"methods": controlled.all_methods}))
    assert list(runs) == list(controlled.all_methods)
    assert len({run.id for run in runs.values()}) == len(runs)
    plain = runs["kd"]
    assert plain.teacher is not None
    assert runs["student@longer"].recipe == fake.RECIPE.model_copy(update={"epochs": 60})
    assert runs["student@longer"].teacher == plain.teacher
    again = runs["kd@born_again"].teacher
    assert again is not None
    assert (again.student.name, again.recipe, again.method) == ("s", fake.RECIPE, "student")
    assert runs["kd@shuffled"].shuffled
    assert runs["kd@shuffled"].cohort_key == plain.cohort_key
    assert runs["kd@hot"].options["kd"] == {**plain.options["kd"], "temperature": 20.0}


def test_a_control_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="unknown control 'longr': did you mean longer"):
        cells(grid(methods=("student@longr",), control=(Control(name="longer"),)))
    with pytest.raises(MethodError, match="'temprature'"):
        check_options(grid(control=(Control(name="hot", options={"kd": {"temprature": 20.0}}),)), {})


def test_a_folder_keeps_to_its_controls(folder: Folder) -> None:
    begun = grid(control=(Control(name="longer", recipe={"epochs": 60}),))
    check_frozen(begun, begun, folder)
    check_frozen(grid(), begun, folder)
    assert merge(begun, grid()).control == begun.control
    other = grid(methods=("student@longer",), control=(Control(name="longer", recipe={"epochs": 90}),))
    with pytest.raises(UsageError, match=r"control.longer.recipe = \{'epochs': 60\} there, \{'epochs': 90\} now"):
        check_frozen(other, begun, folder)
    unused = other.model_copy(update={"methods": METHODS})
    check_frozen(unused, begun, folder)  # as after a second tuning, of which nothing is run
    assert merge(begun, unused).control == begun.control


def test_a_folder_keeps_to_the_options_of_the_methods_it_has(folder: Folder) -> None:
    """The table has one row for a method."""
    begun = grid(methods=("student", "kd"), options={"kd": {"ce": 0.5}})
    wider = grid(methods=("sp",), options={"kd": {"ce": 0.5}, "sp": {"weight": 30.0}})
    check_frozen(wider, begun, folder)
    assert merge(begun, wider).options == wider.options
    changed = wider.model_copy(update={"options": {"kd": {"ce": 0.5}, "sp": {"weight": 40.0}}})
    check_frozen(changed, merge(begun, wider.model_copy(update={"methods": ("kd",)})), folder)  # sp was never run
    assert merge(begun.model_copy(update={"options": wider.options}), changed).options == changed.options
    with pytest.raises(UsageError, match=r"options.kd = \{'ce': 0.5\} there, \{'ce': 0.7\} now"):
        check_frozen(grid(options={"kd": {"ce": 0.7}}), begun, folder)
    with pytest.raises(UsageError, match=r"options.kd = \{'ce': 0.5\} there, \{\} now"):
        check_frozen(grid(), begun, folder)


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


def test_a_grid_that_was_measured_has_a_forecast_before_anything_was_run(tmp_path: Path) -> None:
    measured = Path("results") / "reference" / "cifar100_cpu" / "measured"
    shutil.copytree(Path(__file__).parents[2] / measured, tmp_path / measured)
    plan = make_plan(load_grid("cifar100_cpu"), Folder(tmp_path / "results" / "cifar100_cpu"))
    assert len(plan.runs) == 9 * 3
    assert plan.forecast_seconds is not None
    assert plan.forecast_seconds > 0
    assert plan.forecast_basis == ("AMD EPYC (AVX2), 1 thread",)


def test_a_selection_of_data_sets_expects_accuracies_of_these_alone() -> None:
    """What is written for workers to read must be a grid."""
    both = grid(
        datasets=[Dataset(name="digits"), Dataset(name="cifar10")],
        expected_accuracy={"digits": {"l": 0.9}, "cifar10": {"l": 0.8}},
    )
    first, second = (select(both, Selection(datasets=(name,))) for name in ("digits", "cifar10"))
    assert first.expected_accuracy == {"digits": {"l": 0.9}}
    for written in (first, merge(first, second)):
        assert Grid.model_validate(written.as_toml()) == written
    assert merge(first, second).expected_accuracy == both.expected_accuracy
