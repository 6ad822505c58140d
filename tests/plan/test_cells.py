"""The cells of a grid: which runs its methods, options, controls and selections come to."""

import fake_results as fake
import pytest
from planned import METHODS, grid

from benchmark.ground.errors import UsageError
from benchmark.plan.cells import cells, check_options, select
from benchmark.plan.frozen import merge
from benchmark.plan.values import Selection
from benchmark.spec import Control, Dataset, Grid, Options, Run
from methods import MethodError


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
    lenient = first.model_copy(update={"expected_accuracy": {}})
    assert merge(both, lenient).expected_accuracy == {"cifar10": {"l": 0.8}}  # what is no longer expected is gone
