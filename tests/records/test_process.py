"""Whether the process that made a claim is gone, as far as that can be told."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from written_claims import write_claim

from benchmark.records import process
from benchmark.records.claims import Claims, is_claimed
from benchmark.records.process import identity


def test_of_a_dead_process_is_taken_over(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    path = write_claim(tmp_path / "run.json", **identity(holder.pid))
    holder.kill()
    holder.wait()
    assert not is_claimed(path)
    with Claims() as mine:
        assert mine.take(path)
        assert json.loads(path.read_text()).items() >= identity(os.getpid()).items()


def test_of_a_dead_process_that_nobody_waited_for_is_stale(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    path = write_claim(tmp_path / "run.json", **identity(holder.pid))
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and left as a zombie
    assert Claims().is_stale(path)


def test_of_a_process_that_the_system_hides_is_not_dead(
    tmp_path: Path, holder: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another user's, where /proc is mounted with hidepid."""
    path = write_claim(tmp_path / "run.json", **identity(holder.pid))
    monkeypatch.setattr(process, "_start_time", lambda pid: process.ALIVE)
    assert not Claims().is_stale(path)


def test_of_a_process_whose_id_is_used_again_is_stale(tmp_path: Path) -> None:
    assert Claims().is_stale(write_claim(tmp_path / "run.json", started="12345"))
