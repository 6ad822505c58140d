"""A job that SLURM asks to go: queued again, left alone, or given up. Signals are real, SLURM is not here."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmark.launch.job import Job, Work
from benchmark.launch.signals import Stop
from benchmark.launch.slurm import job as slurm_job
from benchmark.launch.slurm.job import SlurmJob
from benchmark.records import Folder

RUN = "run-0123456789"


@dataclass(frozen=True)
class Acting(Job):
    """Does something else than training."""

    act: Callable[[Stop], None] = field(default=lambda stop: None)

    def run_until_stopped(self, stop: Stop) -> bool:
        self.act(stop)
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "grid")


@pytest.fixture
def passed_on() -> Iterator[list[int]]:
    """Signals that came through to whoever handled them before the job, as submitit does."""
    caught: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGUSR2)
    before = [signal.signal(number, lambda number, frame: caught.append(number)) for number in numbers]
    yield caught
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def job(folder: Folder, warning: float, act: Callable[[Stop], None]) -> SlurmJob:
    work = (Work(str(folder.path), (RUN,)),)
    return SlurmJob(Acting(str(folder.path), work, device="cpu", threads=1, act=act), warning)


def send(number: signal.Signals) -> Callable[[Stop], None]:
    def act(stop: Stop) -> None:
        os.kill(os.getpid(), number)
        assert stop.now(None)

    return act


def squeue(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SLURM says of this job."""
    (tmp_path / "squeue").write_text(f"#!/bin/sh\necho {state}\n")
    (tmp_path / "squeue").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", "7")


def test_a_warning_is_passed_on_when_the_work_has_stopped(folder: Folder, passed_on: list[int]) -> None:
    job(folder, warning=60.0, act=send(signal.SIGUSR2))()
    assert passed_on == [signal.SIGUSR2]
    assert folder.failure(RUN) is None


@pytest.mark.parametrize(
    ("state", "expected"), [("RUNNING", [signal.SIGUSR2]), ("CANCELLED", []), ("COMPLETING", []), ("", [])]
)
def test_sigterm_means_preemption_if_the_job_is_to_run_on(
    state: str,
    expected: list[int],
    folder: Folder,
    passed_on: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    squeue(state, tmp_path, monkeypatch)
    job(folder, warning=60.0, act=send(signal.SIGTERM))()
    assert passed_on == expected


def test_out_of_time_without_a_step_is_a_failure(folder: Folder, passed_on: list[int]) -> None:
    with pytest.raises(RuntimeError, match=f"1 of 1 runs failed: {RUN}"):
        job(folder, warning=0.0, act=send(signal.SIGUSR2))()
    assert passed_on == []
    assert str(folder.failure(RUN)).startswith("TimeLimit: no step was made")


def test_out_of_time_with_a_checkpoint_goes_on(folder: Folder, passed_on: list[int]) -> None:
    def act(stop: Stop) -> None:
        folder.checkpoints_path(RUN).mkdir(parents=True)
        (folder.checkpoints_path(RUN) / "000000001.pt").touch()
        send(signal.SIGUSR2)(stop)

    job(folder, warning=0.0, act=act)()
    assert passed_on == [signal.SIGUSR2]


def test_who_does_not_come_to_a_step_boundary_is_queued_again_all_the_same(
    folder: Folder, passed_on: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_job, "PATIENCE_SECONDS", 0.01)

    def act(stop: Stop) -> None:
        send(signal.SIGUSR2)(stop)
        while True:
            time.sleep(0.001)

    job(folder, warning=60.0, act=act)()
    assert passed_on == [signal.SIGUSR2]


def test_a_job_whose_runs_failed_fails(folder: Folder) -> None:
    with pytest.raises(RuntimeError, match="1 of 1 runs failed"):
        job(folder, warning=0.0, act=lambda stop: folder.fail(RUN, "ValueError: no", ""))()
    job(folder, warning=0.0, act=lambda stop: folder.failure_path(RUN).unlink())()
