"""A teacher that cannot serve: what reads nothing is trained without it, and its records are completed later."""

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import contract_methods
import pytest
import tiny
import torch
from torch import Tensor, nn

from benchmark.ground.errors import NO_MEMORY
from benchmark.launch.job import Job
from benchmark.plan.forecast import forecast
from benchmark.plan.plan import make_plan
from benchmark.records import Folder, Record, RecordError
from benchmark.records.cleanup import clean_up
from benchmark.records.record import OF_TEACHER
from benchmark.spec import Run
from benchmark.training.member import Member
from benchmark.training.teacher import Frozen
from methods.base import REGISTRY, Task, register

STUDENT, KD = tiny.run("student"), tiny.run("kd")

pytestmark = pytest.mark.usefixtures("surroundings")


def at_chance(results: Path) -> None:
    tiny.change_weights(results, lambda weights: weights["fc.weight"].zero_(), honest=True)


def diverged(results: Path) -> None:
    tiny.change_record(results, status="diverged", reason="the training loss was not finite", diverged_epoch=1)


def failed(results: Path) -> None:
    Folder(results / "teachers").record_path(tiny.TEACHER.id).unlink()
    Folder(results / "teachers").fail(tiny.TEACHER.id, "OutOfMemoryError: 3 GiB wanted", "")


def garbage(results: Path) -> None:
    Folder(results / "teachers").record_path(tiny.TEACHER.id).write_text("{")


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "at chance": (at_chance, "three standard errors above chance are 0.1900: train it otherwise (recipe or"),
    "diverged": (diverged, "is diverged: the training loss was not finite; train it otherwise"),
    "failed": (failed, "has no record: OutOfMemoryError: 3 GiB wanted; --retry failed tries it again"),
    "corrupt": (garbage, "move it away to have it trained again"),
}


@pytest.fixture
def folder(results: Path) -> Folder:
    return Folder(results / "grid")


@pytest.fixture(scope="module")
def undisturbed(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a student and kd come to, side by side under a teacher that serves."""
    home = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(taught / "teachers", home / "teachers")
    assert tiny.train(home / "grid", STUDENT, KD)
    return home / "grid"


def mend(results: Path, taught: Path) -> None:
    shutil.rmtree(results / "teachers")
    shutil.copytree(taught / "teachers", results / "teachers", copy_function=shutil.copyfile)


def job(results: Path, *runs: Run) -> Job:
    return tiny.job_for(results, runs)


def recorded(folder: Folder, run: Run) -> Record:
    return tiny.record(folder.path, run)


@pytest.mark.parametrize("kind", SPOILT)
def test_labels_alone_need_no_teacher(kind: str, results: Path, folder: Folder, caplog: Any) -> None:
    spoil, why = SPOILT[kind]
    spoil(results)
    assert job(results, STUDENT, KD)()
    assert [folder.state(run.id) for run in (STUDENT, KD)] == ["done", "failed"]
    result = recorded(folder, STUDENT).result
    assert {name: value for name in ("teacher_id", *OF_TEACHER) if (value := getattr(result, name)) is not None} == {}
    assert result.top1 is not None
    assert folder.failure(STUDENT.id) == folder.failure(KD.id) == folder.why_without_teacher(STUDENT.id)
    assert why in str(folder.failure(KD.id))
    assert "Traceback" not in caplog.text
    assert json.loads(folder.failure_path(KD.id).read_text())["log"] == ""


@pytest.mark.parametrize("kind", ["at chance", "failed"])
def test_its_record_is_completed_without_training_and_to_the_same_bits(
    kind: str, results: Path, folder: Folder, taught: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SPOILT[kind][0](results)
    assert job(results, STUDENT)()
    before = recorded(folder, STUDENT)
    mend(results, taught)
    assert folder.is_open(STUDENT.id)
    with monkeypatch.context() as patch:
        patch.setattr(Member, "step", lambda *_: pytest.fail("it was trained again"))
        assert job(results, STUDENT)()
    assert tiny.bits(folder.path, STUDENT) == tiny.bits(undisturbed, STUDENT)
    after = recorded(folder, STUDENT)
    assert (after.run_id, after.run, after.provenance) == (before.run_id, before.run, before.provenance)
    assert after.cost.teacher_parameters == recorded(Folder(undisturbed), STUDENT).cost.teacher_parameters
    assert not folder.checkpoints_path(STUDENT.id).exists()
    assert not folder.is_open(STUDENT.id)
    assert job(results, STUDENT, KD)()
    assert tiny.bits(folder.path, STUDENT, KD) == tiny.bits(undisturbed, STUDENT, KD)


TROUBLES = {
    "memory": ("benchmark.training.teacher.load", MemoryError()),
    "memory, as torch says it": ("benchmark.training.teacher.load", RuntimeError(f"DefaultCPUAllocator: {NO_MEMORY}")),
    "a disk": ("benchmark.training.teacher.read_bytes", OSError(errno.EIO, "Input/output error")),
    "file handles": ("benchmark.training.teacher.read_bytes", OSError(errno.EMFILE, "Too many open files")),
    "a disk, for the record": ("benchmark.records.record.read_bytes", OSError(errno.EIO, "Input/output error")),
}


@pytest.mark.parametrize("kind", TROUBLES)
def test_a_machines_trouble_is_no_teachers_fault(
    kind: str, results: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, error = TROUBLES[kind]
    begun = job(results, STUDENT, KD)

    def trouble(*_: object) -> None:
        raise error

    monkeypatch.setattr(where, trouble)
    with pytest.raises(type(error) if "record" not in kind else RecordError):
        begun()
    assert [folder.state(run.id) for run in (STUDENT, KD)] == ["missing", "missing"]


def test_a_gpu_that_is_full_is_no_teachers_fault(
    results: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as the run's: what fits by itself may follow."""

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Frozen, "__init__", full)
    assert job(results, KD)()
    assert str(folder.failure(KD.id)).startswith("OutOfMemoryError: CUDA out of memory")
    assert not folder.blamed(KD.id)


