"""A results folder keeps to the protocol that it was begun with."""

from typing import Any

import fake_results as fake
import pytest
from planned import METHODS, grid

from benchmark.ground.errors import UsageError
from benchmark.plan.cells import cells
from benchmark.plan.frozen import check_frozen, merge
from benchmark.records import Folder
from benchmark.spec import Architecture, Control, Dataset, Pair


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
