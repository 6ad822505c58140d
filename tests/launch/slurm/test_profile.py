"""Profiles: what sbatch is told, and what it never hears of."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmark.ground.errors import UsageError
from benchmark.launch.slurm.profile import PROFILES, Option, load_profile, minutes_of
from benchmark.launch.slurm.scheduler import sbatch_options
from benchmark.spec.value import shipped_names

HELP = """Usage: sbatch [OPTIONS(0)...] [ : [OPTIONS(N)...]] script(0) [args(0)...]

Parallel run options:
  -a, --array=indexes         job array index values
  -A, --account=name          charge job to specified account
      --comment=name          arbitrary comment, see --not-an-option
      --cpus-per-task=ncpus   number of cpus required per task
      --exclusive[=user]      allocate nodes in exclusive mode
  -G, --gpus=n                count of GPUs required for the job
      --mem-per-cpu=MB        maximum amount of real memory per cpu
      --mem=MB                minimum amount of real memory
  -p, --partition=partition   partition requested
  -t, --time=minutes          time limit
"""
"""As a cluster's sbatch prints it, cut short."""


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An sbatch that knows its options."""
    command = tmp_path / "bin" / "sbatch"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\ncat <<'END'\n{HELP}END\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    return command


@pytest.mark.parametrize("name", shipped_names(PROFILES))
def test_the_documented_profiles_are_valid(name: str) -> None:
    profile = load_profile(name)
    assert {"partition", "account", "cpus-per-task", "time"} <= profile.sbatch.keys()
    assert profile.minutes >= 60
    assert profile.max_parallel


def test_there_is_one_for_each_kind_of_cluster() -> None:
    assert shipped_names(PROFILES) == ["cpu", "gpu"]


@pytest.mark.parametrize(
    ("time", "minutes"),
    [
        (90, 90),
        ("90", 90),
        ("1:30", 2),
        ("1:30:00", 90),
        ("0:00:01", 1),
        ("2-12", 3600),
        ("1-0:30", 1470),
        ("1-0:0:1", 1441),
    ],
)
def test_time_limits_in_sbatchs_forms(time: Option, minutes: int) -> None:
    assert minutes_of(time) == minutes


@pytest.mark.parametrize("time", ["", "0", "1h", "1:2:3:4", "-5", True, "UNLIMITED"])
def test_other_times_are_refused(time: Option) -> None:
    with pytest.raises(UsageError, match="time"):
        minutes_of(time)


@pytest.mark.usefixtures("sbatch")
def test_settings_come_on_top_of_the_file_and_the_file_on_top_of_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('partition = "a"\nmem_per_cpu = "1G"\nworkers = 2\nsetup = ["module load x"]\n')
    profile = load_profile(str(path), ["partition=b", "cpus_per_task=3", "exclusive", "comment=a=b"], {"workers": None})
    assert profile.sbatch == {
        "partition": "b",
        "mem-per-cpu": "1G",
        "cpus-per-task": "3",
        "exclusive": True,
        "comment": "a=b",
        "time": "12:00:00",
    }
    assert (profile.workers, profile.setup) == (2, ("module load x",))
    assert load_profile(str(path), [], {"workers": 3}).workers == 3
    assert load_profile(None).sbatch == {"time": "12:00:00", "mem": "8G"}
    path.write_text("exclusive = false\n")
    assert "exclusive" not in load_profile(str(path)).sbatch


@pytest.mark.parametrize(
    ("text", "settings", "names"),
    [
        ('partion = "a"', [], "mine.toml: unknown sbatch option 'partion': did you mean partition"),
        ("", ["gpu=1"], "--slurm: unknown sbatch option 'gpu': did you mean gpus"),
        ("", ["array=1-3"], "'array' is set by the suite itself"),
        ("", ["mem="], "--slurm 'mem=' has no value"),
        ("workers = 0", [], "workers: Input should be greater than 0, got 0"),
        ("mem = [1]", [], "mem"),
        ('time = "soon"', [], "time = 'soon'"),
        ("a b", [], "is not TOML"),
        ('cpus_per_task = "two"', [], "cpus-per-task = 'two' is not a whole number of threads"),
        ("cpus_per_task = true", [], "cpus-per-task = True is not a whole number of threads"),
        ("", ["cpus-per-task=4x"], "cpus-per-task = '4x' is not a whole number of threads"),
    ],
)
@pytest.mark.usefixtures("sbatch")
def test_wrong_profiles_are_one_line(text: str, settings: list[str], names: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_profile(str(path), settings)
    assert names in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_come_from_sbatch_itself(sbatch: Path) -> None:
    assert len(sbatch_options()) == 10
    assert sbatch_options() >= {"array", "comment", "exclusive", "gpus", "mem-per-cpu"}


@pytest.mark.parametrize("answer", [None, "exit 1"])
def test_without_an_sbatch_that_says_only_the_suites_own_options_are_refused(answer: str | None, sbatch: Path) -> None:
    sbatch.write_text(f"#!/bin/sh\n{answer}\n") if answer else sbatch.unlink()
    if answer is None and shutil.which("sbatch"):
        pytest.skip("there is one on this machine")
    assert load_profile(None, ["invented-tomorrow=1"]).sbatch["invented-tomorrow"] == "1"
    with pytest.raises(UsageError, match="'array' is set by the suite itself"):
        load_profile(None, ["array=1-3"])


@pytest.mark.parametrize(("name", "says"), [("gpus", "unknown profile 'gpus': did you mean gpu"), ("x.toml", "x.toml")])
def test_profiles_that_are_not_there(name: str, says: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=says):
        load_profile(name)


def test_without_sbatch_options_are_named_that_nobody_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for _ in range(2):
        assert load_profile(None, ["partiton=a", "tme=2:00"]).sbatch["partiton"] == "a"
    load_profile(None)
    assert caplog.messages == ["not checked, since no sbatch lists its options here: partiton, tme"]


def test_what_lists_all_options_of_sbatch_is_named(sbatch: Path) -> None:
    options = "".join(f"      --option{'a' * n}=x   text\n" for n in range(80))
    sbatch.write_text(f"#!/bin/sh\ncat <<'END'\n{options}END\n")
    with pytest.raises(UsageError, match=r"unknown sbatch option 'tme': valid: .* names, see sbatch --help$"):
        load_profile(None, ["tme=2:00"])
