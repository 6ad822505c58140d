"""Progress: files by workers, lines or a live panel by who watches."""

import io
import os
import pty
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fake_results as fake
import pytest
from rich.console import Console

from benchmark import progress
from benchmark.claims import Claims
from benchmark.progress import Display, Reporter, clock
from benchmark.records import Folder
from benchmark.spec import Run

RUNS = [fake.run(method) for method in ("kd", "sp", "gkd")]


@dataclass
class Trainee:
    run: Run
    curve: list[dict[str, Any]] = field(default_factory=lambda: [{"train_top1": 0.25}])
    diverged_epoch: int | None = None


@pytest.fixture
def claims() -> Iterator[Claims]:
    """A live worker's, without which nothing it wrote is shown."""
    with Claims() as held:
        yield held


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "WRITE_SECONDS", -1.0)
    monkeypatch.setattr(progress, "LINE_SECONDS", -1.0)


def report(reporter: Reporter, epoch: int) -> None:
    """One member trains, one has diverged, one is not heard of yet."""
    reporter.report(epoch, [Trainee(RUNS[0]), Trainee(RUNS[1], diverged_epoch=3)])


def test_lines_for_a_pipe(tmp_path: Path, claims: Claims) -> None:
    console = Console(file=io.StringIO(), width=40)
    folder = Folder(tmp_path / "grid")
    fake.write(folder.path, fake.record(RUNS[2]))
    claims.take(folder.claim_path(RUNS[0].id))
    with Display(folder, [run.id for run in RUNS], console) as display, Reporter(folder.path, RUNS) as reporter:
        display.tick()
        report(reporter, 14)
        display.tick()
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "[0:00] 1/3 runs done, time left unknown"
    assert lines[-2] == "  digits · resnet_l · seed 0: epoch 15/30, training top-1 %:"
    assert lines[-1] == "    resnet_l_resnet_s: kd 25.0, sp diverged"
    assert "\x1b" not in "".join(lines)
    assert not list((folder.path / "progress").iterdir())  # gone with the worker


def test_a_panel_for_a_terminal(tmp_path: Path, claims: Claims) -> None:
    leader, follower = pty.openpty()
    with open(follower, "w") as terminal:
        folder = Folder(tmp_path / "grid")
        console = Console(file=terminal, width=100, force_terminal=None, legacy_windows=False)
        claims.take(folder.claim_path(RUNS[0].id))
        with Display(folder, [run.id for run in RUNS], console) as display, Reporter(folder.path, RUNS) as reporter:
            report(reporter, 14)
            display.tick()
        terminal.flush()
        shown = os.read(leader, 1 << 20).decode()
    os.close(leader)
    assert "\x1b[" in shown
    for part in ("0/3 runs", "epoch 15/30", "resnet_l_resnet_s", "25.0", "diverged"):
        assert part in shown


def test_a_teacher_is_named_by_its_architecture(tmp_path: Path, claims: Claims) -> None:
    console = Console(file=io.StringIO(), width=200)
    teacher = RUNS[0].teacher
    assert teacher
    labelled = teacher.model_copy(update={"label": "teacher"})
    claims.take(Folder(tmp_path).teachers.claim_path(labelled.id))
    with Reporter(tmp_path, [labelled]) as reporter:
        reporter.report(0, [Trainee(labelled)])
        Display(Folder(tmp_path), [RUNS[0].id], console).tick()
    assert "    resnet_l: teacher 25.0" in console.file.getvalue()  # type: ignore[attr-defined]


def test_files_that_are_half_there_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "progress").mkdir()
    (tmp_path / "progress" / "x.json").write_text("{")
    (tmp_path / "progress" / ".y.json").write_text("{}")
    console = Console(file=io.StringIO())
    Display(Folder(tmp_path), [RUNS[0].id], console).tick()
    assert "0/1 runs done" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.4, "1:05"), (3599.6, "1:00:00"), (7380, "2:03:00")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_what_a_dead_worker_left_behind_is_not_shown(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "grid")
    report(Reporter(folder.path, RUNS), 14)
    assert list((folder.path / "progress").iterdir())
    assert progress.under_way(folder) == []
    with Claims() as held:
        held.take(folder.claim_path(RUNS[0].id))
        assert [entry["epoch"] for entry in progress.under_way(folder)] == [15]
