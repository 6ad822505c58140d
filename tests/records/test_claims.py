"""Claims: exclusive, kept alive, and taken over from the dead alone."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from full_disk import files_end_at
from written_claims import write_claim

from benchmark.ground.errors import UsageError
from benchmark.records import claims
from benchmark.records.claims import STALE_SECONDS, Claims, is_claimed
from benchmark.records.process import identity

ROOT = Path(__file__).parents[2]
RACERS = 8
RACE = """
import sys, time
from pathlib import Path
from benchmark.records.claims import Claims
folder, mine = Path(sys.argv[1]), Path(sys.argv[1]) / f"ready-{sys.argv[2]}"
with Claims() as claims:
    mine.touch()
    while not (folder / "go").exists():
        time.sleep(0.001)
    won = claims.take(folder / "claims" / "run.json")
    mine.unlink()
    while list(folder.glob("ready-*")):
        time.sleep(0.001)
    print("won" if won else "lost")
"""
"""Take a claim at a sign, and hold it until all have tried."""


@pytest.fixture(params=["none before", "stale before"])
def contested(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "claims").mkdir()
    if request.param == "stale before":
        write_claim(tmp_path / "claims" / "run.json", started="another time")
    return tmp_path


def test_of_many_processes_one_wins(contested: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    racers = [
        subprocess.Popen([sys.executable, "-c", RACE, contested, str(i)], env=environment, stdout=subprocess.PIPE)
        for i in range(RACERS)
    ]
    while len(list(contested.glob("ready-*"))) < RACERS:
        assert all(racer.poll() is None for racer in racers)
        time.sleep(0.01)
    (contested / "go").touch()
    said = [racer.communicate()[0].strip() for racer in racers]
    assert sorted(said) == [b"lost"] * (RACERS - 1) + [b"won"]
    assert not list((contested / "claims").iterdir())


def test_held_until_released(tmp_path: Path) -> None:
    path = tmp_path / "claims" / "run.json"
    with Claims() as first, Claims() as second:
        assert first.take(path)
        assert not second.take(path)
        first.release([path])
        assert second.take(path)
    assert not path.exists()  # let go at the end


class Clock:
    """This process's clock, moved by hand: watching takes no time."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr(claims.time, "monotonic", lambda: self.now)

    def is_stale_after(self, seconds: float, mine: Claims, path: Path) -> bool:
        """Look, wait, look again."""
        assert not mine.is_stale(path)
        self.now += seconds
        return mine.is_stale(path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


AGES = (-3600.0, 0.0, 3600.0)
"""By this host's clock, which may be wrong by any of these."""
WATCHED = [(0.9 * STALE_SECONDS, False), (1.1 * STALE_SECONDS, True)]


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize(("seconds", "stale"), WATCHED)
def test_of_a_live_process_stands_while_its_heart_beats(
    seconds: float, stale: bool, age: float, tmp_path: Path, holder: "subprocess.Popen[bytes]", clock: Clock
) -> None:
    """A process that was stopped, or hangs in the file system, is alive and says nothing."""
    path = write_claim(tmp_path / "run.json", age=age, **identity(holder.pid))
    assert clock.is_stale_after(seconds, Claims(), path) == stale


@pytest.mark.parametrize("age", AGES)
def test_a_beat_proves_life_whatever_the_clocks_say(age: float, tmp_path: Path, clock: Clock) -> None:
    path, watcher = write_claim(tmp_path / "run.json", host="elsewhere"), Claims()
    for beat in range(20):
        os.utime(path, (time.time() - age + beat,) * 2)
        assert not watcher.is_stale(path)
        assert not watcher.take(path)
        clock.now += 0.9 * STALE_SECONDS
    os.utime(path, (0, 0))  # a clock that was set back
    assert not watcher.is_stale(path)


OTHER_WORLDS = {
    "container": {"namespace": "pid:[1]"},
    "machine": {"boot": "00000000-0000-0000-0000-000000000000"},
    "before this was noted": {"boot": None, "namespace": None},
}


@pytest.mark.parametrize("world", OTHER_WORLDS)
@pytest.mark.parametrize("pid", [1, os.getpid(), 2**22 + 1], ids=["the first", "this one", "none"])
def test_a_host_name_that_two_share_tells_nothing_of_a_process(
    world: str, pid: int, tmp_path: Path, clock: Clock
) -> None:
    path = write_claim(tmp_path / "run.json", **{"pid": pid, "started": "77", **OTHER_WORLDS[world]})
    assert clock.is_stale_after(0.9 * STALE_SECONDS, Claims(), path) is False
    os.utime(path)
    assert clock.is_stale_after(0.9 * STALE_SECONDS, watcher := Claims(), path) is False
    clock.now += STALE_SECONDS
    assert watcher.take(path)


def test_a_claim_of_another_holder_that_looks_the_same_is_not_this_ones(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with Claims() as twin:
        assert twin.take(path)
        other = Claims()
        other._me = {**twin._me, "token": "another"}
        other._held[path] = time.monotonic()
        assert not other.refresh(path)
        other.release([path])
        assert twin.refresh(path)


def test_a_claim_is_never_seen_half_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between making a claim and filling it: nobody waits for the dead."""
    path, seen = tmp_path / "run.json", []
    link = os.link

    def look_and_link(source: Path, target: Path) -> None:
        seen.append(path.exists())
        link(source, target)
        seen.append(json.loads(path.read_text())["pid"])

    monkeypatch.setattr(os, "link", look_and_link)
    with Claims() as mine:
        assert mine.take(path)
    assert seen == [False, os.getpid()]


def test_where_files_have_one_name_claims_are_still_exclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*names: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "run.json"
    with Claims() as mine, Claims() as other:
        assert mine.take(path)
        assert not other.take(path)
        assert mine.refresh(path)
    assert not list(tmp_path.iterdir())


def test_who_was_silent_too_long_lets_go_and_leaves_the_new_claim_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: "subprocess.Popen[bytes]"
) -> None:
    monkeypatch.setattr(claims, "HEARTBEAT_SECONDS", 0.001)
    taken, kept = tmp_path / "taken.json", tmp_path / "kept.json"
    with Claims() as mine:
        assert mine.take(taken)
        assert mine.take(kept)
        taken.write_text(json.dumps(identity(holder.pid)))  # whole at once: as a takeover's rename and link would
        while mine.hold([taken]):
            time.sleep(0.001)
        assert mine.hold([kept])
        assert not mine.hold([kept, taken])
        mine.release([taken])
        assert json.loads(taken.read_text()) == identity(holder.pid)
    assert taken.exists()
    assert not kept.exists()


@pytest.mark.parametrize(
    ("job", "restarts", "stale"), [("7", "1", True), ("7", "0", False), ("7", None, False), ("8", "1", False)]
)
def test_a_requeued_job_soon_takes_over_what_it_held_on_a_node_that_died(
    job: str, restarts: str | None, stale: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    old = {"host": "elsewhere", "slurm_job": "7", "restarts": "0"}
    path = write_claim(tmp_path / "run.json", **old)
    monkeypatch.setenv("SLURM_JOB_ID", job)
    if restarts:
        monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    watcher = Claims()
    assert clock.is_stale_after(1.1 * claims.SOON_STALE_SECONDS, watcher, path) == stale
    os.utime(path, (5, 5))
    assert not watcher.is_stale(path)


NOBODYS = {
    "empty": b"",
    "cut short": b'{"host": "els',
    "a list": b"[]",
    "no table": b"{}",
    "null": b"null",
    "too deep": b"[" * 100_000,
    "a number too long": b"1" * 10_000,
    "not UTF-8": b'{"host": "\xff", "pid": 1}',
    "no process": b'{"host": "here"}',
    "a process of another type": b'{"host": "here", "pid": "1"}',
    "a process out of range": b'{"host": "here", "pid": 99999999999999999999}',
    "a host of another type": b'{"host": ["here"], "pid": 1}',
    "a folder": None,
    "a full folder": None,
    "a pipe": None,
    "a link": None,
    "a dangling link": None,
}
"""What may lie where a claim is looked for, and names nobody."""


def put_nobodys(path: Path, kind: str) -> None:
    content = NOBODYS[kind]
    if content is not None:
        path.write_bytes(content)
    elif "folder" in kind:
        path.mkdir()
        if "full" in kind:
            (path / "file").touch()
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        target = path.with_name("target")
        path.symlink_to(target)
        if kind == "a link":
            target.write_text(json.dumps(identity(os.getpid())))


@pytest.mark.parametrize("kind", NOBODYS)
def test_what_names_nobody_is_soon_taken_over_and_said(
    kind: str, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "claims" / "run.json"
    path.parent.mkdir()
    put_nobodys(path, kind)
    os.utime(path, (5, 5), follow_symlinks=False)
    with Claims() as mine:
        assert not mine.take(path)
        assert f"{path} is held by nobody that it names" in caplog.text
        clock.now += 0.9 * claims.SOON_STALE_SECONDS
        assert not mine.take(path)
        clock.now += 0.2 * claims.SOON_STALE_SECONDS
        assert mine.take(path)
    assert not path.exists()
    if kind == "a link":
        assert path.with_name("target").exists()


KILLED_BEFORE_FILLING = """
import errno, json, os, signal, sys
from pathlib import Path
from benchmark.records.claims import Claims
def no_links(*names):
    raise OSError(errno.EPERM, "no links here")
os.link, json.dump = no_links, lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Claims().take(Path(sys.argv[1]))
"""


def test_killed_between_making_a_claim_and_filling_it_nobody_waits_for_minutes(tmp_path: Path, clock: Clock) -> None:
    """Possible only where files have one name."""
    path = tmp_path / "claims" / "run.json"
    command = [sys.executable, "-c", KILLED_BEFORE_FILLING, path]
    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b""
    with Claims() as mine:
        assert not mine.take(path)
        clock.now += 31
        assert mine.take(path)


def test_a_file_where_claims_should_lie_is_named(tmp_path: Path) -> None:
    (tmp_path / "claims").touch()
    with Claims() as mine, pytest.raises(UsageError, match=f"{tmp_path / 'claims'}: File exists"):
        mine.take(tmp_path / "claims" / "run.json")


def test_a_claim_that_is_gone_is_not_stale(tmp_path: Path) -> None:
    assert not Claims().is_stale(tmp_path / "run.json")
    assert not is_claimed(tmp_path / "run.json")


def test_who_died_at_taking_over_blocks_nobody(tmp_path: Path) -> None:
    path = write_claim(tmp_path / "run.json", started="another time")
    write_claim(tmp_path / ".run.json.turn", started="another time")
    with Claims() as mine:
        assert not mine.take(path)
        assert mine.take(path)
    assert not list(tmp_path.iterdir())


def test_a_fresh_claim_is_not_even_moved_by_who_saw_a_stale_one(
    tmp_path: Path, holder: "subprocess.Popen[bytes]"
) -> None:
    path = write_claim(tmp_path / "run.json", **identity(holder.pid))
    changed = path.stat().st_ctime_ns
    with Claims() as mine:
        mine._clear(path)
    assert path.stat().st_ctime_ns == changed


def test_on_a_full_disk_no_claim_is_left(tmp_path: Path) -> None:
    """Nobody could tell whose an empty one is."""
    path = tmp_path / "run.json"
    with Claims() as mine:
        with files_end_at(0), pytest.raises(OSError, match="File too large"):
            mine.take(path)
        assert not path.exists()
        assert mine.take(path)


def test_a_file_server_that_stumbles_stops_no_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And who cannot tell for too long whether a run is still its own lets go of it."""
    monkeypatch.setattr(claims, "HEARTBEAT_SECONDS", 0.001)
    touched, path = claims.read_table, tmp_path / "run.json"

    def stale(path: Path) -> dict[str, Any]:
        raise OSError(errno.ESTALE, "Stale file handle")

    with Claims() as mine:
        assert mine.take(path)
        monkeypatch.setattr(claims, "read_table", stale)
        time.sleep(0.05)
        assert mine._thread.is_alive()
        assert mine.hold([path])
        monkeypatch.setattr(claims, "STALE_SECONDS", 0.0)
        assert not mine.hold([path])
        monkeypatch.setattr(claims, "read_table", touched)
        assert mine.hold([path])  # nobody came in between


def test_heartbeat_touches_what_is_held_and_survives_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "HEARTBEAT_SECONDS", 0.001)
    paths = [tmp_path / name for name in ("gone.json", "a.json", "b.json")]
    with Claims() as mine:
        assert all(mine.take(path) for path in paths)
        paths[0].unlink()
        for _ in range(2):
            for path in paths[1:]:
                os.utime(path, (0, 0))
            while any(path.stat().st_mtime == 0 for path in paths[1:]):
                assert mine._thread.is_alive()
                time.sleep(0.001)
