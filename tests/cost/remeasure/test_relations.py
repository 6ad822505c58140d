"""`benchmark.cost.remeasure relations`: records from before, put right where weights were kept, marked where not."""

import json
from pathlib import Path

import pytest
import tiny

from benchmark.cost.remeasure.__main__ import main
from benchmark.records import Folder

RUN = tiny.run("rkd_da")


@pytest.fixture
def folder(results: Path) -> Folder:
    keeping = tiny.GRID.model_copy(update={"keep_weights": True})
    assert tiny.train(results / "grid", RUN, grid=keeping)
    return Folder(results / "grid")


def make_old(folder: Folder) -> None:
    """The record as an earlier suite wrote it."""
    path = folder.record_path(RUN.id)
    raw = json.loads(path.read_text())
    for name in ("within_class_correlation", "relations_version"):
        del raw["result"][name]
    raw["result"]["cka"] = raw["result"]["distance_correlation"] = 0.5
    path.write_text(json.dumps(raw, indent=1, sort_keys=True) + "\n")


def test_relations_are_those_that_training_measures(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder.record_path(RUN.id)
    new = path.read_bytes()
    make_old(folder)
    assert main(["relations", str(folder.path)]) == 0
    assert path.read_bytes() == new
    assert f"{RUN.id}: distance_correlation 0.5 -> " in capsys.readouterr().out
    assert main(["relations", str(folder.path)]) == 0
    assert "0 records changed" in capsys.readouterr().out
    assert "relations_version" in (folder.path / "runs.csv").read_text()


@pytest.mark.parametrize("lost", ["student", "teacher"])
def test_without_weights_a_record_stays(folder: Folder, lost: str, capsys: pytest.CaptureFixture[str]) -> None:
    make_old(folder)
    old = folder.record_path(RUN.id).read_bytes()
    where, run = (folder, RUN) if lost == "student" else (folder.teachers, tiny.TEACHER)
    where.weights_path(run.id).unlink()
    assert main(["relations", str(folder.path)]) == 0
    assert folder.record_path(RUN.id).read_bytes() == old
    assert f"relations stay as they are: {where.path} keeps no weights of {run.id}" in capsys.readouterr().out


def test_other_weights_are_not_measured(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    make_old(folder)
    tiny.change_weights(folder.path.parent, lambda weights: weights["fc.weight"].neg_(), honest=False)
    assert main(["relations", str(folder.path)]) == 0
    assert f"{folder.teachers.path} keeps other weights of {tiny.TEACHER.id}" in capsys.readouterr().out
