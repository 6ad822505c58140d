"""The grids of the published protocols: what they say, and that every pair of them trains."""

import json
import os
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from command_line import cli, contents

import methods
from benchmark.ground.errors import COMPLETE
from benchmark.models.creation import create
from benchmark.models.weights import pin
from benchmark.plan.cells import cells, check_options, select
from benchmark.plan.values import Selection
from benchmark.records import Folder
from benchmark.spec import GRIDS, Architecture, Grid, Recipe, Run, digest, grid_names, load_grid
from benchmark.training.schedule import learning_rate

NINE = ("student", "kd", "fitnet", "rkd_d", "rkd_a", "rkd_da", "sp", "gkd", "mhgd")
PROTOCOLS = ("cifar100", "cifar100_fast", "cifar10_gkd", "cifar100_mhgd")
FEWER = (
    "cifar10_gkd_short",
    "cifar10_gkd_published_teacher",
    "relational",
    "controls",
    "ladder",
    "ladder_fashion_mnist",
    "mnist_hinton_long",
)
"""Grids whose source, or whose question, is of some methods only."""
WHOLE = ("digits_all", "mnist_hinton")
"""Grids of all methods, in the order of the methods' table."""
REAL = os.environ.get("RELATIONAL_DISTILLATION_DATA")


def all_of(name: str) -> Grid:
    grid = load_grid(name)
    return grid.model_copy(update={"methods": grid.all_methods})


@pytest.mark.parametrize("name", grid_names())
def test_every_grid_can_be_planned_and_says_how_to_run_it(name: str) -> None:
    grid = all_of(name)
    check_options(grid, {})
    assert grid.methods[: len(NINE)] == NINE or name in FEWER + WHOLE
    assert cells(grid)
    header = (GRIDS / f"{name}.toml").read_text(encoding="utf-8").partition("description")[0]
    assert "python -m benchmark.grid" in header


def test_every_grids_networks_can_be_built() -> None:
    """By the recipes that they are trained with, which may refuse some; what several grids share once."""
    distinct: dict[str, tuple[Architecture, Recipe]] = {}
    for grid in map(load_grid, grid_names()):
        for pair in grid.pairs:
            for name, recipe in (
                (pair.student, grid.recipe_of(pair.student)),
                (pair.teacher, grid.teacher_recipe_of(pair.teacher)),
            ):
                own = grid.architectures[name]
                shape = [own.model, own.options, own.stem, recipe.channels, recipe.channels_last]
                distinct[digest(shape)] = own, recipe
    for architecture, recipe in distinct.values():
        create(architecture, recipe, 10, seed=0, pretrained=False)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_published_grids_have_controls(name: str) -> None:
    assert {"student@longer", "student@label_smoothing", "kd@born_again", "kd@shuffled"} <= set(all_of(name).methods)


def test_the_crd_protocol() -> None:
    grid = all_of("cifar100")
    runs = cells(grid)
    assert Counter(run.pair for run in runs if run.label in NINE) == {pair.name: 27 for pair in grid.pairs}
    assert len(grid.pairs) == 13
    table = ("kd", "fitnet", "at", "sp", "cc", "vid", "rkd_da", "pkt", "ab", "ft", "fsp", "nst", "crd")
    assert {"student", *table, "rkd_d", "rkd_a", "gkd", "mhgd"} == {run.label for run in runs if "@" not in run.label}
    recipe = grid.recipe
    assert (recipe.epochs, recipe.batch_size, recipe.last_batch, recipe.weight_decay) == (240, 64, "keep", 5e-4)
    rates = [round(learning_rate(recipe, epoch), 9) for epoch in (0, 149, 150, 179, 180, 209, 210, 239)]
    assert rates == [0.05, 0.05, 0.005, 0.005, 5e-4, 5e-4, 5e-5, 5e-5]
    mobile = {run.student.name for run in runs if run.recipe.learning_rate == 0.01}
    assert mobile == {"MobileNetV2", "ShuffleNetV1", "ShuffleNetV2"}
    own_teacher = {run.teacher.recipe.learning_rate for run in runs if run.teacher and "born" not in run.label}
    assert own_teacher == {0.05}


def test_the_crd_protocol_is_computed_as_published_code_does_on_todays_cards() -> None:
    """For teachers and students; and a pair that is run by itself belongs to the grid."""
    grid = all_of("cifar100")
    runs = cells(grid)
    arithmetic = {(r.precision, r.teacher_precision, r.channels_last) for run in runs for r in recipes(run)}
    assert arithmetic == {("tf32", "tf32", True)}
    pair = cells(select(grid, Selection(pairs=("resnet32x4_resnet8x4",))))
    assert {run.id for run in pair} == {run.id for run in runs if run.pair == "resnet32x4_resnet8x4"}


def recipes(run: Run) -> list[Recipe]:
    return [each.recipe for each in (run, run.teacher) if each]


