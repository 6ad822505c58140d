"""What --retry failed takes up again while jobs are at work. squeue is a script here."""

import io
import os
from pathlib import Path
from typing import cast

import fake_results as fake
import pytest

from benchmark.command.status import to_try_again
from benchmark.ground.console import Terminal
from benchmark.plan.values import Plan
from benchmark.records import Folder, ledger
from benchmark.records.ledger import Entry

RUNS = [fake.run(method) for method in ("kd", "sp", "gkd")]
IDS = [run.id for run in RUNS]
TEACHER = "teacher-0123456789"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Two runs failed in job 8_0, one in a local worker, and a teacher in job 7."""
    folder = Folder(tmp_path / "results" / "grid")
    for run_id in IDS:
        folder.fail(run_id, "ValueError: no", "")
    folder.teachers.fail(TEACHER, "ValueError: no", "")
    ledger.note(folder, [Entry("7", "slurm", (TEACHER, IDS[2]), ""), Entry("8_0", "slurm", tuple(IDS[:2]), "")])
    ledger.note(folder, [Entry("8_0", "local", (IDS[2],), "")])
    return folder


def retried(folder: Folder) -> tuple[list[str], str]:
    """Which runs are planned again, and what is said."""
    states = {run_id: folder.state(run_id) for run_id in IDS}
    teachers = {TEACHER: folder.teachers.state(TEACHER)}
    console = Terminal(io.StringIO(), 40)
    found = to_try_again(Plan(tuple(RUNS), states, (), teachers, ()), folder, console)
    return [run_id for _, run_id in found], cast(io.StringIO, console.file).getvalue()


@pytest.mark.parametrize(
    ("queue", "again", "says"),
    [
        ("8_0|RUNNING|None|n1", [IDS[2], TEACHER], "left alone: 2 failed runs, until their job 8_0 is done"),
        ("7|PENDING|Priority|", IDS, "left alone: 1 failed runs, until their job 7 is done"),
        ("", [*IDS, TEACHER], ""),
    ],
)
def test_not_while_their_job_goes_on(
    queue: str, again: list[str], says: str, folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "squeue").write_text(f"#!/bin/sh\necho '{queue}'\n")
    (tmp_path / "squeue").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    open_ids, printed = retried(folder)
    assert open_ids == again
    assert printed.startswith(says)
    assert printed.count("\n") == bool(says)


def test_where_there_is_no_slurm_nothing_is_at_work(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert retried(folder) == ([*IDS, TEACHER], "")
