"""Grid files: shorthands, defaults, and everything that can be wrong with one."""

import copy
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from benchmark.ground.errors import UsageError
from benchmark.spec import Architecture, Recipe, grid_names, load_grid

RECIPE = Recipe(epochs=10, batch_size=32, learning_rate=0.1, input_size=8, mean=(0.3,), std=(0.4,))


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
        ({"recipe__epochs": True}, "recipe.epochs: Input should be a valid integer, got True"),
        ({"recipe__learning_rate": "0.1"}, "recipe.learning_rate: Input should be a valid number, got '0.1'"),
        ({"recipe__flip": 1}, "recipe.flip: Input should be a valid boolean, got 1"),
        ({"seeds": [False]}, "seeds.0: Input should be a valid integer, got False"),
        ({"keep_weights": "no"}, "keep_weights: Input should be a valid boolean, got 'no'"),
        ({"control": [{"name": "long", "recipe": {"epochs": True}}]}, "epochs: Input should be a valid integer"),
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
