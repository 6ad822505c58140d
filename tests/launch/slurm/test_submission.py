"""On a real SLURM: what is submitted, and that it makes a local run's records."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import contents, write_grid
from guides import clone, follow
from slurm_places import MEMORY, ROOT, Place, said, shown, wait_until

from benchmark.grid import main
from benchmark.ground.errors import COMPLETE, INCOMPLETE, USAGE
from benchmark.launch.slurm import scheduler
from benchmark.records import Folder, ledger
from benchmark.spec import load_grid

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("trial", "surroundings")]


def test_the_readmes_command_gives_a_local_runs_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Submitted, submitted again while it is queued, and watched."""
    monkeypatch.chdir(tmp_path)
    smoke = Place(tmp_path, "smoke")
    command = ["--grid", "smoke", "--methods", "all", "--seeds", "3"]
    on_slurm = [*command, "--slurm", MEMORY, "--slurm", "time=10"]
    assert main(on_slurm) == INCOMPLETE
    submitted = smoke.jobs()
    assert len(submitted) == 1 + 3  # the teacher, then an array of the three seeds' cohorts
    assert len({job_id.partition("_")[0] for job_id in submitted}) == 2
    assert main(on_slurm) == INCOMPLETE
    assert main([*command, "--executor", "inline", "--results-dir", "local"]) == COMPLETE
    assert main([*on_slurm, "--watch"]) == COMPLETE
    assert smoke.jobs() == submitted
    cells = 3 * len(load_grid("smoke").methods)
    assert f"{cells}/{cells} runs done" in capsys.readouterr().out
    assert len(contents(smoke.folder)) == cells
    assert contents(smoke.folder) == contents(Path("local/smoke"))
    assert contents(Path("results/teachers")) == contents(Path("local/teachers"))
    assert {path.name for path in (smoke.folder / "logs").iterdir()} == {"teachers", "digits-resnet_m"}
    (code,) = (smoke.folder / "code").iterdir()
    records = list((smoke.folder / "records").iterdir())
    provenance = [json.loads(path.read_text())["provenance"] for path in records]
    assert {each["code"] for each in provenance} == {(code / "version.txt").read_text()}
    assert provenance[0]["code"].endswith(f"source {code.name}")
    assert all(each["job"].startswith("slurm ") for each in provenance)

    wait_until(smoke.gone)
    records[0].unlink()
    assert main([*command, "--status"]) == COMPLETE
    printed = capsys.readouterr().out
    assert f"{cells - 1} done, 1 failed" in printed
    assert f"COMPLETED without a record of 1 runs ({records[0].stem} ...)" in printed


