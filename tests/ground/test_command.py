"""What every command does with its output and with a machine or a cluster that is in trouble."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import cli, one_line, write_grid

from benchmark.command.cluster import choose_executor
from benchmark.ground.command import names
from benchmark.ground.errors import FAILED, UsageError, machine_trouble
from benchmark.launch.slurm import scheduler
from benchmark.records import Folder

pytestmark = pytest.mark.usefixtures("surroundings")


def shell(line: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = ["bash", "-o", "pipefail", "-c", line.replace("python", sys.executable)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", env={**os.environ, **environment})


@pytest.mark.parametrize(
    "command", ["benchmark.grid --list methods", "benchmark.grid --grid smoke --dry-run", "benchmark.grid --help"]
)
def test_a_reader_that_stops_early_is_no_error(command: str) -> None:
    """The reader is gone before the first line is written."""
    done = shell(f"python -m {command} | (exec 0<&-; sleep 0.1)")
    assert done.returncode == 0, done.stderr
    assert not done.stderr


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("benchmark.grid --list grids >&-", 0, ""),
        ("benchmark.grid --grid nosuch 2>&-", 2, ""),
        ("analysis.plan --sd 0.3 --methods 3 --pairs 3 >/dev/full", 2, "error: No space left on device\n"),
        ("methods.check kd >/dev/full", 2, "error: No space left on device\n"),
        ("methods.check --template >/dev/full", 2, "error: No space left on device\n"),
        ("methods.check --template >&-", 0, ""),
    ],
)
def test_an_output_that_is_closed_or_full_is_no_traceback(line: str, code: int, said: str) -> None:
    done = shell(f"python -m {line}")
    assert (done.returncode, done.stderr) == (code, said)


def test_a_reader_that_stops_early_ends_a_check_quietly() -> None:
    assert not shell("python -m methods.check student kd | (exec 0<&-; sleep 0.1)").stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_output_of_any_encoding_ends_well(encoding: str, tmp_path: Path) -> None:
    grid = write_grid(tmp_path / "tiny.toml", description="résumé → 数")
    line = f"python -m benchmark.grid --grid {grid} --seeds 1 --methods student --executor inline --threads 1"
    done = shell(line, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert Folder(Path("results/tiny")).known_ids()


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (MemoryError(), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"), "out of memory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(24, "Too many open files"), "Too many open files"),
        (OSError(13, "Permission denied"), None),
        (RuntimeError("shapes do not match"), None),
        (ValueError("x"), None),
    ],
)
def test_what_a_machine_is_to_blame_for(error: Exception, trouble: str | None) -> None:
    assert machine_trouble(error) == trouble


def test_memory_that_runs_out_fails_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exhausted(*arguments: object, **options: object) -> None:
        raise MemoryError

    grid = write_grid(tmp_path / "tiny.toml")
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.training.cohort.run_cohort", exhausted)
        assert cli("--grid", grid) == FAILED
    assert one_line(capsys.readouterr().err) == "error: out of memory; fewer workers or a smaller batch may fit\n"
    assert not list(Path("results").glob("*/failures/*"))
    assert cli("--grid", grid) == 0


@pytest.mark.parametrize(
    ("installed", "answer", "configuration", "expected"),
    [
        (False, 0, None, "local"),
        (True, 0, None, "slurm"),
        (True, 1, None, "local"),
        (True, 1, "/etc/slurm.conf", "error"),
    ],
)
def test_a_configured_cluster_that_does_not_answer_is_no_laptop(
    installed: bool,
    answer: int,
    configuration: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("sbatch", "sinfo") if installed else ():
        (tmp_path / name).write_text(f"#!/bin/sh\necho 'Unable to contact slurm controller' >&2\nexit {answer}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin" if installed else str(tmp_path))
    monkeypatch.setattr(scheduler, "CONFIGURATIONS", ())
    monkeypatch.delenv("SLURM_CONF", raising=False)
    if configuration:
        monkeypatch.setenv("SLURM_CONF", configuration)
    if expected != "error":
        assert choose_executor("auto") == expected
        return
    for wanted in ("auto", "slurm"):
        with pytest.raises(UsageError, match="Unable to contact slurm controller; to train on this machine: local"):
            choose_executor(wanted)
    assert choose_executor("local") == "local"


SLEEPS = "time.sleep(9)"
MAKES_ANOTHER_ERROR = """
try:
    time.sleep(9)
except KeyboardInterrupt:
    raise ImportError("numpy C-extensions failed") from None
"""
GRID = "benchmark.grid --grid smoke --executor inline"
INTERRUPTED_IMPORTS = [
    (GRID, "rich", SLEEPS),  # before the command has begun
    (GRID, "torch", SLEEPS),
    (GRID, "timm", SLEEPS),
    (GRID, "torch", MAKES_ANOTHER_ERROR),
    ("analysis results", "pydantic", SLEEPS),
    ("benchmark.cost --grid smoke", "torch", SLEEPS),
    ("benchmark.speed --grid smoke", "torch", SLEEPS),
    ("methods.check kd", "torch", SLEEPS),
    ("methods.check kd", "torch", MAKES_ANOTHER_ERROR),
    ("benchmark.command check kd", "torch", SLEEPS),
]


@pytest.mark.usefixtures("shipped_signals")
@pytest.mark.parametrize(("command", "library", "then"), INTERRUPTED_IMPORTS)
def test_an_interrupt_while_libraries_are_imported_is_one_line(
    command: str, library: str, then: str, tmp_path: Path
) -> None:
    """Stand-ins for libraries send the signal themselves, so that it comes at that very moment. `methods.check` dies of
    it without a word."""
    fake = tmp_path / "fakes" / f"{library}.py"
    fake.parent.mkdir()
    fake.write_text(f"""
import os, signal, threading, time
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
{then}
""")
    path = os.pathsep.join([str(fake.parent), os.environ["PYTHONPATH"]])
    begun = [sys.executable, "-m", *command.split()]
    ended = subprocess.run(
        begun, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    if command.startswith("methods"):
        assert (ended.returncode, ended.stdout, ended.stderr) == (-2, "", "")
    else:
        assert (ended.returncode, ended.stdout) == (130, "")
        assert one_line(ended.stderr).startswith("stopped")
    assert sorted(tmp_path.iterdir()) == [fake.parent]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["kd,sp", "gkd"], ("kd", "sp", "gkd")),
        (["kd sp , gkd"], ("kd", "sp", "gkd")),
        (["rkd_da[angle=2,distance=1] kd"], ("rkd_da[angle=2,distance=1]", "kd")),
        (["digits (train 200, test 10), digits"], ("digits (train 200, test 10)", "digits")),
        (["digits (train 200) cifar100", "mnist"], ("digits (train 200)", "cifar100", "mnist")),
    ],
)
def test_names_are_parted_by_commas_and_spaces_that_are_no_part_of_them(
    given: list[str], found: tuple[str, ...]
) -> None:
    assert names("--names", given) == found