def test_the_protocol_of_graph_distillation() -> None:
    grid = all_of("cifar10_gkd")
    rates = [round(learning_rate(grid.recipe, epoch), 9) for epoch in (0, 59, 60, 119, 120, 159, 160, 199)]
    assert rates == [0.1, 0.1, 0.02, 0.02, 0.004, 0.004, 8e-4, 8e-4]
    kinds = {run.label: run.options for run in cells(grid)}
    assert kinds["gkd"]["gkd"] == {"weight": 25.0, "stages": 3, "neighbours": 0, "power": 1, "edges": "all"}
    assert kinds["kd"]["kd"] == {"temperature": 4.0, "ce": 1.0, "weight": 1.0, "t_squared": True}


def test_graph_distillation_under_its_authors_teacher() -> None:
    """The same but for teacher, arithmetic and methods; the committed file is the one that the grid names."""
    grid, own = pin(all_of("cifar10_gkd_published_teacher")), all_of("cifar10_gkd")
    theirs, ours = grid.recipe.model_dump(), own.recipe.model_dump()
    differing = {name for name, value in theirs.items() if value != ours[name]}
    assert differing == {"channels_last", "precision", "teacher_precision"}
    runs = {run.label: run for run in cells(grid) if run.seed == 0}
    assert runs["rkd_d"].options["rkd_d"] == {"distance": 25.0, "angle": 0.0, "normalize": False, "stages": 3}
    assert runs["kd"].options == {run.label: run.options for run in cells(own)}["kd"]
    assert len({run.teacher.id for run in cells(grid) if run.teacher}) == 1
    assert grid.teacher_recipe.epochs == 0


def test_the_short_grid_under_that_teacher_is_shorter_and_in_float32() -> None:
    whole, short = (pin(all_of(f"cifar10_gkd_{name}")) for name in ("published_teacher", "short"))
    ours, theirs = short.recipe.model_dump(), whole.recipe.model_dump()
    rates = {"learning_rate", "nesterov", "schedule", "milestones", "decay", "warmup_epochs", "rate_changes"}
    arithmetic = {"precision", "teacher_precision"}
    assert {name for name, value in ours.items() if value != theirs[name]} == {"epochs"} | rates | arithmetic
    for name in ("pairs", "architectures", "datasets", "expected_accuracy"):
        assert getattr(short, name) == getattr(whole, name)
    options = {run.label: run.options for run in cells(whole)}
    assert all(run.options == options[run.label] for run in cells(short) if run.label in options)
    assert short.teacher_recipe.epochs == 0


def test_distillations_first_experiment() -> None:
    grid = all_of("mnist_hinton")
    runs = {(run.student.name, run.label): run for run in cells(grid) if run.seed == 1}
    assert {student for student, _ in runs} == {"mlp800", "mlp300", "mlp30"}
    kd = {
        label: run.options["kd"] for (student, label), run in runs.items() if student == "mlp800" and run.method == "kd"
    }
    assert kd["kd"] == {"temperature": 20.0, "ce": 1.0, "weight": 1.0, "t_squared": True}
    assert {label: options["temperature"] for label, options in kd.items()} == {
        "kd": 20.0,
        "kd@t2.5": 2.5,
        "kd@t8": 8.0,
        "kd@without_3": 20.0,
    }
    assert {label for (_, label), run in runs.items() if run.recipe.without_classes == (3,)} == {
        "student@without_3",
        "kd@without_3",
    }
    teachers = {run.teacher.id for run in runs.values() if run.teacher}
    assert len(teachers) == 1
    teacher = runs["mlp800", "kd"].teacher
    assert teacher is not None
    assert teacher.seed == 1
    assert (teacher.recipe.crop_padding, teacher.recipe.max_norm, teacher.recipe.without_classes) == (2, 3.873, ())
    assert teacher.student.options == {"drop_rate": 0.5, "input_drop_rate": 0.2}
    assert runs["mlp800", "kd"].recipe.crop_padding == 0


def test_a_longer_teacher_is_all_that_the_long_grid_changes() -> None:
    short = {run.label: run for run in cells(all_of("mnist_hinton")) if (run.seed, run.student.name) == (1, "mlp300")}
    long = [run for run in cells(all_of("mnist_hinton_long")) if (run.seed, run.student.name) == (1, "mlp300")]
    assert len(long) == 13
    for run in long:
        own = short[run.label]
        assert own.teacher is not None
        recipe = own.teacher.recipe.model_copy(update={"epochs": 120})
        assert run == own.model_copy(update={"teacher": own.teacher.model_copy(update={"recipe": recipe})})
        assert run.id != own.id


def test_the_protocol_of_multi_head_graph_distillation() -> None:
    grid = all_of("cifar100_mhgd")
    rates = [round(learning_rate(grid.recipe, epoch), 9) for epoch in (0, 29, 30, 59, 60, 79, 80, 99)]
    assert rates == [0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3, 1e-4, 1e-4]
    kinds = {run.label: run.options for run in cells(grid)}
    assert kinds["kd"]["kd"] == {"temperature": 4.0, "ce": 0.7, "weight": 0.3, "t_squared": False}
    assert kinds["rkd_da"]["rkd_da"] == {"distance": 25.0, "angle": 50.0, "normalize": True}
    assert kinds["rkd_d"]["rkd_d"]["normalize"]
    assert kinds["rkd_a"]["rkd_a"]["normalize"]


