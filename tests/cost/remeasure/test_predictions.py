"""`benchmark.cost.remeasure predictions`: what training would have kept, where weights were."""

from pathlib import Path

import pytest
import tiny

from benchmark.cost.remeasure.__main__ import main
from benchmark.records import Folder

RUN = tiny.run("kd")


def test_predictions_are_those_that_training_keeps(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keeping = tiny.GRID.model_copy(update={"keep_weights": True})
    assert tiny.train(results / "grid", RUN, grid=keeping)
    folder = Folder(results / "grid")
    kept, recorded = folder.predictions_path(RUN.id).read_bytes(), folder.record_path(RUN.id).read_bytes()
    folder.predictions_path(RUN.id).unlink()
    arguments = ["predictions", str(folder.path), str(folder.teachers.path)]
    assert main([*arguments, "--dry-run"]) == 0
    assert not folder.predictions_path(RUN.id).exists()
    assert main(arguments) == 0
    assert folder.predictions_path(RUN.id).read_bytes() == kept
    assert folder.record_path(RUN.id).read_bytes() == recorded
    assert f"{RUN.id}: {len(kept):,} bytes of predictions" in capsys.readouterr().out
    folder.predictions_path(RUN.id).unlink()
    folder.weights_path(RUN.id).unlink()
    assert main(arguments) == 0
    assert f"no predictions: {folder.path} keeps no weights of {RUN.id}" in capsys.readouterr().out
    folder.record_path(RUN.id).write_text("{", encoding="utf-8")
    for part in ("predictions", "relations", "flops"):
        assert main([part, str(folder.path)]) == 0
        assert f"left alone: record {folder.record_path(RUN.id)} cannot be read" in capsys.readouterr().out
