"""Data sets in grids, plans, runs and records, from the command line to the last column."""

import csv
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pytest
import tiny
import tomli_w
from command_line import cli
from PIL import Image
from pydantic import ValidationError

from benchmark.data.cache import ENVIRONMENT
from benchmark.ground.errors import COMPLETE, USAGE, UsageError
from benchmark.records import Cost, Folder
from benchmark.spec import Dataset, Grid, Recipe, Run, load_grid
from benchmark.training import cohort
from benchmark.training.cohort import run_cohort


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """A data folder with a set of 30 training and 10 test images of 20 x 24 pixels."""
    splits = {"train": {"ant": 15, "cat": 15}, "val": {"ant": 5, "cat": 5}}
    pictures.folder(tmp_path / "data" / "birds", splits, 20, 24)
    return tmp_path / "data"


COLOUR = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "input_size": 16, "batch_size": 8, "flip": True}


def run_on(dataset: Dataset, method: str = "student", **recipe: Any) -> Run:
    taught = {"recipe": tiny.RECIPE.model_copy(update={**COLOUR, "epochs": 2, **recipe}), "dataset": dataset}
    teacher = tiny.TEACHER.model_copy(update=taught)
    return tiny.run(method).model_copy(update={**taught, "teacher": teacher})


def train(results: Path, grid: Grid, data_dir: Path, *runs: Run, stop: Callable[[], bool] = lambda: False) -> bool:
    return run_cohort(Folder(results), runs, grid, tiny.CPU, data_dir, stop)


STREAMED = Dataset(name="birds", storage="streamed", validation=6)


@pytest.fixture
def taught(birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """A grid on streamed images, its teacher trained, with no demands."""
    monkeypatch.setattr(cohort, "cost", lambda *args: Cost())
    grid = tiny.GRID.model_copy(update={"datasets": (STREAMED,), "expected_accuracy": {"birds": {"teacher": 0.0}}})
    teacher = run_on(STREAMED, crop_padding=0).teacher
    assert teacher is not None
    assert train(tmp_path / "results" / "teachers", grid, birds, teacher)
    return grid


def test_streamed_runs_are_the_same_alone_in_company_and_resumed_mid_epoch(
    birds: Path, tmp_path: Path, taught: Grid
) -> None:
    runs = [run_on(STREAMED, method, crop_padding=0) for method in ("student", "kd", "fitnet")]
    results = tmp_path / "results"
    assert train(results / "whole", taught, birds, *runs)
    whole = tiny.bits(results / "whole", *runs)
    for run in runs:
        assert train(results / "alone", taught, birds, run)
    assert tiny.bits(results / "alone", *runs) == whole
    assert not train(results / "halves", taught, birds, *runs[:2], stop=tiny.stop_after(2))  # of three steps an epoch
    assert not train(results / "halves", taught, birds, *runs[1:], stop=tiny.stop_after(2))
    assert train(results / "halves", taught, birds, *runs)
    assert tiny.bits(results / "halves", *runs) == whole
    record = tiny.record(results / "whole", runs[1])
    assert record.run.dataset.storage == "streamed"
    assert record.result.test_duplicates == 0
    assert record.result.validation_top1 is not None
    (split,) = (results / "whole" / "splits").iterdir()
    assert len(json.loads(split.read_text())["positions"]["validation"]) == 6


def test_resident_and_streamed_images_are_two_experiments() -> None:
    hashes = {run_on(Dataset(name="birds", storage=storage)).hash for storage in ("resident", "streamed")}
    assert len(hashes) == 2


def test_where_a_set_lies_is_no_part_of_a_run() -> None:
    here, there = (run_on(Dataset(name="birds", path=path)) for path in ("/scratch/birds", None))
    rebuilt = [Run.model_validate(run.model_dump()) for run in (here, there)]
    assert rebuilt[0] == rebuilt[1]
    assert here.id == there.id
    assert rebuilt[0].dataset.path is None


def test_fields_that_came_later_leave_older_ids_alone() -> None:
    """At their defaults. Any other value is another experiment."""
    identity = tiny.RECIPE.identity() | Dataset(name="x").identity()
    assert not {"padding", "crop_pct", "crop_scale", "storage", "label_column", "image_column", "path"} & set(identity)
    base = run_on(Dataset(name="birds")).hash
    changed = [
        run_on(Dataset(name="birds"), padding="reflect"),
        run_on(Dataset(name="birds"), crop_pct=0.875),
        run_on(Dataset(name="birds"), crop_scale=(0.2, 1.0)),
        run_on(Dataset(name="birds", label_column="coarse_label")),
        run_on(Dataset(name="birds", image_column="img")),
        run_on(Dataset(name="birds", storage="streamed")),
    ]
    assert len({base, *(run.hash for run in changed)}) == 1 + len(changed)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"padding": "reflect"}, "padding 'reflect' needs a crop_padding from 1 to 7"),
        ({"padding": "reflect", "crop_padding": 8}, "padding 'reflect' needs a crop_padding from 1 to 7"),
        ({"crop_scale": (0.5, 0.2)}, "crop_scale must rise, not fall from 0.5 to 0.2"),
        ({"crop_scale": (0.0, 0.2)}, "greater than 0"),
        ({"crop_pct": 1.5}, "less than or equal to 1"),
    ],
)
def test_recipes_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    plain = {**tiny.RECIPE.model_dump(), "crop_padding": 0}
    with pytest.raises(ValidationError, match=message):
        Recipe.model_validate({**plain, **fields})


