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

from benchmark.command import display as displayed
from benchmark.command.display import Display, clock
from benchmark.ground.console import Terminal
from benchmark.records import Folder, progress
from benchmark.records.claims import Claims
from benchmark.records.progress import Reporter
from benchmark.spec import Run

RUNS = [fake.run(method) for method in ("kd", "sp", "gkd")]


@dataclass
class Trainee:
    run: Run
    curve: list[dict[str, Any]] = field(default_factory=lambda: [{"train_top1": 0.25}])
    diverged_epoch: int | None = None
    first_step: int = 0
    next_step: int = 140
    steps: int = 10


@pytest.fixture
def claims() -> Iterator[Claims]:
    """A live worker's, without which nothing it wrote is shown."""
    with Claims() as held:
        yield held


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "WRITE_SECONDS", -1.0)
    monkeypatch.setattr(displayed, "LINE_SECONDS", -1.0)


def report(reporter: Reporter, steps: int) -> None:
    """One member trains, one has diverged, one is not heard of yet."""
    reporter.report([Trainee(RUNS[0], next_step=steps), Trainee(RUNS[1], diverged_epoch=3, next_step=40)])


@pytest.mark.parametrize("home", ["grid", "teachers"])
def test_a_claim_that_is_waited_for_is_said_by_who_watches(
    home: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Workers say it to their logs alone."""
    path = tmp_path / home / "claims" / f"{RUNS[0].id}.json"
    path.parent.mkdir(parents=True)
    path.touch()
    with Display(Folder(tmp_path / "grid"), [run.id for run in RUNS], Terminal(io.StringIO(), 40)) as display:
        display.tick()
        assert not caplog.text
        os.utime(path, (5, 5))
        display.tick()
        display.tick()
    [said] = caplog.messages
    assert said == f"{path} is held by nobody that it names: taken over after 30 s without a sign of life"


def test_lines_for_a_pipe(tmp_path: Path, claims: Claims) -> None:
    console = Terminal(io.StringIO(), 40)
    folder = Folder(tmp_path / "grid")
    fake.write(folder.path, fake.record(RUNS[2]))
    claims.take(folder.claim_path(RUNS[0].id))
    with Display(folder, [run.id for run in RUNS], console) as display, Reporter(folder.path, RUNS) as reporter:
        display.tick()
        report(reporter, 144)
        display.tick()
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "[0:00] 1/3 runs done, time left unknown"
    assert lines[-2] == "  digits · resnet_l · seed 0: epoch 14.4/30, training top-1 %:"
    assert lines[-1] == "    resnet_l_resnet_s: kd 25.0, sp diverged"
    assert "\x1b" not in "".join(lines)
    assert not list((folder.path / "progress").iterdir())  # gone with the worker


@pytest.fixture
def time_passes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of what is shown; tests turn it."""
    now = [100.0]
    monkeypatch.setattr(displayed.time, "monotonic", lambda: now[0])
    return now


def test_time_left_is_told_from_steps_within_an_epoch(tmp_path: Path, claims: Claims, time_passes: list[float]) -> None:
    """Neither the wait before nor runs that no method can serve count as training."""
    console = Terminal(io.StringIO(), 80)
    folder = Folder(tmp_path / "grid")
    claims.take(folder.claim_path(RUNS[0].id))
    with Display(folder, [run.id for run in RUNS], console) as display, Reporter(folder.path, RUNS) as reporter:
        time_passes[0] += 1000.0  # say, a teacher is trained
        display.tick()
        fake.write(folder.path, fake.record(RUNS[2], status="not_applicable"))
        two = [Trainee(RUNS[0], [], next_step=3), Trainee(RUNS[1], [], next_step=3)]
        reporter.report(two)
        display.tick()
        time_passes[0] += 60.0
        for member in two:
            member.next_step = 9  # of 300
        reporter.report(two)
        display.tick()
    heads = [line for line in console.file.getvalue().splitlines() if line.startswith("[")]  # type: ignore[attr-defined]
    assert heads[:2] == ["[16:40] 0/3 runs done, time left unknown", "[16:40] 1/3 runs done, time left unknown"]
    assert heads[2] == "[17:40] 1/3 runs done, 48:30 left"


def test_what_a_resumed_run_has_behind_it_is_no_pace(tmp_path: Path, claims: Claims, time_passes: list[float]) -> None:
    """A worker is at its first steps when another one, which goes on from a checkpoint, is first heard of."""
    console = Terminal(io.StringIO(), 80)
    folder = Folder(tmp_path / "grid")
    for run in RUNS[:2]:
        claims.take(folder.claim_path(run.id))
    new, resumed = Trainee(RUNS[0], [], next_step=0), Trainee(RUNS[1], [], next_step=150)
    with (
        Display(folder, [run.id for run in RUNS], console) as display,
        Reporter(folder.path, RUNS[:1]) as one,
        Reporter(folder.path, RUNS[1:2]) as other,
    ):
        one.report([new])
        display.tick()
        for step in (3, 6):
            time_passes[0] += 60.0
            new.next_step, resumed.next_step = step, 150 + step
            one.report([new])
            other.report([resumed])
            display.tick()
    heads = [line for line in console.file.getvalue().splitlines() if line.startswith("[")]  # type: ignore[attr-defined]
    # 6 steps of 300 and 3 more of the resumed run in two minutes, 738 are left.
    assert heads[-1] == "[2:00] 0/3 runs done, 2:44:00 left"


def test_lines_get_rarer(tmp_path: Path, time_passes: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of ten hours is not ten thousand lines."""
    monkeypatch.setattr(displayed, "LINE_SECONDS", 15.0)
    console = Terminal(io.StringIO())
    display = Display(Folder(tmp_path), [RUNS[0].id], console)
    for _ in range(10 * 60 * 12):
        display.tick()
        time_passes[0] += 5.0
    heads = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [head.split("]")[0] for head in heads[:3]] == ["[0:00", "[0:20", "[0:40"]
    assert 150 < len(heads) < 250


@pytest.mark.parametrize(
    ("next_step", "position", "shown"),
    [
        (-20, "2.0 epochs before the main schedule", "waits"),
        (-13, "1.3 epochs before the main schedule", "begins"),
        (5, "epoch 0.5/30", "begins"),
    ],
)
def test_a_run_without_a_whole_epoch_says_whether_it_has_begun(
    tmp_path: Path, claims: Claims, next_step: int, position: str, shown: str
) -> None:
    folder = Folder(tmp_path / "grid")
    claims.take(folder.claim_path(RUNS[0].id))
    with Reporter(folder.path, RUNS) as reporter:
        reporter.report([Trainee(RUNS[0], [], first_step=-20, next_step=next_step)])
        (entry,) = progress.under_way(folder)
    assert list(entry.train_top1.values()) == [shown]
    assert displayed.position(entry) == position
    assert entry.shares == {RUNS[0].id: (next_step + 20) / 320}


def test_a_panel_for_a_terminal(tmp_path: Path, claims: Claims) -> None:
    leader, follower = pty.openpty()
    with open(follower, "w") as terminal:
        folder = Folder(tmp_path / "grid")
        console = Terminal(terminal, 100)
        claims.take(folder.claim_path(RUNS[0].id))
        with Display(folder, [run.id for run in RUNS], console) as display, Reporter(folder.path, RUNS) as reporter:
            report(reporter, 144)
            display.tick()
        terminal.flush()
        shown = os.read(leader, 1 << 20).decode()
    os.close(leader)
    assert "\x1b[" in shown
    for part in ("0/3 runs", "epoch 14.4/30", "resnet_l_resnet_s", "25.0", "diverged"):
        assert part in shown


def test_a_teacher_is_named_by_its_architecture(tmp_path: Path, claims: Claims) -> None:
    console = Terminal(io.StringIO(), 200)
    teacher = RUNS[0].teacher
    assert teacher
    labelled = teacher.model_copy(update={"label": "teacher"})
    claims.take(Folder(tmp_path).teachers.claim_path(labelled.id))
    with Reporter(tmp_path, [labelled]) as reporter:
        reporter.report([Trainee(labelled)])
        Display(Folder(tmp_path), [RUNS[0].id], console).tick()
    assert "    resnet_l: teacher 25.0" in console.file.getvalue()  # type: ignore[attr-defined]


def test_files_that_are_half_there_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "progress").mkdir()
    (tmp_path / "progress" / "x.json").write_text("{")
    (tmp_path / "progress" / ".y.json").write_text("{}")
    console = Terminal(io.StringIO())
    Display(Folder(tmp_path), [RUNS[0].id], console).tick()
    assert "0/1 runs done" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.4, "1:05"), (3599.6, "1:00:00"), (7380, "2:03:00")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_what_a_dead_worker_left_behind_is_not_shown(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "grid")
    folder.part("progress").mkdir(parents=True)
    report(Reporter(folder.path, RUNS), 144)
    assert list((folder.path / "progress").iterdir())
    assert progress.under_way(folder) == []
    with Claims() as held:
        held.take(folder.claim_path(RUNS[0].id))
        assert [entry.epoch for entry in progress.under_way(folder)] == [14.4]


def test_a_killed_worker_in_other_company_is_forgotten(tmp_path: Path, claims: Claims) -> None:
    folder = Folder(tmp_path / "grid")
    folder.part("progress").mkdir(parents=True)
    report(Reporter(folder.path, RUNS[1:]), 144)  # killed, with a part of the cohort
    other = fake.run("kd", seed=1)
    report(Reporter(folder.path, [other]), 144)
    for run in (*RUNS, other):
        claims.take(folder.claim_path(run.id))
    with Reporter(folder.path, RUNS):
        assert sorted(entry.run_ids for entry in progress.under_way(folder)) == sorted(
            [[run.id for run in RUNS], [other.id]]
        )
