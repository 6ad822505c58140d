"""`benchmark.cost.remeasure flops`: what was counted wrong is put right, and not a byte else is changed."""

import json
from pathlib import Path

import pytest
import tiny
import tomli_w

from benchmark.cost.measure import Measurer
from benchmark.cost.remeasure.__main__ import main
from benchmark.records import Folder
from benchmark.records.measurements import Measured, write
from benchmark.spec import Pair
from benchmark.training.provenance import provenance

KD, PLAIN = tiny.run("kd", tiny.EFFICIENTNET), tiny.run("kd")


@pytest.fixture(scope="module")
def trained(taught: Path) -> Path:
    assert tiny.train(taught / "recount", KD)
    assert tiny.train(taught / "recount", PLAIN)
    return taught / "recount"


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def change(path: Path, times: int) -> None:
    raw = json.loads(path.read_text())
    raw["cost"]["training_flops"] *= times
    path.write_text(json.dumps(raw, indent=1, sort_keys=True) + "\n")


def test_only_counts_of_grouped_convolutions_are_put_right(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Folder(trained)
    folder.write_tables()
    right = everything(trained)
    change(folder.record_path(KD.id), 3)
    change(folder.record_path(PLAIN.id), 3)
    wrong = everything(trained)
    assert main(["flops", str(trained), "--dry-run"]) == 0
    assert everything(trained) == wrong
    assert main(["flops", str(trained)]) == 0
    said = capsys.readouterr().out
    assert f"{KD.id}: training_flops" in said
    assert "3.00 times as many" in said
    assert "1 records changed" in said
    found = everything(trained)
    assert found[f"records/{KD.id}.json"] == right[f"records/{KD.id}.json"]
    assert found[f"records/{PLAIN.id}.json"] == wrong[f"records/{PLAIN.id}.json"]


def test_measurements_are_put_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = Pair(teacher="teacher", student="efficientnet")
    networks = {"teacher": tiny.TEACHER.student, "efficientnet": tiny.EFFICIENTNET}
    grid = tiny.GRID.model_copy(update={"pairs": (pair,), "methods": ("kd",), "architectures": networks})
    (tmp_path / "grid.toml").write_text(tomli_w.dumps(grid.as_toml()))
    rows, _ = Measurer(tiny.CPU, rounds=1).measure([KD.model_copy(update={"pair": pair.name})], classes=10)
    measured = Measured(grid="grid", provenance=provenance(tiny.CPU, True, 0), clock="wall", measurements=tuple(rows))
    path = write(Folder(tmp_path), measured)
    right = path.read_bytes()
    path.write_text(path.read_text().replace(str(rows[0].step_flops), "1"))
    assert main(["flops", str(tmp_path)]) == 0
    assert (
        f"digits teacher_efficientnet efficientnet kd: step_flops 1 -> {rows[0].step_flops}" in capsys.readouterr().out
    )
    assert path.read_bytes() == right


def test_what_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flops", "no-such-folder"]) == 2
    assert "results folder 'no-such-folder' does not exist" in capsys.readouterr().err
