"""A job is its id, its name and its cluster. squeue, sacct, scontrol and scancel are scripts here."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from benchmark.command import cluster
from benchmark.launch.slurm import scheduler
from benchmark.records import Folder, ledger
from benchmark.records.ledger import Entry

LOG = "grid/logs/digits-s0/7_0_log.out"
OURS = Entry("7_0", "slurm", ("run",), LOG, cluster="here")
OLDER = Entry("7_0", "slurm", ("run",), LOG)
"""From before clusters were noted."""


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Scripts that print what is in the files of their names, and note what they were told."""
    for name in ("squeue", "sacct", "scontrol", "scancel"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/{name}.told\ncat {tmp_path}/{name}.says\n')
        (tmp_path / name).chmod(0o700)
        (tmp_path / f"{name}.says").touch()
    (tmp_path / "scontrol.says").write_text("ClusterName             = here\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    scheduler.cluster.cache_clear()
    yield tmp_path
    scheduler.cluster.cache_clear()


CASES = [
    (OURS, "grid-digits-s0", "here", True),
    (OURS, "grid-digits-s1", "here", False),
    (OURS, "other-digits-s0", "here", False),
    (OURS, "a|b", "here", False),
    (OURS, "grid-digits-s0", "there", False),
    (OLDER, "grid-digits-s0", "there", True),
    (OLDER, "other-digits-s0", "there", False),
]


@pytest.mark.parametrize(("entry", "name", "there", "ours"), CASES)
def test_a_number_alone_is_not_a_job(entry: Entry, name: str, there: str, ours: bool, commands: Path) -> None:
    (commands / "squeue.says").write_text(f"7_0|RUNNING|None|n1|{name}\n8|RUNNING|None|n1|grid-digits-s0\n")
    (commands / "sacct.says").write_text(f"7_0|TIMEOUT|{name}\n")
    (commands / "scontrol.says").write_text(f"ClusterName = {there}\n")
    assert list(scheduler.live([entry])) == [entry] * ours
    assert scheduler.endings([entry]) == ({"7_0": "TIMEOUT"} if ours else {})


@pytest.mark.parametrize(("entry", "name", "there", "ours"), CASES)
def test_only_this_grids_jobs_are_cancelled(
    entry: Entry, name: str, there: str, ours: bool, commands: Path, tmp_path: Path
) -> None:
    folder = Folder(tmp_path / "results" / "grid")
    folder.path.mkdir(parents=True)
    ledger.note(folder, [entry, Entry("9", "local", ("run",), "")])
    (commands / "squeue.says").write_text(f"7_0|RUNNING|None|n1|{name}\n9|RUNNING|None|n1|grid-digits-s0\n")
    (commands / "scontrol.says").write_text(f"ClusterName = {there}\n")
    cluster.cancel(folder, Console(quiet=True))
    told = commands / "scancel.told"
    assert (told.read_text().split() if told.exists() else []) == ["7_0"] * ours


@pytest.mark.parametrize("copied", ["results", "grid"])
def test_a_copy_leaves_the_originals_jobs_alone_and_what_is_moved_takes_them_along(
    copied: str, commands: Path, tmp_path: Path
) -> None:
    folder = Folder(tmp_path / "results" / "grid")
    folder.path.mkdir(parents=True)
    ledger.note(folder, [OURS])
    (commands / "squeue.says").write_text("7_0|RUNNING|None|n1|grid-digits-s0\n")
    told = commands / "scancel.told"
    copies = {"results": tmp_path / "copy" / "grid", "grid": tmp_path / "results" / "grid2"}
    copy = Folder(copies[copied])
    shutil.copytree(folder.path, copy.path)
    cluster.cancel(copy, Console(quiet=True))
    assert not told.exists()
    assert not ledger.entries(copy)
    assert ledger.entries(folder) == [OURS]
    shutil.rmtree(copy.path)
    folder.path.rename(copy.path)
    cluster.cancel(copy, Console(quiet=True))
    assert told.read_text().split() == ["7_0"]


def test_of_two_jobs_of_one_number_the_named_one_lives(commands: Path) -> None:
    (commands / "squeue.says").write_text("7_0|PENDING|Priority||grid-digits-s0\n")
    before = Entry("7_0", "slurm", ("other",), "grid/logs/teachers/7_0_log.out")
    assert list(scheduler.live([before, OURS])) == [OURS]


def test_a_cluster_that_does_not_say_its_name_is_taken_for_the_same(commands: Path) -> None:
    (commands / "scontrol.says").write_text("")
    (commands / "squeue.says").write_text("7_0|PENDING|Priority||grid-digits-s0\n")
    assert list(scheduler.live([OURS])) == [OURS]
