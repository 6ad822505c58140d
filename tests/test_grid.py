"""The command line from end to end: what it makes, what fails, and what it says instead of running."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import cli, contents, files, one_line, runs, write_grid

from benchmark.grid import main
from benchmark.ground.errors import COMPLETE, FAILED, USAGE
from benchmark.spec import load_grid

pytestmark = pytest.mark.usefixtures("surroundings")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of the smoke grid, run once as it ships."""
    results = tmp_path_factory.mktemp("smoke")
    assert cli("--grid", "smoke", "--results-dir", results) == COMPLETE
    return results / "smoke"


def test_smoke_grid_records_tables_and_prints_every_method(smoke: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(smoke / "records")
    assert cli("--grid", "smoke", "--results-dir", smoke.parent) == COMPLETE
    assert files(smoke / "records") == before  # the second time there is nothing to do
    printed = capsys.readouterr().out
    for name in load_grid("smoke").methods:
        assert re.search(rf"│ {re.escape(name)} +│ +\d+\.\d\d │", printed)
    assert {run["method"] for run in runs(smoke)} == set(load_grid("smoke").methods)
    assert len((smoke / "runs.csv").read_text().splitlines()) == 1 + 9
    assert not list((smoke / "claims").iterdir())
    assert not list((smoke / "progress").iterdir())
    assert not list((smoke / "checkpoints").glob("*"))


def test_only_a_missing_record_is_made_again(smoke: Path, tmp_path: Path) -> None:
    shutil.copytree(smoke.parent, tmp_path / "results")
    folder = tmp_path / "results" / "smoke"
    lost = next((folder / "records").glob("*-kd-*"))
    lost.unlink()
    before = files(folder / "records")
    assert cli("--grid", "smoke") == COMPLETE
    after = files(folder / "records")
    assert after.pop(lost)
    assert after == before
    assert contents(folder) == contents(smoke)  # alone as in company


def test_a_corrupt_record_is_kept_and_named_and_the_rest_goes_on(
    smoke: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(smoke.parent, tmp_path / "results")
    folder = tmp_path / "results" / "smoke"
    corrupt, lost = sorted((folder / "records").iterdir())[:2]
    corrupt.write_text(corrupt.read_text()[:100])
    lost.unlink()
    assert cli("--grid", "smoke") == FAILED
    assert corrupt.stat().st_size == 100
    assert lost.exists()
    assert str(corrupt.relative_to(tmp_path)) in capsys.readouterr().out
    assert main(["--grid", "smoke", "--status"]) == COMPLETE
    assert "8 done, 1 corrupt" in capsys.readouterr().out


def test_a_failed_teacher_fails_its_students_alone_and_can_be_retried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [{"teacher": teacher, "student": "resnet_s"} for teacher in ("resnet_m", "resnet_s")]
    good = {"resnet_m": 0.0, "resnet_s": 0.0}
    grid = write_grid(tmp_path / "two.toml", pairs=pairs, expected_accuracy={"digits": {**good, "resnet_m": 1.0}})
    assert cli("--grid", grid) == FAILED
    printed = capsys.readouterr().out
    assert re.search(
        r"1 failed, 1 recorded without their teacher: TeacherError: teacher digits-resnet_m-.* the grid's "
        r"expected_accuracy is 1.0000: train it otherwise .*, or accept it \(expected_accuracy.digits.resnet_m in ",
        printed,
    )
    assert "run again with --retry failed" not in printed  # which alone would not help
    made = {(run["pair"], run["method"]) for run in runs(tmp_path / "results" / "two")}
    assert made == {("resnet_s_resnet_s", "student"), ("resnet_s_resnet_s", "sp"), ("resnet_m_resnet_s", "student")}

    write_grid(grid, pairs=pairs, expected_accuracy={"digits": good})
    before = files(tmp_path / "results" / "two" / "records")
    assert cli("--grid", grid) == FAILED  # left alone
    assert files(tmp_path / "results" / "two" / "records") == before
    assert cli("--grid", grid, "--retry", "failed") == COMPLETE
    assert len(contents(tmp_path / "results" / "two")) == 4
    assert all(result["teacher_top1"] is not None for _, result, _ in contents(tmp_path / "results" / "two").values())
    assert "1 to train, 1 to complete by their teacher" in capsys.readouterr().out


def test_what_a_method_cannot_serve_is_said_in_the_plan_and_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = write_grid(tmp_path / "pairs.toml", seeds=[0, 1], methods=["student", "sp"])
    arguments = ("--grid", grid, "--option", "sp.stages=9")
    assert cli(*arguments, "--dry-run") == COMPLETE
    planned = capsys.readouterr().out
    assert "n/a: sp[stages=9] on resnet_m_resnet_s: student: the network has 4 stages, 9 are needed" in planned
    assert cli(*arguments) == COMPLETE
    tabled = capsys.readouterr().out
    assert re.search(r"sp\[stages=9\] +│ +2 not applicable", tabled)
    [reason] = [line for line in tabled.splitlines() if line.startswith("n/a")]  # once for both seeds
    assert reason == "n/a: sp[stages=9] on resnet_m_resnet_s: student: the network has 4 stages, 9 are needed"


def test_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--grid", "smoke", "--seeds", "2", "--dry-run") == COMPLETE
    printed = capsys.readouterr().out
    assert "18 missing" in printed
    assert "forecast time: unknown" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("methods", "rkd_da (distance=25.0, angle=50.0, normalize=False, stages=1): "),
        ("methods", "student: "),
        ("grids", "digits: "),
        ("models", "test_efficientnet"),
        ("datasets", "cifar100: 100 classes, 50,000 training and 10,000 test images"),
        ("controls", "grid 'digits' has no [[control]]"),
    ],
)
def test_lists(kind: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", kind]) == COMPLETE
    assert any(line.startswith(expected) for line in capsys.readouterr().out.splitlines())


def test_a_list_may_be_cut_short() -> None:
    """As by `| head -1`, which leaves before the rest is written."""
    command = [sys.executable, "-m", "benchmark.grid", "--list", "models"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == COMPLETE


def test_status_of_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--grid", "smoke", "--status"]) == COMPLETE
    assert "nothing was run yet" in capsys.readouterr().out


def test_exported_weights_load_into_the_model_that_their_metadata_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors import safe_open

    from benchmark.ground.libraries import timm

    grid = write_grid(tmp_path / "kept.toml", keep_weights=True, architectures__resnet_s__stem="timm")
    assert cli("--grid", grid, "--methods", "sp") == COMPLETE
    (run_id,) = contents(tmp_path / "results" / "kept")
    capsys.readouterr()
    assert main(["--export", run_id]) == COMPLETE
    with safe_open(f"{run_id}.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        run = json.loads(file.metadata()["run"])
    student = run["student"]
    model = timm.create_model(student["model"], num_classes=10, in_chans=1, **student["options"])
    model.load_state_dict(tensors)

    capsys.readouterr()
    assert main(["--export", run_id]) == USAGE
    assert "exists" in one_line(capsys.readouterr().err)
    assert main(["--export", "*"]) == USAGE
    assert run_id in one_line(capsys.readouterr().err)
