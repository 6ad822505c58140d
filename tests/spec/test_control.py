"""Standard controls by name, what may be said of them, and what their recipes come to."""

from typing import Any

import pytest
import tomli_w

from benchmark.ground.errors import UsageError
from benchmark.spec import GRIDS, STANDARD, Control, Grid, load_grid
from benchmark.spec.value import parse, read_toml


def grid(control: Any, **changes: Any) -> Grid:
    raw = read_toml(GRIDS / "smoke.toml", "grid file") | {"name": "own", "methods": ["student", "kd", "sp"]}
    return parse(Grid, {**raw, "control": control, **changes}, "own.toml")


def test_one_line_switches_all_of_them_on() -> None:
    found = grid(list(STANDARD))
    assert found.all_methods[3:] == (
        *("kd@random", "sp@random"),
        *("kd@shuffled", "sp@shuffled"),
        *("kd@born_again", "sp@born_again"),
        *("student@label_smoothing", "student@longer", "student@matched_kd", "student@matched_sp"),
    )
    by_name = {control.name: control for control in found.control}
    assert by_name["random"].teacher == "untrained"
    assert by_name["shuffled"].shuffled
    assert by_name["born_again"].teacher == "student"
    assert found.recipe_of("resnet_s", by_name["label_smoothing"]).label_smoothing == 0.1
    assert found.recipe_of("resnet_s", by_name["longer"]).epochs == 2 * found.recipe.epochs
    assert by_name["matched_sp"].flops_of == "sp"
    composed = grid(["matched"], methods=["student", "kd+sp"])
    assert (composed.all_methods[-1], composed.control[0].flops_of) == ("student@matched_kd_and_sp", "kd+sp")


def test_a_table_says_which_methods_or_everything() -> None:
    some = grid([{"name": "random", "methods": ["sp"]}, {"name": "matched", "methods": ["kd"]}])
    assert some.all_methods[3:] == ("sp@random", "student@matched_kd")
    assert some.control[0].teacher == "untrained"
    own = grid([{"name": "longer", "recipe": {"epochs": 9}}]).control[0]
    assert (own.times, own.recipe) == (None, {"epochs": 9})


def test_a_longer_schedule_keeps_its_milestones_in_proportion_and_its_warm_up() -> None:
    steps = {"schedule": "step", "milestones": [10, 15], "epochs": 20, "warmup_epochs": 2}
    recipe = read_toml(GRIDS / "smoke.toml", "")["recipe"] | steps
    longer = grid(["longer"], recipe=recipe)
    stretched = longer.recipe_of("resnet_s", longer.control[0])
    assert (stretched.epochs, stretched.milestones, stretched.warmup_epochs) == (40, (20, 30), 2)
    assert longer.recipe_of("resnet_s", longer.control[0], epochs=70) == stretched  # which is for matches alone


def test_what_a_frozen_grid_says_is_read_as_it_was(tmp_path: Any) -> None:
    begun = grid(list(STANDARD))
    counted = begun.control_named("matched_kd").with_counts({"digits": {"resnet_m_resnet_s": 7}})
    begun = begun.model_copy(update={"control": (*(c for c in begun.control if c.name != "matched_kd"), counted)})
    path = tmp_path / "own.toml"
    path.write_text(tomli_w.dumps(begun.as_toml()))
    assert load_grid(str(path)) == begun


def test_counts_stay_and_others_come_beside_them() -> None:
    first = Control(name="matched_kd", flops_of="kd", epochs={"digits": {"a_b": 5}})
    both = first.with_counts({"digits": {"a_b": 6, "a_c": 7}, "mnist": {"a_b": 8}})
    assert both.epochs == {"digits": {"a_b": 5, "a_c": 7}, "mnist": {"a_b": 8}}
    assert (both.counted("digits", "a_c"), both.counted("mnist", "a_c")) == (7, None)
    assert first.identity() == both.identity()


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ("randm", "unknown control 'randm': did you mean random?"),
        ({"name": "matched_kd", "flops_of": "kd", "methods": ["kd"]}, "flops_of = 'kd' trains the student alone"),
        ({"name": "long", "epochs": {"digits": {"a_b": 5}}}, "epochs are counted, of a control that matches a method"),
        ({"name": ["matched"]}, "control.0.name: Input should be a valid string, got ['matched']"),
        ({"name": "kd_budget", "flops_of": "kd"}, "name 'kd_budget' has to begin with 'matched'"),
        ({"name": "matched", "methods": 5}, "control.0.methods: Input should be a list, got 5"),
        ({"name": "never", "times": 0}, "control.0.times: Input should be greater than 0, got 0"),
    ],
)
def test_what_is_refused(control: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        grid([control])
    assert message in str(caught.value)
