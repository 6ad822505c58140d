"""The lock-step loop: one batch stream and one teacher forward for all students of a cohort."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmark.data import EvaluationData, TrainingData
from benchmark.spec import Recipe
from benchmark.training.device import set_precision
from benchmark.training.member import Member
from benchmark.training.teacher import Frozen
from methods.base import OF_BATCH, Batch, Outputs

CHECKPOINT_SECONDS = 60.0


def configure_torch(recipe: Recipe, device: torch.device) -> None:
    """Set torch's process-wide switches as a recipe wants them. Raises UsageError for a device that cannot."""
    set_precision(recipe, device)
    torch.use_deterministic_algorithms(recipe.deterministic or device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing reads it


@dataclass(frozen=True)
class Callbacks:
    """What the loop tells and asks the outside, at step boundaries and epoch edges."""

    stop: Callable[[], bool] = lambda: False
    save: Callable[[Sequence[Member]], None] = lambda members: None
    report: Callable[[Sequence[Member]], None] = lambda members: None


def train(
    members: Sequence[Member],
    teacher: Frozen | None,
    data: TrainingData,
    validation: EvaluationData,
    callbacks: Callbacks,
) -> bool:
    """Train every member to the end of its recipe, or until it diverges; False if stopped before.

    Members share data, teacher, recipe and seed. Resumed members may have come to different steps: the ones that are
    ahead sit out the steps they have made, which changes nothing for either, since batches are a function of the step.
    So do members with fewer epochs of phases, which are numbered below 0.
    """
    run = members[0].run
    saved = time.monotonic()
    for epoch in range(min(member.next_step for member in members) // data.steps, run.recipe.epochs):
        remaining = [member for member in members if member.diverged_epoch is None]
        if not remaining:
            break
        active = [member for member in remaining if member.next_step // data.steps == epoch]
        started = time.perf_counter()
        views = data.views(run.seed, epoch)
        for number in range(data.steps):
            due = [member for member in active if member.next_step == epoch * data.steps + number]
            if not due:
                continue
            step(due, teacher, data, views, epoch, number)
            if number == data.steps - 1:
                for member in due:
                    member.close_epoch(epoch, validation)
            callbacks.report(members)
            stopping = callbacks.stop()
            if stopping or time.monotonic() - saved > CHECKPOINT_SECONDS:
                started = _charge(active, started)  # what a checkpoint leaves out is never counted
                callbacks.save(active)
                saved = time.monotonic()
            if stopping:
                return False
        _charge(active, started)
    return True


def step(
    members: Sequence[Member], teacher: Frozen | None, data: TrainingData, views: Any, epoch: int, number: int
) -> None:
    """One optimiser step of all these members: one batch, the `number`-th of an epoch with these views, and one forward
    of the teacher."""
    images, labels, index = data.training_batch(views, number)
    now, epochs = epoch * data.steps + number, members[0].run.recipe.epochs
    progress = torch.full((), now / (epochs * data.steps) if now > 0 else 0.0, device=data.device)
    started = time.thread_time()
    supplied = supply(members, teacher, images)
    seconds = time.thread_time() - started
    second = second_view(members, data, views, number)
    for member in members:
        batch = Batch(labels, index, epoch, progress, member.generator)
        member.step(images, member.shown(batch, images, second, teacher), supplied)
        member.teacher_seconds += seconds if member.reads else 0.0


def supply(members: Sequence[Member], teacher: Frozen | None, images: Tensor) -> Outputs | None:
    """The teacher's outputs for images [B, C, H, W], as far as these members read them."""
    reads = frozenset().union(*(member.reads for member in members)) - OF_BATCH
    return teacher.outputs(images, members[0].run.recipe.teacher_precision, reads) if teacher and reads else None


def second_view(members: Sequence[Member], data: TrainingData, views: Any, number: int) -> Tensor | None:
    """A batch's images cropped and flipped once more, [B, C, H, W], if any of these members reads them."""
    wanted = any("second_view" in member.reads for member in members)
    return data.second_view(views, number) if wanted else None


def _charge(members: Sequence[Member], since: float) -> float:
    """Add the time since then to what the cohort has cost each of these; returns now."""
    now = time.perf_counter()
    for member in members:
        member.cohort_seconds += now - since
    return now