def test_of_two_shells_one_submits_and_what_it_submitted_is_what_runs(
    taught: Callable[[str], Place], undisturbed: Place, surroundings: str, tmp_path: Path
) -> None:
    """The tree is broken after submission; the job has its own copy."""
    place = taught("shells")
    for package in ("benchmark", "methods", "analysis"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    python_path = f"{tmp_path}{os.pathsep}{surroundings}"
    shells = [place.shell("--seeds", "1", "--slurm", "hold", python_path=python_path) for _ in range(2)]
    errors = [shell.communicate()[1] for shell in shells]
    assert {shell.returncode for shell in shells} <= {INCOMPLETE, USAGE}, errors
    assert all("another command is submitting" in error for error in errors if error)
    (job_id,) = place.jobs()
    (tmp_path / "benchmark" / "training.py").write_text("raise RuntimeError('changed after submission')")
    said("scontrol", "release", job_id)
    wait_until(place.gone)
    place.assert_as(undisturbed, 0)


def test_two_jobs_may_be_submitted_and_two_workers_share_the_gpu_of_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the profile for GPU clusters: two teachers and two cohorts as the two jobs that the account still allows. What
    a dry run prints is what sbatch is told.
    """
    user = ["user", "where", f"name={os.environ.get('USER', 'root')}"]
    sacctmgr = ["sacctmgr", "--immediate", "modify", *user, "set"]
    place = Place(tmp_path / "it's a folder", "few")
    place.home.mkdir()
    write_grid(place.home / "few.toml", teacher_seed="paired", seeds=[0, 1])
    here = [f"--slurm={setting}" for setting in ("partition=main", "account=trial", "cpus-per-task=1")]
    asked = ("--profile", "gpu", *here, "--max-parallel", "1")
    subprocess.run([*sacctmgr, "maxsubmitjobs=2"], check=True)
    try:
        wait_until(lambda: scheduler.limits(None, None).jobs == 2)
        capsys.readouterr()
        assert place.grid(*asked, "--dry-run") == COMPLETE
        printed = capsys.readouterr().out
        assert not place.folder.exists()
        assert place.grid(*asked) == INCOMPLETE
    finally:
        subprocess.run([*sacctmgr, "maxsubmitjobs=-1"], check=True)
    teachers, students = place.jobs()
    assert "gpu:1" in shown(students, "TresPerNode")
    assert shown(students, "NumTasks") == "2"
    teacher_ids = ledger.entries(Folder(place.folder))[0].run_ids
    for script in sorted((place.folder / "logs").glob("*/*_submission.sh")):
        lines = [line for line in script.read_text().splitlines()[1:] if line and line != "# Parameters"]
        for line in lines:
            assert line.replace(f":{teachers}", f":JOB_OF_{teacher_ids[0]}") in printed or line in printed
    assert place.grid("--executor", "inline", "--results-dir", str(tmp_path / "local")) == COMPLETE
    wait_until(place.gone)
    assert [len(entry.run_ids) for entry in ledger.entries(Folder(place.folder))] == [2, 4]
    assert len(contents(place.folder)) == 4
    assert contents(place.folder) == contents(tmp_path / "local" / "few")
    assert len(list((place.folder / "logs").glob(f"*/{students}_?_log.out"))) == 2


def test_an_array_is_cut_where_the_cluster_wants_it_and_cancelled(
    taught: Callable[[str], Place], capsys: pytest.CaptureFixture[str]
) -> None:
    """The trial cluster's arrays have 101 tasks at most."""
    place = taught("many")
    assert place.grid("--seeds", "103", "--slurm", "hold") == INCOMPLETE
    arrays = [job_id.partition("_")[0] for job_id in place.jobs()]
    assert [arrays.count(array) for array in dict.fromkeys(arrays)] == [101, 2]
    assert place.grid("--cancel") == COMPLETE
    assert f"cancelled {len(arrays)} jobs" in capsys.readouterr().out
    wait_until(place.gone)
    assert f"{len(arrays)} lost" in place.status()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--slurm", "partition=nowhere"], "invalid partition specified: nowhere"),
        (["--results-dir", "50%a"], "50%a/long': % in the path of a job's log is read as a pattern"),
    ],
)
def test_what_is_refused_is_one_line_and_nothing_is_left(
    arguments: list[str],
    says: str,
    taught: Callable[[str], Place],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    place = taught("refused")
    assert place.grid(*arguments) == USAGE
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert says in error
    assert not place.jobs()


def test_jobs_that_cannot_be_written_down_are_cancelled(
    taught: Callable[[str], Place], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = []

    def full(folder: Folder, entries: list[ledger.Entry]) -> None:
        submitted.extend(entry.job_id for entry in entries)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger, "note", full)
    assert taught("unwritten").grid("--slurm", "hold") == USAGE
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "No space left on device" in error
    assert len(submitted) == 3
    wait_until(lambda: not scheduler.queue(submitted))


def test_sbatch_lists_its_options() -> None:
    found = scheduler.sbatch_options()
    assert found >= {
        "account",
        "array",
        "cpus-per-task",
        "gres",
        "mem",
        "no-requeue",
        "partition",
        "qos",
        "time",
        "wrap",
    }
    assert len(found) > 80


def test_the_guide_can_be_followed(tmp_path: Path) -> None:
    follow("submit_to_a_cluster", clone(tmp_path))