def shortened(name: str, dataset: dict[str, Any], folder: Path) -> Path:
    """The grid with a step or two for everything: a few images, one epoch, phases of one epoch, any teacher."""
    raw = tomllib.loads((GRIDS / f"{name}.toml").read_text(encoding="utf-8"))
    raw |= {"datasets": [dataset], "seeds": [0], "threads": 1}
    for table in ("control", "expected_accuracy"):
        raw.pop(table, None)
    for field in ("schedule", "milestones"):
        raw["recipe"].pop(field, None)
    raw["recipe"] |= {"warmup_epochs": 0, "epochs": 1, "batch_size": 50, "learning_rate": 0.001}
    for field in ("precision", "teacher_precision"):
        if raw["recipe"].get(field) == "tf32":  # which a CPU has not
            raw["recipe"][field] = "float32"
    raw.pop("teacher_recipe", None)
    raw["options"] = raw.get("options", {}) | {method: {"epochs": 1} for method in ("mhgd", "ab", "ft", "fsp")}
    names = {pair[role] for pair in raw["pairs"] for role in ("teacher", "student")}
    raw["expected_accuracy"] = {dataset["name"]: dict.fromkeys(sorted(names), 0.0)}
    path = folder / f"{name}_step.toml"
    path.write_text(tomli_w.dumps(raw), encoding="utf-8")
    return path


def assert_everything_trained(name: str, results: Path, *pairs: str) -> None:
    found = [run for run, _, _ in contents(results / f"{name}_step").values()]
    assert Counter(run["pair"] for run in found) == dict.fromkeys(pairs, len(load_grid(name).methods))
    records = Folder(results / f"{name}_step").records()[0]
    assert {record.status for record in records} <= {"done", "not_applicable"}
    without = [record.run.method for record in records if record.status == "not_applicable"]
    assert sum(method not in ("fsp", "ab") for method in without) <= len(pairs)  # those two ask for like shapes


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("cifar100", "wrn-40-2_ShuffleNetV1"),
        ("cifar10_gkd", "wrn-28-1_wrn-28-0.5"),
        ("cifar100_mhgd", "VGG16_VGG7"),
        ("fashion_mnist", "resnet14_efficientnet_half"),
        ("cifar100_cpu", "resnet14_resnet8_half"),
        ("cifar100_brief", "resnet56_resnet20"),
    ],
)
def test_a_step_of_every_method(name: str, pair: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On grey digits, enlarged: the networks and methods are what is tried."""
    monkeypatch.chdir(tmp_path)
    grid = shortened(name, {"name": "digits", "train": 10, "test": 20}, tmp_path)
    assert cli("--grid", grid, "--results-dir", tmp_path, "--pairs", pair) == COMPLETE
    assert_everything_trained(name, tmp_path, pair)


@pytest.mark.skipif(not REAL, reason="RELATIONAL_DISTILLATION_DATA names no folder with data sets")
@pytest.mark.long
def test_an_epoch_of_every_pair_on_cifar_100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few of the real images, from the Parquet files."""
    assert REAL
    if not list(Path(REAL, "cifar100").glob("*.parquet")):
        pytest.skip(f"{REAL} has no cifar100/*.parquet")
    monkeypatch.chdir(tmp_path)
    grid = shortened("cifar100", {"name": "cifar100", "train": 100, "test": 100}, tmp_path)
    assert cli("--grid", grid, "--results-dir", tmp_path, "--data-dir", REAL, "--offline") == COMPLETE
    assert_everything_trained("cifar100", tmp_path, *(pair.name for pair in load_grid("cifar100").pairs))
    curve = next((tmp_path / "cifar100_step" / "curves").glob("*-mhgd-*.csv")).read_text().splitlines()
    assert len(curve) == 1 + 2  # header, an epoch on the teacher, an epoch
    assert json.loads(next((tmp_path / "teachers" / "records").glob("*.json")).read_text())["status"] == "done"


def test_digits_all_has_every_method_and_tunes_those_that_digits_does_not() -> None:
    grid, digits, relational = (load_grid(name) for name in ("digits_all", "digits", "relational"))
    assert set(grid.methods) == set(methods.names(installed=False))
    assert grid.tuning
    assert digits.tuning
    assert {*grid.tuning.ranges, *digits.tuning.ranges, "student", "fsp"} == set(grid.methods)  # fsp is n/a there
    assert (grid.tuning.trials, len(grid.tuning.seeds)) == (digits.tuning.trials, len(digits.tuning.seeds))
    assert grid.recipe == digits.recipe == relational.recipe
    for small in (digits, relational):
        assert small.options == {name: grid.options[name] for name in small.options}
        assert grid.options.keys() & set(small.methods) == small.options.keys()
