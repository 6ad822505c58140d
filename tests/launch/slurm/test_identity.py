"""A job is its id, its name and its cluster. squeue, sacct, scontrol and scancel are scripts here."""

import argparse
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import fake_results as fake
import pytest
from rich.console import Console

from benchmark.command import cluster
from benchmark.ground.errors import UsageError
from benchmark.launch.job import Settings
from benchmark.launch.signals import held_back
from benchmark.launch.slurm import scheduler
from benchmark.launch.slurm.profile import load_profile
from benchmark.launch.slurm.submission import prepare
from benchmark.plan.values import Cohort, Plan
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


def test_another_grids_jobs_train_no_run_of_this_one_but_its_teachers(commands: Path, tmp_path: Path) -> None:
    """One run may be of two grids, and lands in the folder of each. What waits for a teacher that another grid queued
    can train it, should those jobs be cancelled."""
    run = fake.run("kd")
    assert run.teacher
    this, other = (Folder(tmp_path / "results" / name) for name in ("this", "other"))
    for folder, (job, run_id) in ((other, ("7_0", run.id)), (other, ("8_0", run.teacher.id))):
        folder.path.mkdir(parents=True, exist_ok=True)
        ledger.note(folder, [Entry(job, "slurm", (run_id,), f"other/logs/a/{job}_log.out", cluster="here")])
    (commands / "squeue.says").write_text("7_0|RUNNING|None|n1|other-a\n8_0|PENDING|None||other-a\n")
    plan = Plan((run,), {run.id: "missing"}, (run.teacher,), {run.teacher.id: "missing"}, (Cohort((run,)),))
    found = prepare(plan, this, Settings("cpu"), load_profile(None), None)
    assert [bundle for array in found.arrays for bundle in array.bundles] == [(Cohort((run,)),)]
    [array] = found.arrays
    assert list(array.needs) == [run.teacher.id]
    assert [each.run_ids for each in found._job(array.bundles[0]).job.work] == [(run.teacher.id,), (run.id,)]
    assert ledger.newest_jobs(this) == {}
    assert ledger.newest_jobs(this.teachers)[run.teacher.id].job_id == "8_0"


def test_what_an_account_may_submit_is_asked_of_the_users_own(commands: Path) -> None:
    """A closed account that jobs do not go to closes nothing."""
    script = """#!/bin/sh
case "$*" in
  *" show users name=$(id -un) format=defaultaccount") echo mine ;;
  *associations*) printf 'old|0\\nmine|5\\n' ;;
esac
"""
    (commands / "sacctmgr").write_text(script)
    (commands / "sacctmgr").chmod(0o700)
    assert scheduler.limits(None, None).jobs == 5
    assert scheduler.limits("old", None).jobs == 0
    (commands / "scontrol.says").write_text("ClusterName = here\nMaxArraySize            = 0\n")
    assert scheduler.limits("mine", None).array == 1  # no arrays at all


def test_a_signal_waits_until_a_job_is_noted() -> None:
    done = []

    @held_back(signal.SIGINT, signal.SIGTERM)
    def submit_and_note() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("noted")

    with pytest.raises(KeyboardInterrupt):
        submit_and_note()
    assert done == ["noted"]


def test_a_time_to_stop_after_is_refused_where_jobs_start_later() -> None:
    options = argparse.Namespace(stop_after=60.0, profile=None, slurm=[], workers=None)
    with pytest.raises(UsageError, match="--stop-after ends training on this machine"):
        cluster.check_unused("slurm", options, Console())
    cluster.check_unused("inline", options, Console())