class OnLabels(contract_methods.SmoothedLabels):
    """A third party's method that reads nothing, and starts otherwise with a teacher than without, if it is told."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.scale = nn.Parameter(torch.ones(()))
        self.start = 0.5 if task.teacher or task.classifier else 1.0

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return "there is a teacher" if task.teacher else None

    def classification(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().classification(self.start * self.scale * logits, labels)


@pytest.fixture
def on_labels() -> Iterator[Run]:
    register("on_labels")(OnLabels)
    yield tiny.run("on_labels")
    del REGISTRY["on_labels"]


def test_the_rule_holds_for_every_method_that_reads_nothing(
    on_labels: Run, results: Path, folder: Folder, taught: Path
) -> None:
    at_chance(results)
    assert job(results, STUDENT, on_labels, KD)()
    states = [folder.state(run.id) for run in (STUDENT, on_labels, KD)]
    assert states == ["done", "done", "failed"]
    assert recorded(folder, on_labels).lacks_teacher
    mend(results, taught)
    assert folder.is_open(on_labels.id)
    assert job(results, on_labels)()
    assert tiny.train(results / "other", on_labels, KD)
    assert tiny.bits(folder.path, on_labels) == tiny.bits(results / "other", on_labels)


def test_stopped_without_a_teacher_it_goes_on_with_one(
    results: Path, folder: Folder, taught: Path, undisturbed: Path
) -> None:
    spare = results / "elsewhere"
    assert tiny.run_alone(spare, STUDENT, stop=tiny.stop_after(4)) is False
    assert Folder(spare).is_open(STUDENT.id)
    assert tiny.train(spare, STUDENT)
    assert tiny.bits(spare, STUDENT) == tiny.bits(undisturbed, STUDENT)
    assert not tiny.train(folder.path, STUDENT, stop=tiny.stop_after(4))
    assert tiny.run_alone(folder.path, STUDENT)
    assert recorded(folder, STUDENT).lacks_teacher
    assert tiny.train(folder.path, STUDENT)
    assert tiny.bits(folder.path, STUDENT) == tiny.bits(undisturbed, STUDENT)


def test_a_teacher_that_does_not_serve_either_changes_nothing(results: Path, folder: Folder, taught: Path) -> None:
    at_chance(results)
    assert job(results, STUDENT)()
    record = folder.record_path(STUDENT.id)
    before = record.read_bytes(), record.stat().st_mtime_ns
    mend(results, taught)
    diverged(results)
    assert folder.is_open(STUDENT.id)
    assert job(results, STUDENT)()
    assert not folder.is_open(STUDENT.id)
    assert "is diverged" in str(folder.why_without_teacher(STUDENT.id))
    assert (record.read_bytes(), record.stat().st_mtime_ns) == before


def test_a_diverged_student_is_completed_too(results: Path, folder: Folder, taught: Path) -> None:
    run = tiny.run("student", learning_rate=1e30)
    at_chance(results)
    assert job(results, run)()
    curve = folder.curve_path(run.id).read_bytes()
    assert recorded(folder, run).status == "diverged"
    mend(results, taught)
    assert job(results, run)()
    assert tiny.train(results / "other", run)
    assert recorded(folder, run).result == recorded(Folder(results / "other"), run).result
    assert not recorded(folder, run).lacks_teacher
    assert folder.curve_path(run.id).read_bytes() == curve


def test_without_its_last_checkpoint_the_record_stays_as_it_is(results: Path, folder: Folder, taught: Path) -> None:
    """Another training on another machine may give other numbers: that is for people to ask for."""
    at_chance(results)
    assert job(results, STUDENT)()
    before = folder.record_path(STUDENT.id).read_bytes()
    shutil.rmtree(folder.checkpoints_path(STUDENT.id))
    mend(results, taught)
    assert job(results, STUDENT, KD)()
    assert folder.record_path(STUDENT.id).read_bytes() == before
    assert "checkpoint of its last step is gone; move its record away" in str(folder.why_without_teacher(STUDENT.id))
    assert folder.state(KD.id) == "done"
    folder.record_path(STUDENT.id).unlink()
    folder.forget_failure(STUDENT.id)
    assert job(results, STUDENT)()
    assert not recorded(folder, STUDENT).lacks_teacher


def test_it_is_planned_once_the_teacher_may_serve(results: Path, folder: Folder, taught: Path) -> None:
    at_chance(results)
    grid = tiny.GRID.model_copy(update={"seeds": (0,)})
    [run] = make_plan(grid, folder).runs
    assert job(results, run)()
    plan = make_plan(grid, folder)
    assert (plan.states[run.id], plan.cohorts, plan.to_complete) == ("done", (), 0)
    clean_up(folder)  # takes neither the note nor the checkpoint for something left behind
    mend(results, taught)
    plan = make_plan(grid, folder)
    assert (plan.states[run.id], plan.missing, plan.to_complete) == ("done", (), 1)
    assert forecast(plan, folder).seconds == 0
    assert plan.missing_teachers == ()
    folder.teachers.record_path(tiny.TEACHER.id).unlink()
    assert make_plan(grid, folder).missing_teachers == (run.teacher,)
    mend(results, taught)
    assert job(results, run)()
    assert make_plan(grid, folder).cohorts == ()
    clean_up(folder)
    assert not list((folder.path / "checkpoints").iterdir())