def grid_file(path: Path, *datasets: dict[str, Any], **recipe: Any) -> Path:
    """The smoke grid on other data."""
    raw = load_grid("smoke").as_toml()
    raw |= {"name": "own", "datasets": list(datasets), "methods": ["student", "kd"]}
    raw["expected_accuracy"] = {each["name"]: {"resnet_m": 0.0} for each in datasets}  # one epoch may teach nothing
    for name in ("recipe", "teacher_recipe"):
        raw[name] |= {**COLOUR, "epochs": 1, "crop_padding": 0, **recipe}
    path.write_text(tomli_w.dumps(raw))
    return path


@pytest.mark.parametrize("storage", ["resident", "streamed"])
def test_a_folder_that_nobody_prepared_runs_to_a_table(birds: Path, tmp_path: Path, storage: str) -> None:
    shutil.copy(birds / "birds" / "train" / "ant" / "0.png", birds / "birds" / "val" / "ant" / "copy.png")
    (birds / "birds").rename(tmp_path / "unprepared")
    dataset = {"name": "mine", "path": str(tmp_path / "unprepared"), "storage": storage}
    grid, results = grid_file(tmp_path / "own.toml", dataset), tmp_path / "results"
    assert cli("--grid", grid, "--results-dir", results) == COMPLETE
    records, _ = Folder(results / "own").records()
    assert [record.result.test_duplicates for record in records] == [1, 1]
    assert all(record.run.dataset.path is None for record in records)
    with (results / "own" / "runs.csv").open() as file:
        assert [row["test_duplicates"] for row in csv.DictReader(file)] == ["1", "1"]

    (tmp_path / "unprepared").rename(tmp_path / "moved")
    grid_file(grid, {**dataset, "path": str(tmp_path / "moved")})
    again = Folder(results / "own").record_path(records[0].run_id)
    again.unlink()
    assert cli("--grid", grid, "--results-dir", results) == COMPLETE
    assert tiny.record(results / "own", records[0].run).result == records[0].result


