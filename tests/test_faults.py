"""What changing inputs at random, and reading the code for it, has found: each kind, with what is right."""

import json
import sys
from pathlib import Path
from typing import Any

import fake_results as fake
import numpy as np
import pytest
from damage import DAMAGES
from safetensors.numpy import save

from analysis.__main__ import main as analyse
from analysis.figures.learning import read
from analysis.runs.load import load
from analysis.runs.merge import merge
from analysis.verify import main as verify
from benchmark.ground.command import run_command
from benchmark.ground.errors import USAGE, UsageError
from benchmark.ground.files import FileError
from benchmark.plan.choices import method_options
from benchmark.records import Folder
from benchmark.records.claims import Claims
from benchmark.records.measurements import read_all
from benchmark.records.predictions import read as read_predictions
from benchmark.records.progress import under_way


@pytest.mark.parametrize("digits", [310, 400, 5_000])
def test_an_option_of_any_length_is_a_number_or_a_text(digits: int) -> None:
    text = "1" * digits
    assert method_options([f"kd.temperature={text}"]) == {"kd": {"temperature": text}}
    assert method_options(["kd.temperature=1e400", "sp.weight=-2"]) == {
        "kd": {"temperature": "1e400"},
        "sp": {"weight": -2},
    }


@pytest.mark.parametrize("changes", [{"shares": {"a": 1e300}}, {"epoch": -1e300}, {"epochs": 10**400}, {"epochs": -1}])
def test_progress_that_cannot_be_is_passed_over(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = Folder(tmp_path / "grid")
    entry = {"cohort": "c", "epoch": 0.5, "epochs": 2, "run_ids": ["a"], "shares": {"a": 0.5}, "train_top1": {}}
    path = folder.path / "progress" / "a.json"
    path.parent.mkdir(parents=True)
    with Claims() as claims:
        assert claims.take(folder.claim_path("a"))
        path.write_text(json.dumps(entry))
        assert len(under_way(folder)) == 1
        path.write_text(json.dumps(entry | changes))
        assert under_way(folder) == []


@pytest.mark.parametrize(
    ("field", "value"), [("step_flops", 0), ("batch_size", 0), ("step_seconds", -1.0), ("macs", 10**400)]
)
def test_a_measurement_that_cannot_be_is_refused_by_name(field: str, value: Any, tmp_path: Path) -> None:
    folder = Folder(fake.write(tmp_path / "grid", fake.record(fake.run()), fake.record(fake.run("student"))))
    fake.measure(folder.path, methods=("kd", "student"))
    [path] = (folder.path / "measured").glob("*.json")
    raw = json.loads(path.read_text())
    raw["measurements"][0][field] = value
    path.write_text(json.dumps(raw))
    with pytest.raises(UsageError, match=rf"{path.name}: measurements.0.{field}: "):
        list(read_all(folder))


@pytest.mark.parametrize("labels", [[0, 4], [0, -1], [0.0, 1.0]])
def test_predictions_of_no_class_are_refused(labels: list[float], tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(save({"logits": np.zeros((2, 4)), "labels": np.array(labels)}))
    with pytest.raises(UsageError, match="/b: logits that are not finite, or labels that are no"):
        read_predictions(tmp_path / "b")


@pytest.mark.parametrize("damage", ["a pipe", "a device", "zeros", "not UTF-8", "half", "empty", "an unclosed quote"])
def test_a_damaged_curve_is_none(damage: str, tmp_path: Path) -> None:
    folder = Folder(fake.write(tmp_path / "grid", fake.record(fake.run()), fake.record(fake.run("student"))))
    runs = load([folder.path]).runs
    assert len(read(runs, [folder.path])) == 2
    path = folder.curve_path(fake.run().id)
    DAMAGES.get(damage, lambda path: path.write_text('epoch\n"1'))(path)
    assert set(read(runs, [folder.path]).method) == {"student"}


@pytest.mark.parametrize("damage", ["a pipe", "a device"])
def test_what_has_no_end_is_not_merged(damage: str, tmp_path: Path) -> None:
    source = Folder(fake.write(tmp_path / "source", fake.record(fake.run())))
    DAMAGES[damage](source.curve_path(fake.run().id))
    with pytest.raises(FileError, match="cannot be read: not a regular file"):
        merge(tmp_path / "target", [source.path])
    assert not (tmp_path / "target" / "records").exists()


@pytest.mark.parametrize("main", [analyse, verify])
def test_a_path_too_long_is_one_line(
    main: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, getattr(sys, stream))  # which the command changes
    with pytest.raises(SystemExit) as end:
        run_command(lambda _: main(["x" * 300]))
    assert end.value.code == USAGE
    assert capsys.readouterr().err == f"error: cannot use {'x' * 300}: File name too long\n"
