"""Kills of every kind at random instants, until a grid is finished: no number changes, nothing is made twice or left.

Only when asked for: `--torture-minutes 1`, or `--torture-minutes 30 --torture-seed 7` for longer and other draws.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from command_line import contents, write_grid

from benchmark.errors import COMPLETE
from benchmark.records.cleanup import SAFE_SECONDS

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TARGETS = ("parent", "workers", "all")
ARRANGEMENTS = (("inline",), ("local",), ("inline", "local"), ("local", "local"))
LATEST = 12.0
"""Seconds from a command's start to its signal, at most: a start takes a few."""

COMMAND = """
import sys
from benchmark.grid import main
from benchmark.training import loop
loop.CHECKPOINT_SECONDS = 0.05
sys.exit(main())
"""
"""The command, whose own process writes a checkpoint nearly every step."""

pytestmark = pytest.mark.usefixtures("surroundings", "shipped_signals")


def start(home: Path, results: str, executor: str) -> "subprocess.Popen[bytes]":
    where = ["--grid", home / "grid.toml", "--results-dir", home / results, "--executor", executor, "--threads", "1"]
    command = [sys.executable, "-c", COMMAND, *map(str, where)]
    with (home / "log").open("ab") as log:
        return subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log)


def hit(process: "subprocess.Popen[bytes]", target: str, number: signal.Signals, results: Path) -> None:
    """Send a signal to a command, to those who hold claims, or to all that it started."""
    with suppress(ProcessLookupError):
        if target == "parent":
            os.kill(process.pid, number)
        elif target == "all":
            os.killpg(process.pid, number)
        for claim in results.glob("*/claims/[!.]*.json") if target == "workers" else ():
            with suppress(OSError, ValueError):
                os.kill(json.loads(claim.read_text())["pid"], number)


def kept(results: Path) -> dict[str, bytes]:
    """What may never change once it is there: records, curves and weights."""
    found = {}
    for part in ("records", "curves", "weights"):
        for path in results.glob(f"*/{part}/[!.]*"):
            found[str(path.relative_to(results))] = path.read_bytes()
    return found


def assert_unchanged(before: dict[str, bytes], now: dict[str, bytes]) -> None:
    changed = [name for name in before if "records/" in name and now.get(name) != before[name]]
    assert not changed, f"made twice, or lost: {changed}"


def left_over(results: Path) -> list[str]:
    places = [
        path for part in ("claims", "checkpoints", "progress", "failures") for path in results.glob(f"*/{part}/*")
    ]
    hidden = [path for path in results.rglob(".*") if "code" not in path.parts]
    return sorted(str(path.relative_to(results)) for path in {*places, *hidden})


def test_any_kill_at_any_instant(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    seconds, seed = 60 * pytestconfig.getoption("torture_minutes"), pytestconfig.getoption("torture_seed")
    if not seconds:
        pytest.skip("asked for by --torture-minutes")
    draw = random.Random(seed)
    write_grid(tmp_path / "grid.toml", name="grid", recipe__epochs=40, teacher_recipe__epochs=10, seeds=[0, 1])
    assert start(tmp_path, "undisturbed", "inline").wait() == COMPLETE, (tmp_path / "log").read_text()
    results, before, kills = tmp_path / "results", dict[str, bytes](), 0
    started: list[subprocess.Popen[bytes]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        commands = [start(tmp_path, "results", executor) for executor in draw.choice(ARRANGEMENTS)]
        started += commands
        time.sleep(draw.uniform(0, LATEST))
        for command in commands:
            hit(command, draw.choice(TARGETS), draw.choice(SIGNALS), results)
            kills += 1
        if draw.random() < 0.5:  # else they meet the next ones
            for command in commands:
                hit(command, "all", signal.SIGKILL, results)
        for command in commands:
            with suppress(subprocess.TimeoutExpired):
                command.wait(timeout=draw.uniform(0, 2))
        now = kept(results)
        assert_unchanged(before, now)
        before = now
        if len(contents(results / "grid")) == 4:
            stop(started, results)
            compare(tmp_path, results)
            results.rename(tmp_path / f"finished{kills}")  # and from the start
            before = {}
    stop(started, results)
    compare(tmp_path, results)
    print(f"{kills} kills in {seconds:.0f} s, seed {seed}")


def stop(commands: "list[subprocess.Popen[bytes]]", results: Path) -> None:
    """Kill whatever still works, also on behalf of commands that are gone."""
    for command in commands:
        hit(command, "all", signal.SIGKILL, results)
        command.wait()
    commands.clear()


def compare(home: Path, results: Path) -> None:
    """Finish, and hold what is there against what nobody disturbed."""
    assert start(home, "results", "inline").wait(timeout=600) == COMPLETE, (home / "log").read_text()[-5000:]
    for path in results.rglob(".*"):
        with suppress(FileNotFoundError):
            os.utime(path, (time.time() - 2 * SAFE_SECONDS,) * 2)
    assert start(home, "results", "inline").wait(timeout=600) == COMPLETE
    for name in ("grid", "teachers"):
        assert contents(results / name) == contents(home / "undisturbed" / name)
    theirs = {name: data for name, data in kept(home / "undisturbed").items() if "records/" not in name}
    assert {name: data for name, data in kept(results).items() if "records/" not in name} == theirs
    assert left_over(results) == []
