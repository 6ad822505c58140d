"""Kills of every kind at random instants, until a grid is finished, again and again: no number changes, nothing is made
twice or left.

Only when asked for: `--torture-minutes 1`, or `--torture-minutes 30 --torture-seed 7` for longer and other draws. What
is drawn depends on the seed alone; where in the work an instant falls depends on the machine as well.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import tortured
from command_line import contents, write_grid

from benchmark.ground.errors import COMPLETE
from benchmark.records.cleanup import SAFE_SECONDS

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TARGETS = ("parent", "workers", "all")
ARRANGEMENTS = (("inline",), ("inline",), ("local",), ("inline", "inline"), ("inline", "local"), ("local", "local"))
RUNS = 4
LATEST = {"inline": 10.0, "local": 40.0}
"""When a signal comes at the latest, as a multiple of what a command takes that finds nothing to do: most of the work
is done by then. Local workers have torch to import."""
LONGEST = 300.0
"""Seconds that an undisturbed command may take; what takes longer hangs."""

pytestmark = [
    pytest.mark.usefixtures("surroundings", "shipped_signals"),
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc"),
]


class Torture:
    """A grid, what it comes to undisturbed, and results that commands are killed at."""

    def __init__(self, home: Path, seed: int) -> None:
        self.home, self.results, self.undisturbed = home, home / "results", home / "undisturbed"
        self.draw = random.Random(seed)
        self.mark = f"{home}"
        self.server = tortured.server(self.mark)
        self.commands: list[ForkServerProcess] = []
        self.kills: Counter[str] = Counter()
        self.finished = 0
        write_grid(home / "grid.toml", name="grid", recipe__epochs=8, teacher_recipe__epochs=4, seeds=[0, 1])
        self.complete(self.undisturbed)  # what the others' results are held against
        self.wanted = kept(self.undisturbed, records=False)
        started = time.monotonic()
        self.complete(self.undisturbed)  # there is nothing to do, but the server is running
        self.least = time.monotonic() - started

    def start(self, results: Path, executor: str) -> ForkServerProcess:
        where = ("--grid", self.home / "grid.toml", "--results-dir", results, "--executor", executor)
        return tortured.start(self.server, self.home / "log", *where)

    def complete(self, results: Path) -> None:
        process = self.start(results, "inline")
        process.join(LONGEST)
        assert process.exitcode == COMPLETE, (self.home / "log").read_text()[-5000:]

    def round(self) -> None:
        """One or two commands, a signal to each; half of the time what is left of them then works on into the next."""
        executors = self.draw.choice(ARRANGEMENTS)
        before = kept(self.results)
        commands = [self.start(self.results, executor) for executor in executors]
        self.commands += commands
        time.sleep(self.draw.random() * max(LATEST[executor] for executor in executors) * self.least)
        for command in commands:
            self.hit(command, self.draw.choice(TARGETS), self.draw.choice(SIGNALS))
        if self.draw.random() < 0.5:
            self.stop()
        else:
            commands[0].join(timeout=self.draw.uniform(0, 2))
        now = kept(self.results)
        assert {name: now.get(name) for name in before} == before, "a record was made twice, or lost"

    def hit(self, command: ForkServerProcess, target: str, number: signal.Signals) -> None:
        """Send a signal to a command, to those who hold claims, or to all that it started."""
        assert command.pid is not None
        victims = tortured.members(command.pid, self.mark)
        if target == "parent":
            victims = [pid for pid in victims if pid == command.pid]
        elif target == "workers":
            victims = [pid for pid in victims if pid in self.claimants()]
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if victims:
            self.kills[f"{target} {number.name}"] += 1

    def claimants(self) -> set[int]:
        found = set()
        for claim in self.results.glob("*/claims/[!.]*.json"):
            with suppress(OSError, ValueError):
                found.add(json.loads(claim.read_text())["pid"])
        return found

    def stop(self) -> None:
        """Kill whatever still works, also on behalf of commands that are gone."""
        for command in self.commands:
            self.hit(command, "all", signal.SIGKILL)
            command.kill()
            command.join()
        self.commands.clear()

    def is_finished(self) -> bool:
        return len(list((self.results / "grid" / "records").glob("[!.]*.json"))) == RUNS

    def compare(self) -> None:
        """Finish, hold what is there against what nobody disturbed, and begin anew."""
        self.stop()
        self.complete(self.results)
        for path in self.results.rglob(".*"):
            with suppress(FileNotFoundError):
                os.utime(path, (time.time() - 2 * SAFE_SECONDS,) * 2)
        self.complete(self.results)
        for name in ("grid", "teachers"):
            assert contents(self.results / name) == contents(self.undisturbed / name)
        assert kept(self.results, records=False) == self.wanted
        assert left_over(self.results) == []
        self.finished += 1
        self.results.rename(self.home / f"finished{self.finished}")


def kept(results: Path, records: bool = True) -> dict[str, bytes]:
    """What may never change once it is there: records, which say when they were made, or curves and weights."""
    found = {}
    for part in ("records",) if records else ("curves", "weights"):
        for path in results.glob(f"*/{part}/[!.]*"):
            found[str(path.relative_to(results))] = path.read_bytes()
    return found


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
    started = time.monotonic()
    torture = Torture(tmp_path, seed)
    last = 2 * (time.monotonic() - started)  # what the end takes, at most
    try:
        while time.monotonic() - started + last < seconds or not torture.kills:
            torture.round()
            if torture.is_finished():
                torture.compare()
        if torture.results.exists():
            torture.compare()
    finally:
        torture.stop()
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(torture.kills.items()))
    spent = time.monotonic() - started
    print(f"\n{torture.kills.total()} kills in {spent:.0f} s, {torture.finished} grids, seed {seed}: {told}")
