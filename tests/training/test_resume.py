"""Interrupted anywhere, however roughly, and resumed: the same bits as in one go."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from full_disk import files_end_at
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmark.models import Network
from benchmark.records import Cost, Folder, Record
from benchmark.spec import Run
from benchmark.training import checkpoints, cohort, loop
from benchmark.training.member import Member
from methods.base import Batch, Outputs, Task

pytestmark = pytest.mark.usefixtures("test_methods")

TOTAL = tiny.STEPS * tiny.RECIPE.epochs
METHODS = ("student", "fitnet", "bank", "noise")
"""Own parameters with batch statistics, a buffer, random draws; all with dropout and stochastic depth."""


def runs_of(*methods: str) -> list[Run]:
    return [tiny.run(method, tiny.EFFICIENTNET) for method in methods]


@pytest.fixture(scope="module", autouse=True)
def _without_costs() -> Iterator[None]:
    """Counting a run's FLOPs takes as long as its training here, and is not what these tests are about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cohort, "cost", lambda *args: Cost())
        yield


@pytest.fixture(scope="module")
def whole(taught: Path, test_methods: None) -> dict[str, tuple[str, bytes]]:
    """Bits of every run trained in one go, by method."""
    runs = runs_of(*METHODS)
    assert tiny.train(taught / "whole", *runs)
    return dict(zip(METHODS, tiny.bits(taught / "whole", *runs), strict=True))


def checkpointed_steps(folder: Path, run: Run) -> list[int]:
    return [int(path.stem) for path in sorted(Folder(folder).checkpoints_path(run.id).glob("*.pt"))]


def test_a_checkpoint_within_an_epoch_keeps_what_the_cohort_has_cost(results: Path) -> None:
    run, folder = tiny.run(), results / "grid"
    assert not tiny.train(folder, run, stop=tiny.stop_after(1))
    state = next(checkpoints.newest_first(Folder(folder).checkpoints_path(run.id), run.id, tiny.CPU), None)
    assert state is not None
    own, cohort_seconds, _ = state["seconds"]
    assert 0 < own < cohort_seconds


@pytest.mark.parametrize("steps", range(1, TOTAL + 1))
def test_interrupted_at_any_step(results: Path, whole: dict[str, tuple[str, bytes]], steps: int) -> None:
    runs, folder = runs_of(*METHODS), results / "grid"
    assert not tiny.train(folder, *runs, stop=tiny.stop_after(steps))
    assert [checkpointed_steps(folder, run) for run in runs] == [[steps]] * len(runs)
    assert not any(Folder(folder).record_path(run.id).exists() for run in runs)
    assert tiny.train(folder, *runs)
    assert tiny.bits(folder, *runs) == list(whole.values())
    assert [tiny.record(folder, run).provenance.resumed for run in runs] == [1] * len(runs)
    assert not list((folder / "checkpoints").iterdir())


@settings(max_examples=4, deadline=None, derandomize=True)
@given(
    stops=st.lists(st.integers(1, 2), min_size=2, max_size=4).filter(lambda stops: sum(stops) <= TOTAL),
    cohorts=st.lists(st.lists(st.sampled_from(METHODS), min_size=1, unique=True), min_size=4, max_size=4),
)
def test_interrupted_again_and_again_in_changing_company(
    taught: Path, whole: dict[str, tuple[str, bytes]], stops: list[int], cohorts: list[list[str]]
) -> None:
    """Every start takes another part of the runs, in another order: members come to stand at different steps."""
    folder = Path(tempfile.mkdtemp(dir=taught))
    for steps, methods in zip(stops, cohorts, strict=False):
        assert not tiny.train(folder, *runs_of(*methods), stop=tiny.stop_after(steps))
    assert tiny.train(folder, *runs_of(*METHODS))
    assert tiny.bits(folder, *runs_of(*METHODS)) == list(whole.values())


@pytest.mark.parametrize("behind", METHODS)
def test_one_member_behind_the_others(results: Path, whole: dict[str, tuple[str, bytes]], behind: str) -> None:
    """Its newest checkpoint is damaged: it goes on from step 2, in the epoch before the others' step 4."""
    runs, folder = runs_of(*METHODS), results / "grid"
    for _ in range(2):
        tiny.train(folder, *runs, stop=tiny.stop_after(2))
    late = runs[METHODS.index(behind)]
    assert checkpointed_steps(folder, late) == [2, 4]
    newest = Folder(folder).checkpoints_path(late.id) / f"{4:09d}.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    assert tiny.train(folder, *runs)
    assert tiny.bits(folder, *runs) == list(whole.values())


