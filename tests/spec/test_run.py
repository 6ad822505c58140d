"""What is part of a run's id and what is not, and the values that it is made of."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.spec import GRIDS, PROTOCOL_REVISION, Architecture, Dataset, Grid, Recipe, Run, Value, derive_seed, parse

RECIPE = Recipe(epochs=10, batch_size=32, learning_rate=0.1, input_size=8, mean=(0.3,), std=(0.4,))
DIGITS = Dataset(name="digits", train=100)
TEACHER = Run(dataset=DIGITS, student=Architecture(name="l", model="resnet18"), method="student", recipe=RECIPE, seed=0)
RUN = Run(
    dataset=DIGITS,
    student=Architecture(name="s", model="resnet10t", options={"width": 4}),
    method="kd",
    options={"kd": {"temperature": 4.0}},
    revisions={"kd": 1},
    recipe=RECIPE,
    seed=0,
    teacher=TEACHER,
    pair="l_s",
    label="kd",
)
CHANGES: dict[str, list[Any]] = {
    "dataset.name": ["mnist"],
    "dataset.train": [99, None],
    "dataset.validation": [10],
    "dataset.test": [10],
    "dataset.split_seed": [1],
    "dataset.image_column": ["img"],
    "dataset.label_column": ["coarse_label"],
    "dataset.storage": ["streamed"],
    "student.model": ["resnet14t"],
    "student.options": [{"width": 5}, {"width": 4, "depth": 1}, {}],
    "student.stem": ["small"],
    "student.revision": [1],
    "method": ["sp", "kd+sp"],
    "options": [{"kd": {"temperature": 2.0}}, {"kd": {"temperature": 4.0, "weight": 1.0}}, {}],
    "revisions": [{"kd": 2}],
    "seed": [1],
    "protocol": [0],
    "shuffled": [True],
    "teacher": [None],
    "teacher.seed": [1],
    "teacher.recipe.epochs": [11],
    "teacher.student.model": ["resnet34"],
    "recipe.epochs": [11],
    "recipe.batch_size": [33],
    "recipe.last_batch": ["drop"],
    "recipe.learning_rate": [0.2],
    "recipe.momentum": [0.8],
    "recipe.nesterov": [True],
    "recipe.weight_decay": [0.1],
    "recipe.label_smoothing": [0.1],
    "recipe.max_norm": [2.0],
    "recipe.without_classes": [(3,), (3, 5)],
    "recipe.schedule": ["constant"],
    "recipe.milestones": [(5,)],
    "recipe.decay": [0.2],
    "recipe.warmup_epochs": [1],
    "recipe.rate_changes": ["step"],
    "recipe.input_size": [16],
    "recipe.crop_padding": [1],
    "recipe.padding": ["reflect"],
    "recipe.crop_pct": [0.875],
    "recipe.crop_scale": [(0.2, 1.0)],
    "recipe.flip": [True],
    "recipe.mean": [(0.2,), (0.3, 0.3, 0.3)],
    "recipe.std": [(0.3,)],
    "recipe.precision": ["bfloat16", "tf32"],
    "recipe.teacher_precision": ["bfloat16", "tf32"],
    "recipe.channels_last": [True],
    "recipe.deterministic": [not RECIPE.deterministic],
}
NAMES_FOR_PEOPLE = {
    "pair": "other",
    "label": "other",
    "student.name": "other",
    "teacher.student.name": "other",
    "dataset.path": "other",
}
PERMISSIONS = {"student.collapsed_map": "accept"}
WEIGHTS = ("student.weights", "student.weights_sha256")
"""Where weights lie, and the hash that alone counts."""


def changed(value: Any, field: str, to: Any) -> Any:
    """A copy with one field, `outer.inner`, of another value."""
    name, _, rest = field.partition(".")
    return value.model_copy(update={name: changed(getattr(value, name), rest, to) if rest else to})


@pytest.mark.parametrize(("field", "to"), [(field, to) for field, values in CHANGES.items() for to in values])
def test_the_id_changes_with_everything_that_changes_numbers(field: str, to: Any) -> None:
    other = changed(RUN, field, to)
    assert other.id != RUN.id
    assert other.hash != RUN.hash


@pytest.mark.parametrize(("field", "to"), [*NAMES_FOR_PEOPLE.items(), *PERMISSIONS.items()])
def test_the_hash_does_not_change_with_names_for_people_and_permissions(field: str, to: str) -> None:
    assert changed(RUN, field, to).hash == RUN.hash


def test_every_field_is_said_to_change_the_id_or_not() -> None:
    """A new field has to be thought about."""
    tables = {"dataset": Dataset, "student": Architecture, "recipe": Recipe}
    fields = {f"{table}.{name}" for table, kind in tables.items() for name in kind.model_fields}
    fields |= set(Run.model_fields) - set(tables)
    assert fields <= {*CHANGES, *NAMES_FOR_PEOPLE, *PERMISSIONS, *WEIGHTS}


def test_weights_count_by_their_hash_alone() -> None:
    path, digest = WEIGHTS
    here, there = (changed(changed(RUN, path, file), digest, "0" * 64) for file in ("a.pth", "b.pth"))
    assert here.hash == there.hash
    assert len({RUN.hash, here.hash, changed(here, digest, "1" * 64).hash}) == 3


def test_ids_are_stable_and_readable() -> None:
    assert RUN.id.startswith("digits-l-s-kd-s0-")
    assert TEACHER.id.startswith("digits-l-teacher-s0-")
    assert Run.model_validate_json(RUN.model_dump_json()).id == RUN.id
    assert "/" not in changed(RUN, "student.name", "a/b").id


@pytest.mark.parametrize(
    ("field", "to", "together"),
    [
        ("method", "sp", True),
        ("student.model", "x", True),
        ("seed", 1, False),
        ("teacher.seed", 1, False),
        ("recipe.epochs", 3, False),
        ("dataset.train", 3, False),
    ],
)
def test_cohorts_share_dataset_teacher_recipe_and_seed(field: str, to: Any, together: bool) -> None:
    assert (changed(RUN, field, to).cohort_key == RUN.cohort_key) == together


plain_values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@given(st.lists(plain_values), st.lists(plain_values))
def test_seeds_differ_exactly_where_their_origins_do(one: list[Any], other: list[Any]) -> None:
    same = repr(one) == repr(other)  # 1 == True, but they are different values
    assert (derive_seed(*one) == derive_seed(*other)) == same
    assert 0 <= derive_seed(*one) < 2**63


def test_values_are_frozen_and_validated_without_a_file() -> None:
    raw = tomllib.loads((GRIDS / "smoke.toml").read_text())
    grid = parse(Grid, {"name": "x", **raw}, source="x")
    with pytest.raises(ValueError, match="frozen"):
        grid.recipe.epochs = 3  # type: ignore[misc]


DEFAULTS: dict[type[Value], dict[str, Any]] = {
    Dataset: {
        "train": None,
        "validation": 0,
        "test": None,
        "split_seed": 0,
        "path": None,
        "image_column": None,
        "label_column": None,
        "storage": "resident",
    },
    Architecture: {
        "options": {},
        "stem": "timm",
        "collapsed_map": "refuse",
        "weights": None,
        "weights_sha256": None,
        "revision": 0,
    },
    Recipe: {
        "last_batch": "keep",
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 0.0,
        "label_smoothing": 0.0,
        "max_norm": None,
        "schedule": "cosine",
        "milestones": (),
        "decay": 0.1,
        "warmup_epochs": 0,
        "rate_changes": "epoch",
        "without_classes": (),
        "crop_padding": 0,
        "padding": "zero",
        "crop_pct": None,
        "crop_scale": (0.08, 1.0),
        "flip": False,
        "precision": "float32",
        "teacher_precision": "float32",
        "channels_last": False,
        "deterministic": False,
    },
}
"""As they are in protocol revision 1; fields added since then are added here."""


def test_defaults_stay_since_ids_leave_them_out() -> None:
    assert PROTOCOL_REVISION == 1
    for kind, expected in DEFAULTS.items():
        fields = {name: field.default for name, field in kind.model_fields.items() if not field.is_required()}
        assert fields == expected


def test_saying_what_is_the_default_changes_no_id() -> None:
    said = RUN.model_copy(update={"recipe": Recipe.model_validate({**RECIPE.model_dump(), "crop_padding": 0})})
    assert "crop_padding" not in said.recipe.identity()
    assert said.id == RUN.id
