"""Grids that are stopped, by a signal, a clock or a killed worker, and go on: the numbers are the same."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import METHODS, cli, contents, one_line, write_grid

from benchmark.ground.errors import COMPLETE, INCOMPLETE, INTERRUPTED, USAGE
from benchmark.launch import job

ESCAPE = "\x1b"
ODD_NAME = 'it\'s a "földer" '
EPOCHS = 30
"""Of some seconds: workers say once a second how far they are, and what was interrupted is trained to its end."""

pytestmark = pytest.mark.usefixtures("surroundings", "shipped_signals")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a grid long enough to be interrupted, beside its TOML file."""
    home = tmp_path_factory.mktemp("undisturbed")
    grid = write_grid(home / "long.toml", recipe__epochs=EPOCHS)
    assert cli("--grid", grid, "--results-dir", home / "results") == COMPLETE
    return home


@pytest.fixture
def begun(undisturbed: Path, tmp_path: Path) -> Path:
    """A results folder in which the teacher is there and the students are to come; its name asks for quoting."""
    results = tmp_path / ODD_NAME
    shutil.copytree(undisturbed / "results" / "teachers", results / "teachers")
    return results


@pytest.mark.parametrize(
    ("number", "code", "again"),
    [(signal.SIGINT, INTERRUPTED, "inline"), (signal.SIGKILL, -signal.SIGKILL, "local")],
    ids=["Ctrl-C", "kill -9"],
)
def test_a_signal_to_all_processes_costs_no_numbers(
    number: signal.Signals,
    code: int,
    again: str,
    undisturbed: Path,
    begun: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = ["--grid", undisturbed / "long.toml", "--results-dir", begun]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark.grid", *where, "--executor", "local", "--threads", "1"],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_an_epoch(begun / "long", process.poll)
    os.killpg(process.pid, number)
    _, errors = process.communicate()
    assert process.returncode == code, errors
    assert not contents(begun / "long")
    if number == signal.SIGINT:
        assert "run the same command again" in one_line(errors)
        assert_stopped_cleanly(begun / "long")
    assert cli(*where, executor=again) == COMPLETE
    assert contents(begun / "long") == contents(undisturbed / "results" / "long")
    said = capsys.readouterr()
    assert "2/2 runs done" in said.out
    assert ESCAPE not in said.out + said.err
    jobs = [json.loads(line) for line in (begun / "long" / "jobs.jsonl").read_text().splitlines()]
    assert [len(job["run_ids"]) for job in jobs] == [2] * (1 + (again == "local"))


@pytest.mark.parametrize(
    ("executor", "number"),
    [
        ("local", signal.SIGINT),
        ("inline", signal.SIGTERM),
        ("local", signal.SIGHUP),
    ],
)
def test_an_interrupt_of_the_command_alone_costs_no_numbers(
    executor: str, number: signal.Signals, undisturbed: Path, begun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody works on behind its back."""
    grid = undisturbed / "long.toml"
    with during_training(begun / "long", lambda: os.kill(os.getpid(), number)):
        assert cli("--grid", grid, "--results-dir", begun, executor=executor) == INTERRUPTED
    assert "run the same command again" in one_line(capsys.readouterr().err)
    assert_stopped_cleanly(begun / "long")
    assert cli("--grid", grid, "--results-dir", begun) == COMPLETE
    assert contents(begun / "long") == contents(undisturbed / "results" / "long")


def test_a_worker_killed_from_outside_is_made_up_for(
    undisturbed: Path, begun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the system does when memory runs out: the worker goes, the command stays and says what is missing."""

    def kill_worker() -> None:
        claim = json.loads(next((begun / "long" / "claims").glob("[!.]*.json")).read_text())
        os.kill(claim["pid"], signal.SIGKILL)

    grid = undisturbed / "long.toml"
    with during_training(begun / "long", kill_worker):
        assert cli("--grid", grid, "--results-dir", begun, executor="local") == INCOMPLETE
    output = capsys.readouterr().out
    assert "2 runs are still to be made" in output
    assert re.search(r"worker \d+ ended early; its log: .*_log\.err", output)
    assert cli("--grid", grid, "--results-dir", begun) == COMPLETE
    assert contents(begun / "long") == contents(undisturbed / "results" / "long")


def assert_stopped_cleanly(folder: Path) -> None:
    """Nobody works on, and every student has left a checkpoint."""
    assert not contents(folder)
    assert not list((folder / "claims").iterdir())
    assert not list((folder / "progress").iterdir())
    assert len(list((folder / "checkpoints").glob("*/*.pt"))) == len(METHODS)


@contextmanager
def during_training(folder: Path, act: Callable[[], None]) -> Iterator[None]:
    """Do something from another thread while the block trains."""
    over = threading.Event()

    def wait_and_act() -> None:
        wait_for_an_epoch(folder, lambda: over.is_set() or None)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def wait_for_an_epoch(folder: Path, over: Callable[[], object]) -> None:
    """Block until a worker says that some, but not all epochs are made."""
    while over() is None:
        for path in (folder / "progress").glob("[!.]*.json"):
            try:
                state = json.loads(path.read_text())
            except FileNotFoundError:
                continue
            if 0 < state["epoch"] < state["epochs"] == EPOCHS:
                return
        time.sleep(0.02)
    raise AssertionError("training was over too early")


def test_stopped_runs_end_with_the_same_numbers(
    undisturbed: Path, begun: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = iter(range(100))
    with monkeypatch.context() as patch:
        patch.setattr(job.Stop, "now", lambda self, deadline: deadline is not None and next(asked, 100) >= 100)
        grid = undisturbed / "long.toml"
        assert cli("--grid", grid, "--results-dir", begun, "--stop-after", "0.1s") == INCOMPLETE
    assert "2 runs are still to be made" in capsys.readouterr().out
    assert len(list((begun / "long" / "checkpoints").glob("*/*.pt"))) == len(METHODS)
    assert cli("--grid", grid, "--results-dir", begun) == COMPLETE
    assert contents(begun / "long") == contents(undisturbed / "results" / "long")
    provenance = [json.loads(path.read_text())["provenance"] for path in (begun / "long" / "records").iterdir()]
    assert [entry["resumed"] for entry in provenance] == [1, 1]


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_a_results_folder_that_is_renamed_meanwhile_ends_the_command_and_no_second_one_is_made(
    executor: str, undisturbed: Path, begun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid, folder = undisturbed / "long.toml", begun / "long"
    with during_training(folder, lambda: folder.rename(begun / "away")):
        assert cli("--grid", grid, "--results-dir", begun, executor=executor) == USAGE
    errors = capsys.readouterr().err.splitlines()
    assert f"error: results folder {folder} is gone, renamed or removed" in errors[-1]
    assert not folder.exists()
    (begun / "away").rename(folder)
    if executor == "inline":
        shutil.rmtree(folder / "claims")  # they name this process, which lives on, unlike a command's
    assert cli("--grid", grid, "--results-dir", begun) == COMPLETE
    assert contents(folder) == contents(undisturbed / "results" / "long")
