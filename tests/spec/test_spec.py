"""Runs and grids: what an id covers, and what a grid file may say."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import UsageError
from benchmark.spec import (
    GRIDS,
    PROTOCOL_REVISION,
    Architecture,
    Dataset,
    Grid,
    Recipe,
    Run,
    Value,
    derive_seed,
    grid_names,
    load_grid,
    parse,
)

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


@pytest.mark.parametrize("name", grid_names())
def test_shipped_grids_parse_and_survive_a_round_trip(name: str, tmp_path: Path) -> None:
    grid = load_grid(name)
    assert grid.description
    assert grid.teacher_recipe.input_size == grid.recipe.input_size
    (tmp_path / "copy.toml").write_text(tomli_w.dumps(grid.as_toml()), encoding="utf-8")
    assert load_grid(str(tmp_path / "copy.toml")) == grid


TUNING = {"trials": 3, "seeds": [100], "ranges": {"kd": {"weight": [0.9, 0.5, 0.1]}}}


def minimal() -> dict[str, Any]:
    return {
        "datasets": [{"name": "digits"}],
        "pairs": [{"teacher": "resnet18", "student": "mine"}],
        "methods": ["student", "kd"],
        "architectures": {"mine": {"model": "resnet10t"}},
        "recipe": RECIPE.model_dump(mode="json", exclude_none=True),
    }


def write(path: Path, **changes: Any) -> str:
    """A grid file; `recipe__epochs = 3` changes a nested value."""
    raw: dict[str, Any] = copy.deepcopy(minimal())
    for field, value in changes.items():
        *tables, key = field.split("__")
        table: Any = raw
        for part in tables:
            table = table[int(part)] if part.isdigit() else table.setdefault(part, {})
        table[key] = value
    path.write_text(tomli_w.dumps(raw), encoding="utf-8")
    return str(path)


def test_shorthands(tmp_path: Path) -> None:
    grid = load_grid(write(tmp_path / "my.toml", teacher_recipe={"epochs": 99}))
    assert grid.name == "my"
    assert grid.architectures["resnet18"] == Architecture(name="resnet18", model="resnet18")
    assert grid.architectures["mine"].name == "mine"
    assert grid.teacher_recipe == RECIPE.model_copy(update={"epochs": 99})
    assert grid.seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"sedes": [1]}, "sedes: unknown key 'sedes': did you mean seeds"),
        ({"recipe__epoch": 3}, "recipe.epoch: unknown key 'epoch': did you mean epochs"),
        ({"teacher_recipe__lr": 3}, "teacher_recipe.lr: unknown key 'lr': valid: batch_size,"),
        (
            {"datasets__0__trian": 3},
            "datasets.0.trian: unknown key 'trian': did you mean train or storage? valid: image_column,",
        ),
        ({"pairs__0__x": 3}, "pairs.0.x: unknown key 'x': valid: student, teacher"),
        ({"architectures__mine__stm": "small"}, "architectures.mine.stm: unknown key 'stm': did you mean stem?"),
        ({"pairs": [{"teacher": "resnet18"}]}, "pairs.0.student: Field required"),
        ({"recipe__epochs": -1}, "recipe.epochs: Input should be greater than or equal to 0, got -1"),
        ({"recipe__epochs": 2.5}, "recipe.epochs"),
        ({"recipe__epochs": "many"}, "got 'many'"),
        ({"recipe__learning_rate": float("inf")}, "recipe.learning_rate: Input should be a finite number"),
        ({"recipe__mean": [float("nan")]}, "recipe.mean.0: Input should be a finite number"),
        ({"recipe__mean": [0.1, 0.2]}, "recipe: mean and std need 1 or 3 values each, not 2 and 1"),
        ({"recipe__std": [0.0]}, "recipe.std.0"),
        ({"recipe__schedule": "cos"}, "recipe.schedule: Input should be 'constant', 'step' or 'cosine', got 'cos'"),
        ({"recipe__schedule": "step"}, "recipe: schedule 'step' needs milestones"),
        ({"recipe__schedule": "step", "recipe__milestones": [900]}, "recipe: milestones must rise and stay below"),
        ({"pairs": [{"teacher": "a", "studnt": "b"}]}, "pairs.0.studnt: unknown key 'studnt': did you mean student?"),
        ({"recipe__warmup_epochs": 900}, "recipe: warmup_epochs must stay below"),
        ({"recipe__nesterov": True, "recipe__momentum": 0.0}, "recipe: nesterov needs a momentum"),
        ({"architectures__mine__stem": "big"}, "architectures.mine.stem: Input should be 'timm' or 'small'"),
        ({"architectures__mine__options": {"a": {"b": 1}}}, "architectures.mine.options.a: Input should be a boolean"),
        ({"options": {"kd": {"temperature": [1]}}}, "options.kd.temperature: Input should be a boolean"),
        ({"options": {"kd": 4.0}}, "options.kd: Input should be a table, got 4.0"),
        ({"teacher_seed": "pear"}, "teacher_seed: Input should be a whole number from 0 on or 'paired', got 'pear'"),
        ({"seeds": 3}, "seeds: Input should be a list, got 3"),
        ({"seeds": [-1]}, "seeds.0"),
        ({"seeds": []}, "seeds: Input should have at least one item"),
        ({"methods": []}, "methods: Input should have at least one item"),
        ({"methods": "kd"}, "methods: Input should be a list, got 'kd'"),
        ({"methods": ["kd", "sp", "kd"]}, "method kd is listed twice"),
        ({"seeds": [0, 1, 0]}, "seed 0 is listed twice"),
        ({"datasets": [{"name": "digits"}, {"name": "digits", "train": 3}]}, "dataset digits is listed twice"),
        ({"pairs": [{"teacher": "a", "student": "b"}] * 2}, "pair a_b is listed twice"),
        ({"expected_accuracy": {"digts": {"mine": 0.9}}}, "unknown dataset 'digts': did you mean digits?"),
        ({"expected_accuracy": {"digits": {"mime": 0.9}}}, "unknown architecture 'mime': did you mean mine?"),
        ({"expected_accuracy": {"digits": {"mine": 90.0}}}, "expected_accuracy.digits.mine: Input should be less than"),
        ({"recipes": {"mime": {"epochs": 3}}}, "recipes: unknown architecture 'mime': did you mean mine?"),
        ({"recipes": {"mine": {"epoch": 3}}}, "recipes.mine: epoch: unknown key 'epoch': did you mean"),
        ({"recipes": {"mine": {"epochs": "3.5"}}}, "epochs: Input should be a valid integer"),
        ({"control": [{"nmae": "long"}]}, "control.0.nmae: unknown key 'nmae': did you mean name?"),
        ({"control": [{"name": "long", "recipe": {"epoch": 3}}]}, "control.long.recipe: epoch: unknown key 'epoch'"),
        ({"control": [{"name": "long"}, {"name": "long"}]}, "control long is listed twice"),
        (
            {"control": [{"name": "own", "teacher": "myself"}]},
            "control.0.teacher: Input should be 'pair', 'student' or",
        ),
        ({"tuning": {**TUNING, "trials": 1}}, "tuning.trials: Input should be greater than or equal to 2"),
        ({"tuning": {**TUNING, "ranges": {"kd": [{"ce": 0.1}]}}}, "kd has 1 trials; every method gets 3"),
        ({"tuning": {**TUNING, "ranges": {"kd": {"ce": [0.1, 0.2]}}}}, "kd.ce has 2 trials; every method gets 3"),
        ({"tuning": {**TUNING, "ranges": {"kd": {"ce": [0.1, 0.2, 0.1]}}}}, "kd.ce names a trial twice"),
        ({"tuning": {**TUNING, "ranges": {"kd": {"ce": {"low": 2, "high": 1}}}}}, "low = 2 is not below high = 1"),
        ({"tuning": {**TUNING, "ranges": {"kd": {"ce": {"low": 0, "high": 1}}}}}, "low = 0 has no logarithm"),
        ({"name": "teachers"}, "name 'teachers' is kept"),
        ({"name": "../elsewhere"}, "name: "),
    ]
    + [({key: 5}, f"{key}: Input should be a ") for key in ("datasets", "pairs", "architectures", "recipe", "options")]
    + [({"teacher_recipe": 5}, "teacher_recipe: Input should be a table, got 5")]
    + [({"architectures": {"mine": 5}}, "architectures.mine: Input should be a table, got 5")],
    ids=str,
)
def test_a_wrong_key_or_value_is_named_in_one_line(changes: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_grid(write(tmp_path / "my.toml", **changes))
    text = str(caught.value)
    start = f"{tmp_path / 'my.toml'}: "
    assert text.startswith(start)
    assert complaint in text
    assert "\n" not in text
    assert len(text) < len(start) + 450


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("fashion", None, "unknown grid 'fashion'"),
        ("smok", None, "unknown grid 'smok': did you mean smoke? valid: "),
        ("absent.toml", None, "'absent.toml' cannot be read: No such file or directory"),
        ("broken.toml", b"a = = 1", "'broken.toml' is not TOML: "),
        ("binary.toml", b"\xff\xfe", "'binary.toml' is not TOML: "),
        ("empty.toml", b"", "empty.toml: datasets: Field required"),
    ],
)
def test_grids_that_cannot_be_read(
    name: str, text: bytes | None, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_bytes(text)
    with pytest.raises(UsageError) as caught:
        load_grid(name)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


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
