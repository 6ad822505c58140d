"""Train one cohort in this process: from runs and a results folder to records."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

import methods
from benchmark import data
from benchmark.data import EvaluationData, Splits, TrainingData
from benchmark.ground.errors import one_line
from benchmark.ground.files import write_bytes
from benchmark.models import Network
from benchmark.models.weights import save_weights, weights_sha256
from benchmark.records import Cost, Folder, Record, Result
from benchmark.records.predictions import SMALL, Predictions, sha256
from benchmark.spec import Grid, Recipe, Run
from benchmark.training import checkpoints
from benchmark.training.count import cost, teacher_cost
from benchmark.training.evaluation import measures, predictions_on
from benchmark.training.loop import Callbacks, configure_torch, train
from benchmark.training.member import Member, build_student, build_task
from benchmark.training.provenance import provenance
from benchmark.training.teacher import Teacher, checked_teacher
from benchmark.training.untrained import update_batch_norms
from methods.base import Task

log = logging.getLogger(__name__)

UNCOMPLETED = "the checkpoint of its last step is gone; move its record away to have it made again under its teacher"


@dataclass(frozen=True)
class Setup:
    """What the members of a cohort share."""

    folder: Folder
    recipe: Recipe
    splits: Splits
    training: TrainingData
    validation: EvaluationData
    test: EvaluationData
    teacher: Teacher | None
    device: torch.device

    @cached_property
    def supplied(self) -> Predictions | None:
        """What the teacher says of the test set, computed once for all students."""
        if (teacher := self.teacher) is None:
            return None
        return predictions_on(lambda images: teacher.evaluate(images, self.recipe.teacher_precision), self.test)

    @cached_property
    def teacher_cost(self) -> dict[str, int]:
        """Counted once for all students."""
        return teacher_cost(self.teacher, self.training.batch(0, 1)[0]) if self.teacher else {}


def run_cohort(
    folder: Folder,
    runs: Sequence[Run],
    grid: Grid,
    device: torch.device,
    data_dir: Path | None,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[Sequence[Member]], None] = lambda members: None,
    is_mine: Callable[[str], bool] = lambda run_id: True,
    *,
    alone: bool = False,
) -> bool:
    """Bring every run to a record; False if stopped before, with checkpoints to go on from.

    `is_mine` is asked, by a run's id, before anything of it is written: what another worker has taken over is its.
    `alone` is for runs that read nothing of their teacher, which cannot serve: they are trained and recorded without
    it, and keep the checkpoint of their end, from which a later call completes the record.

    Raises TeacherError if the teacher does not pass its gate, UsageError for unusable data or networks.
    """
    recipe = runs[0].recipe
    configure_torch(recipe, device)
    setup = _setup(folder, runs[0], grid, device, data_dir, alone)
    if device.type == "cuda":  # this worker's earlier cohorts may have needed more
        torch.cuda.reset_peak_memory_stats(device)
    recorded = [run for run in runs if folder.lacks_teacher(run.id)]
    for run in recorded:
        _complete(run, setup, is_mine)
    members = [member for run in runs if run not in recorded and (member := _member(run, setup, is_mine))]
    if not members:
        return True

    with checkpoints.Writer(behind=checkpoints.is_behind(device)) as writer:

        def save(active: Sequence[Member]) -> None:
            mine = [member for member in active if is_mine(member.run.id)]
            writer.save({folder.checkpoints_path(member.run.id): member.state() for member in mine})

        finished = train(members, setup.teacher, setup.training, setup.validation, Callbacks(stop, save, report))
        if finished and alone:
            save(members)
        if alone or not finished:
            writer.wait()  # what is gone on from has to be there
    if not finished:
        return False
    for member in members:
        _finish(member, setup, grid, len(members), is_mine)
    return True


def _setup(folder: Folder, run: Run, grid: Grid, device: torch.device, data_dir: Path | None, alone: bool) -> Setup:
    splits = data.load(grid.located(run.dataset), data_dir)
    data.record_split(run.dataset, splits, folder.path)
    teacher = None
    if run.teacher is not None and not alone:
        expected = grid.expected_accuracy.get(run.dataset.name, {}).get(run.teacher.student.name)
        teacher = checked_teacher(run, folder.teachers, splits, device, expected)
    training = data.training_data(splits.train, run.recipe, device)
    held_out = (splits.validation, splits.test)
    validation, test = (data.evaluation_data(images, run.recipe, device) for images in held_out)
    return Setup(folder, run.recipe, splits, training, validation, test, teacher, device)


def _member(run: Run, setup: Setup, is_mine: Callable[[str], bool]) -> Member | None:
    """The run, ready to go on from its newest checkpoint; None if its method cannot serve the pair."""
    network = build_student(run, setup.splits.classes, setup.device)
    if run.untrained and run.teacher is None:
        update_batch_norms(network, run, setup.training)
    task = _task(run, network, setup)
    if reason := methods.unsupported(run.method, task, run.options):
        origin = provenance(setup.device, run.recipe.deterministic, 0, run.method)
        result = Result(reason=reason, teacher_id=run.teacher.id if run.teacher else None)
        record = Record(run_id=run.id, status="not_applicable", run=run, result=result, cost=Cost(), provenance=origin)
        if is_mine(run.id):
            setup.folder.finish(record, [])
        return None
    for state in checkpoints.newest_first(setup.folder.checkpoints_path(run.id), run.id, setup.device):
        member = Member(run, task, network, setup.device, setup.training.steps)
        try:
            member.restore(state)
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            log.warning("%s: step %s cannot be gone on from: %s", run.id, state.get("next_step"), one_line(error))
            network = build_student(run, setup.splits.classes, setup.device)  # half of the other state may be in it
            task = _task(run, network, setup)
            continue
        log.info("%s goes on from step %d", run.id, member.next_step)
        return member
    return Member(run, task, network, setup.device, setup.training.steps)


def _task(run: Run, network: Network, setup: Setup) -> Task:
    return build_task(run, network, setup.teacher.network if setup.teacher else None, setup.training)


def _finish(member: Member, setup: Setup, grid: Grid, cohort_size: int, is_mine: Callable[[str], bool]) -> None:
    """Evaluate on the test set, which is read here and nowhere before, and write what is kept, the record last."""
    folder = setup.folder
    predictions = predictions_on(member.evaluate, setup.test) if member.diverged_epoch is None else None
    record = _record(member, predictions, setup, cohort_size)
    if not is_mine(member.run.id):  # looked at last, as the evaluation takes its time
        log.warning("%s was taken over by another worker, who is to record it", member.run.id)
        return
    if record.status == "done" and predictions is not None:
        content = predictions.content()
        if grid.keep_predictions is True or (grid.keep_predictions == "small" and len(content) <= SMALL):
            write_bytes(folder.predictions_path(record.run_id), content)
        if grid.keep_weights or member.run.teacher is None:
            save_weights(folder.weights_path(record.run_id), member.network.model, member.run)
    folder.finish(record, member.curve)
    if not record.lacks_teacher:
        checkpoints.discard(folder.checkpoints_path(record.run_id))


def _complete(run: Run, setup: Setup, is_mine: Callable[[str], bool]) -> None:
    """Add what a record lacks of its teacher; nothing else of it changes."""
    folder, record, teacher = setup.folder, setup.folder.record(run.id), setup.teacher
    assert record is not None
    assert teacher is not None
    values = _of_teacher(teacher)
    if record.status == "done":
        member = _member(run, setup, is_mine)
        kept = member is not None and weights_sha256(member.network.model) == record.result.weights_sha256
        if member is None or not kept or setup.splits.sha256 != record.result.data_sha256:
            folder.fail(run.id, UNCOMPLETED if not kept else f"{run.dataset.name!r} holds other images now", "")
            return
        assert setup.supplied is not None
        values |= measures(predictions_on(member.evaluate, setup.test), setup.supplied)
    if is_mine(run.id):
        result = Result.model_validate({**record.result.model_dump(), **values})
        costs = {**record.cost.model_dump(), **setup.teacher_cost}
        folder.finish(record.model_copy(update={"result": result, "cost": Cost.model_validate(costs)}), None)
        checkpoints.discard(folder.checkpoints_path(run.id))


def _record(member: Member, predictions: Predictions | None, setup: Setup, cohort_size: int) -> Record:
    result = _result(member, predictions, setup)
    return Record(
        run_id=member.run.id,
        status="done" if result.reason is None else "diverged",
        run=member.run,
        result=result,
        cost=cost(member, setup.teacher, setup.training, cohort_size, setup.teacher_cost),
        provenance=provenance(
            setup.device, member.run.recipe.deterministic, member.resumed, member.run.method, member.captured
        ),
    )


def _result(member: Member, predictions: Predictions | None, setup: Setup) -> Result:
    """What the member came to, by what it says of the test set; None if it diverged."""
    splits = setup.splits
    values: dict[str, object] = {"test_images": len(setup.test), "test_duplicates": splits.test_duplicates}
    values["data_sha256"] = splits.sha256
    if setup.teacher is not None:
        values |= _of_teacher(setup.teacher)
    if predictions is None:
        assert member.diverged_epoch is not None
        reason = f"the training loss was not finite in {epoch_name(member.diverged_epoch)}"
        return Result.model_validate({**values, "diverged_epoch": member.diverged_epoch, "reason": reason})
    if not predictions.finite:
        last = member.run.recipe.epochs - 1
        return Result.model_validate({**values, "diverged_epoch": last, "reason": "the trained student is not finite"})
    values |= {**measures(predictions, setup.supplied), "predictions_sha256": sha256(predictions.content())}
    if member.curve:
        values |= {key: member.curve[-1][key] for key in ("train_loss", "train_top1", "validation_top1")}
    return Result.model_validate({**values, "weights_sha256": weights_sha256(member.network.model)})


def _of_teacher(teacher: Teacher) -> dict[str, object]:
    its = teacher.record
    return {
        "teacher_id": its.run_id,
        "teacher_weights_sha256": its.result.weights_sha256,
        "teacher_top1": its.result.top1,
    }


def epoch_name(epoch: int) -> str:
    """An epoch for people: main ones count from 1, those of phases back from -1."""
    return f"epoch {epoch + 1}" if epoch >= 0 else f"epoch {epoch}, in a phase"