def test_a_method_after_a_damaged_checkpoint_is_built_beside_the_initial_student(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the other state may be in the student that it was built beside at first."""
    initial = []

    def constructed(run: Run, task: Task, network: Network, *rest: Any) -> Member:
        initial.append(torch.equal(task.initial().classifier.weight, network.classifier.weight))
        return Member(run, task, network, *rest)

    def half(self: Member, state: object) -> None:
        torch.nn.init.zeros_(self.network.classifier.weight)
        raise ValueError("the other half does not fit")

    monkeypatch.setattr(cohort, "Member", constructed)
    monkeypatch.setattr(Member, "restore", half)
    monkeypatch.setattr(cohort.checkpoints, "newest_first", lambda *_: [{"next_step": 4}])
    assert tiny.train(results / "grid", tiny.run("kd"))
    assert initial == [True, True]


def test_a_crash_between_two_records_loses_neither(
    results: Path, whole: dict[str, tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, folder = runs_of(*METHODS), results / "grid"
    finish, finished = Folder.finish, []

    def crash(self: Folder, record: Record, curve: list[dict[str, object]]) -> None:
        if len(finished) == 2:
            raise KeyboardInterrupt
        finished.append(record.run_id)
        finish(self, record, curve)

    monkeypatch.setattr(Folder, "finish", crash)
    with pytest.raises(KeyboardInterrupt):
        tiny.train(folder, *runs)
    monkeypatch.undo()
    assert tiny.train(folder, *(run for run in runs if run.id not in finished))
    assert tiny.bits(folder, *runs) == list(whole.values())


@pytest.fixture
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job sets its number of threads in the environment."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.usefixtures("_own_environment")
@pytest.mark.parametrize(("room", "seconds"), [(0, 0.0), (1000, 0.0), (1000, 60.0)], ids=["claim", "state", "record"])
def test_what_a_full_disk_stops_goes_on_when_there_is_room(
    results: Path,
    whole: dict[str, tuple[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    room: int,
    seconds: float,
) -> None:
    """Whatever of it is too large for the disk first; and it is no run's fault."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", seconds)
    runs = runs_of(*METHODS)
    job, folder = tiny.job_for(results, runs), results / "grid"
    with files_end_at(room), pytest.raises(OSError, match="File too large"):
        job()
    assert not list(folder.glob("claims/*")) + list(folder.glob("failures/*")) + list(folder.glob("records/*"))
    assert job() is True
    assert tiny.bits(folder, *runs) == list(whole.values())


@pytest.mark.usefixtures("_own_environment")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_at_the_next_step_boundary(
    results: Path, whole: dict[str, tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """The signal arrives in the middle of step 5, when one member has made it and the others have not."""
    runs = runs_of(*METHODS)
    job, folder, step = tiny.job_for(results, runs), results / "grid", Member.step
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    def interrupted(self: Member, images: Tensor, batch: Batch, teacher: Outputs | None) -> None:
        step(self, images, batch, teacher)
        if self.run.method == METHODS[0] and self.next_step == 5:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Member, "step", interrupted)
        assert job() is False
    assert [checkpointed_steps(folder, run) for run in runs] == [[5]] * len(runs)
    assert not list((folder / "claims").iterdir())
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert job() is True
    assert tiny.bits(folder, *runs) == list(whole.values())


KILLED = """
import os, signal, sys
from pathlib import Path
from benchmark.training import checkpoints as kept, loop
from benchmark.launch.job import Job, Work

behind, grid, teacher, *run_ids = sys.argv[1:]
kept.is_behind = lambda device: behind == "behind"
loop.CHECKPOINT_SECONDS = 0.0
write, checkpoints = Path.write_bytes, []

def write_and_die(path, data):
    if ".pt." in path.name:
        checkpoints.append(path)
    if len(checkpoints) == 8:
        write(path, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(path, data)

Path.write_bytes = write_and_die
Job(grid, (Work(grid, tuple(run_ids), teacher),), device="cpu", threads=1)()
"""


@pytest.mark.usefixtures("_own_environment")
@pytest.mark.parametrize("how", ["at once", "behind"])
def test_killed_while_it_writes_a_checkpoint(results: Path, whole: dict[str, tuple[str, bytes]], how: str) -> None:
    """SIGKILL to a process of its own, in the middle of the second member's fourth checkpoint."""
    runs = runs_of("student", "fitnet")
    job, folder = tiny.job_for(results, runs), results / "grid"
    command = [sys.executable, "-c", KILLED, how, str(folder), tiny.TEACHER.id, *(run.id for run in runs)]
    root = Path(__file__).parents[2]
    child = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert [checkpointed_steps(folder, run) for run in runs] == [[3, 4], [2, 3]]
    assert len(list((folder / "claims").iterdir())) == len(runs)
    assert job() is True
    assert tiny.bits(folder, *runs) == [whole["student"], whole["fitnet"]]
    assert not list((folder / "checkpoints").iterdir())
    assert not list((folder / "claims").iterdir())


def test_checkpoints_written_behind_are_there_when_training_stops(
    results: Path, whole: dict[str, tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "is_behind", lambda device: True)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    runs, folder = runs_of(*METHODS), results / "grid"
    assert not tiny.train(folder, *runs, stop=tiny.stop_after(4))
    assert [checkpointed_steps(folder, run) for run in runs] == [[3, 4]] * len(runs)
    assert tiny.train(folder, *runs)
    assert tiny.bits(folder, *runs) == list(whole.values())
    assert not list((folder / "checkpoints").iterdir())


def test_without_the_buffers_of_a_method_a_resumed_run_would_differ(results: Path) -> None:
    """The bank is restored: what it holds halfway is in the checkpoint and is not all zeros."""
    run, folder = tiny.run("bank"), results / "grid"
    tiny.train(folder, run, stop=tiny.stop_after(2))
    state = torch.load(next(Folder(folder).checkpoints_path(run.id).iterdir()), weights_only=True)
    written = state["method"]["memory"].abs().sum(1) > 0
    assert int(written.sum()) == 2 * tiny.RECIPE.batch_size