def photograph(folder: Path) -> None:
    """A folder nobody prepared: images of many sizes, modes and formats, no two classes alike."""
    draw = np.random.default_rng(0)
    kinds = [("RGB", "jpg"), ("L", "png"), ("RGBA", "webp"), ("P", "png"), ("CMYK", "jpeg")]
    for split, count in (("train", 15), ("val", 10)):
        for shade, name in enumerate(("a heron", "größe", "owl")):
            place = folder / split / name
            place.mkdir(parents=True)
            for i in range(count):
                mode, suffix = kinds[i % len(kinds)]
                height, width = draw.integers(20, 60, 2)
                pixels = draw.integers(0, 80, (height, width, 3), dtype=np.uint8) + np.uint8(80 * shade)
                Image.fromarray(pixels).convert(mode).save(place / f"{i}.{suffix}")


def test_a_transformer_teaches_a_mobile_student_on_a_folder_of_photographs(tmp_path: Path) -> None:
    photograph(tmp_path / "data" / "birds")
    own = grid_file(tmp_path / "own.toml", {"name": "birds"}, input_size=32, learning_rate=0.001)
    raw = tomllib.loads(own.read_text())
    vit = {"model": "test_vit", "options": {"patch_size": 8, "depth": 3, "embed_dim": 32, "num_heads": 2}}
    raw |= {
        "methods": ["student", "fitnet", "rkd_da", "sp"],
        "pairs": [{"teacher": "vit", "student": "mobile"}],
        "architectures": {"vit": vit, "mobile": {"model": "cifar_mobilenetv2", "options": {"width": 0.25}}},
        "expected_accuracy": {"birds": {"vit": 0.0}},
    }
    own.write_text(tomli_w.dumps(raw))
    results = tmp_path / "results"
    assert cli("--grid", own, "--data-dir", tmp_path / "data", "--results-dir", results, "--offline") == COMPLETE
    records, _ = Folder(results / "own").records()
    assert {record.run.method: record.status for record in records} == dict.fromkeys(raw["methods"], "done")


def test_problems_are_told_before_anything_is_trained(
    birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for broken in ("train/ant/3.png", "val/cat/1.png"):
        (birds / "birds" / broken).write_bytes(b"")
    grid = grid_file(tmp_path / "own.toml", {"name": "birds"})
    assert cli("--grid", grid, "--data-dir", birds, "--results-dir", tmp_path / "results") == USAGE
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "2 problems: train/ant/3.png is not" in error
    assert "val/cat/1.png is not" in error
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("dataset", "recipe", "message"),
    [
        (
            {"name": "birds"},
            {"mean": (0.5,), "std": (0.2,)},
            "images have 3 channels, the recipe's .* have 1",
        ),
        ({"name": "birds", "storage": "streamed"}, {"crop_padding": 2}, "crop_padding = 2 is for resident images"),
        ({"name": "birds", "storage": "disk"}, {}, "storage: Input should be 'resident' or 'streamed', got 'disk'"),
        ({"name": "brids"}, {}, "unknown dataset 'brids': valid: cifar10, .*; any other needs path"),
        ({"name": "birds", "path": "brids"}, {}, "'birds': .*brids is not there; needed is"),
    ],
)
def test_sets_that_do_not_fit_are_refused_in_a_dry_run(
    birds: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    dataset: dict[str, Any],
    recipe: dict[str, Any],
    message: str,
) -> None:
    grid = grid_file(tmp_path / "own.toml", dataset, **recipe)
    assert cli("--grid", grid, "--data-dir", birds, "--results-dir", tmp_path / "results", "--dry-run") == USAGE
    assert re.search(message, capsys.readouterr().err.splitlines()[-1])


@pytest.mark.parametrize(("flags", "expected"), [([], True), (["--offline"], False), (["--dry-run"], False)])
def test_only_the_command_itself_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], expected: bool
) -> None:
    asked = []

    def load(dataset: Dataset, data_dir: Path | None, *, download: bool) -> Any:
        asked.append((dataset.name, download))
        raise UsageError("enough")

    monkeypatch.setattr("benchmark.training.preflight.load", load)
    assert cli("--grid", "smoke", "--results-dir", tmp_path, *flags) == USAGE
    assert asked == [("digits", expected)]
