"""A grid whose teacher starts from another grid's exported weights."""

import hashlib
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from kept_weights import exported

from benchmark.grid import main
from benchmark.ground.errors import COMPLETE, USAGE, UsageError
from benchmark.models.weights import pin, weights_file
from benchmark.records import Folder, Record
from benchmark.spec import GRIDS, load_grid

pytestmark = pytest.mark.usefixtures("offline")


def write_grid(name: str, **changes: Any) -> str:
    raw = tomllib.loads((GRIDS / "smoke.toml").read_text())
    raw |= {"methods": ["student", "kd"], "expected_accuracy": {"digits": {"resnet_m": 0.0}}}
    raw["recipe"]["epochs"] = 1
    raw["teacher_recipe"]["epochs"] = 2
    for path, value in changes.items():
        *tables, key = path.split("__")
        table = raw
        for part in tables:
            table = table[part]
        table[key] = value
    Path(f"{name}.toml").write_text(tomli_w.dumps(raw))
    return f"{name}.toml"


def run_grid(grid: str, results: str) -> int:
    return main(["--grid", grid, "--results-dir", results, "--executor", "inline", "--threads", "1"])


def teacher_of(results: str) -> Record:
    (record,) = Folder(Path(results) / "teachers").records()[0]
    return record


def test_an_exported_network_teaches_in_another_grid_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_grid(write_grid("first"), "results") == COMPLETE
    first = teacher_of("results")
    assert main(["--export", first.run_id]) == COMPLETE
    weights = {"architectures__resnet_m__weights": f"{first.run_id}.safetensors", "teacher_recipe__epochs": 0}
    second = write_grid("second", **weights)
    assert run_grid(second, "others") == COMPLETE
    record = teacher_of("others")
    assert record.run.recipe.epochs == 0
    assert (
        record.run.student.weights_sha256
        == hashlib.sha256(Path(f"{first.run_id}.safetensors").read_bytes()).hexdigest()
    )
    assert record.run_id != first.run_id
    assert (record.result.top1, record.result.weights_sha256) == (first.result.top1, first.result.weights_sha256)
    assert (record.result.train_loss, record.cost.training_flops) == (None, 0)
    students = Folder(Path("others/second")).records()[0]
    assert {student.run.method for student in students} == {"student", "kd"}
    assert {student.result.teacher_weights_sha256 for student in students} == {first.result.weights_sha256}
    assert all(student.status == "done" for student in students)

    Path(f"{first.run_id}.safetensors").rename("moved.safetensors")  # the same weights elsewhere are the same runs
    kept, *lost = sorted(Path("others/second/records").iterdir())
    lost.append(Path(f"others/teachers/records/{record.run_id}.json"))
    before = {path: json.loads(path.read_bytes())["result"] for path in lost}
    written = kept.stat().st_mtime_ns
    for path in lost:
        path.unlink()
    moved = {**weights, "architectures__resnet_m__weights": "moved.safetensors"}
    assert run_grid(write_grid("second", **moved), "others") == COMPLETE
    assert kept.stat().st_mtime_ns == written
    assert {path: json.loads(path.read_bytes())["result"] for path in lost} == before

    shutil.rmtree("others/teachers/weights")  # as where records alone were merged: what was not trained is made again
    taught = json.loads(kept.read_bytes())
    assert taught["run"]["method"] == "kd"
    kept.unlink()
    assert run_grid("second.toml", "others") == COMPLETE
    assert json.loads(kept.read_bytes())["result"] == taught["result"]
    frozen = tomllib.loads(Path("others/second/grid.toml").read_text())
    assert frozen["architectures"]["resnet_m"]["weights_sha256"] == record.run.student.weights_sha256


def test_weights_that_are_missing_or_do_not_fit_stop_a_grid_before_it_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_grid(write_grid("g", architectures__resnet_m__weights="none.pth"), "results") == USAGE
    missing = f"weights 'none.pth' cannot be read: No such file or directory (looked for from {Path.cwd()} on)"
    assert f"error: architecture 'resnet_m': {missing}" in capsys.readouterr().err
    exported(tmp_path / "other.safetensors")
    assert run_grid(write_grid("g", architectures__resnet_m__weights="other.safetensors"), "results") == USAGE
    assert "other.safetensors does not fit: " in capsys.readouterr().err
    assert not Path("results").exists()


def test_a_misspelt_architecture_is_answered_with_the_grids_own(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [{"teacher": "resnet_m", "student": "resnet_z"}]
    assert run_grid(write_grid("g", pairs=pairs), "results") == USAGE
    assert "unknown model 'resnet_z': did you mean resnet_m or resnet_s" in capsys.readouterr().err.replace(
        "resnet_s or resnet_m", "resnet_m or resnet_s"
    )


@pytest.mark.parametrize("name", ["theirs.pth", "teachers/theirs.safetensors", "../theirs.safetensors", "/theirs", ""])
def test_weights_that_come_with_the_suite_lie_in_no_folder(name: str) -> None:
    """Jobs, and wheels, have those of `results/reference` itself."""
    with pytest.raises(UsageError, match=r"must be 'reference:NAME\.safetensors', in no folder"):
        load_grid(write_grid("grid", architectures__resnet_m__weights=f"reference:{name}"))


def test_weights_that_come_with_the_suite_are_named_by_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of a published teacher are the same wherever the suite lies, and tell nobody where that was."""
    elsewhere = tmp_path / "suite"
    elsewhere.mkdir()
    monkeypatch.setattr("benchmark.models.weights.REFERENCE", elsewhere)
    exported(elsewhere / "theirs.safetensors")
    pinned = pin(load_grid(write_grid("grid", architectures__resnet_m__weights="reference:theirs.safetensors")))
    assert pinned.architectures["resnet_m"].weights == "reference:theirs.safetensors"
    assert weights_file(pinned.architectures["resnet_m"]) == elsewhere / "theirs.safetensors"
    exported(elsewhere / "theirs.safetensors", epochs=7)  # the run is among the file's metadata
    with pytest.raises(UsageError, match=r"theirs\.safetensors has SHA-256 .* as stated or planned"):
        weights_file(pinned.architectures["resnet_m"])
    missing = write_grid("other", architectures__resnet_m__weights="reference:ours.safetensors")
    with pytest.raises(
        UsageError, match=r"architecture 'resnet_m': weights '.*suite/ours\.safetensors' cannot be read"
    ):
        pin(load_grid(missing))
