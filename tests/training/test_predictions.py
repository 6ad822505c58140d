"""Predictions of real runs: kept by default where small, and good for every measure of the record."""

import shutil
from pathlib import Path

import pytest
import tiny

from analysis.runs.banks import Banks
from benchmark.metrics import METRICS
from benchmark.records import Folder
from benchmark.records.predictions import TOLERATED, of_run, sha256
from benchmark.training import cohort


@pytest.fixture(scope="module")
def results(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results")
    shutil.copytree(taught / "teachers", path / "teachers")
    return path


def test_measures_made_again_are_the_records(results: Path) -> None:
    run = tiny.run("kd", seed=3, epochs=20)
    assert tiny.train(results / "grid", run)
    record = tiny.record(results / "grid", run)
    assert record.result.test_images
    recorded = {**record.result.model_dump(), **(record.result.measures or {})}
    banks = Banks({results / "grid": [record]})
    again = {name: banks.value(run.id, each) for name, each in METRICS.items() if name != "validation_top1"}
    assert len(again) == 14
    for name, value in again.items():
        exact = name in ("top1", "agreement", "agreement_right", "agreement_wrong")
        tolerated = 0 if exact else TOLERATED + 2 / record.result.test_images
        assert value == pytest.approx(recorded[METRICS[name].field], abs=tolerated), name
    assert of_run(Folder(results / "teachers"), tiny.record(results / "teachers", tiny.TEACHER)).embeddings is not None


def test_the_hash_is_recorded_whether_they_are_kept_or_not(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, kept = tiny.run("student", seed=4), {"small": True, True: True, False: False}
    hashes = set()
    for value, there in kept.items():
        folder = Folder(results / f"kept-{value}")
        assert tiny.train(folder.path, run, grid=tiny.GRID.model_copy(update={"keep_predictions": value}))
        path = folder.predictions_path(run.id)
        hashes.add(tiny.record(folder.path, run).result.predictions_sha256)
        assert path.exists() == there
        if there:
            assert sha256(path.read_bytes()) in hashes
    assert len(hashes) == 1
    monkeypatch.setattr(cohort, "SMALL", 100)
    assert tiny.train(results / "large", run)
    assert not Folder(results / "large").predictions_path(run.id).exists()
