"""Claims: exclusive, kept alive, and taken over from the dead alone."""

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from full_disk import files_end_at

from benchmark.records import claims
from benchmark.records.claims import STALE_SECONDS, Claims, identity, is_stale

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


@pytest.fixture
def holder() -> Iterator["subprocess.Popen[bytes]"]:
    """Another live process."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def write_claim(path: Path, age: float = 0.0, **values: Any) -> Path:
    path.write_text(json.dumps({**identity(os.getpid()), **values}))
    os.utime(path, (time.time() - age,) * 2)
    return path


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


@pytest.mark.parametrize(("age", "stale"), [(0.9 * STALE_SECONDS, False), (1.1 * STALE_SECONDS, True)])
def test_of_a_live_process_stands_while_its_heart_beats(
    age: float, stale: bool, tmp_path: Path, holder: "subprocess.Popen[bytes]"
) -> None:
    """A process that was stopped, or hangs in the file system, is alive and says nothing."""
    assert is_stale(write_claim(tmp_path / "run.json", age=age, **identity(holder.pid))) == stale


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
    job: str, restarts: str | None, stale: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {"host": "elsewhere", "slurm_job": "7", "restarts": "0"}
    path = write_claim(tmp_path / "run.json", age=1.1 * claims.REQUEUED_SECONDS, **old)
    assert not is_stale(path)
    monkeypatch.setenv("SLURM_JOB_ID", job)
    if restarts:
        monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    assert is_stale(path) == stale
    os.utime(path)
    assert not is_stale(path)


def test_of_a_dead_process_is_taken_over(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    path = write_claim(tmp_path / "run.json", **identity(holder.pid))
    holder.kill()
    holder.wait()
    assert is_stale(path)
    with Claims() as mine:
        assert mine.take(path)
        assert json.loads(path.read_text()) == identity(os.getpid())


def test_of_a_dead_process_that_nobody_waited_for_is_stale(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    path = write_claim(tmp_path / "run.json", **identity(holder.pid))
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and left as a zombie
    assert is_stale(path)


def test_of_a_process_whose_id_is_used_again_is_stale(tmp_path: Path) -> None:
    assert is_stale(write_claim(tmp_path / "run.json", started="12345"))


@pytest.mark.parametrize(("age", "stale"), [(0, False), (0.9 * STALE_SECONDS, False), (1.1 * STALE_SECONDS, True)])
@pytest.mark.parametrize("text", ['{"host": "elsewhere", "pid": 1, "started": "1"}', "", '{"host": "els', "[]", "{}"])
def test_of_who_knows_whom_by_the_heartbeat(text: str, age: float, stale: bool, tmp_path: Path) -> None:
    path = write_claim(tmp_path / "run.json")
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)
    assert is_stale(path) == stale


def test_a_claim_that_is_gone_is_not_stale(tmp_path: Path) -> None:
    assert not is_stale(tmp_path / "run.json")


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
    touched, path = Path.read_bytes, tmp_path / "run.json"

    def stale(self: Path) -> bytes:
        raise OSError(errno.ESTALE, "Stale file handle")

    with Claims() as mine:
        assert mine.take(path)
        monkeypatch.setattr(Path, "read_bytes", stale)
        time.sleep(0.05)
        assert mine._thread.is_alive()
        assert mine.hold([path])
        monkeypatch.setattr(claims, "STALE_SECONDS", 0.0)
        assert not mine.hold([path])
        monkeypatch.setattr(Path, "read_bytes", touched)
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
