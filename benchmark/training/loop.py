"""The lock-step loop: one batch stream and one teacher forward for all students of a cohort."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from benchmark.data import EvaluationData, TrainingData
from benchmark.spec import Recipe
from benchmark.training import memory
from benchmark.training.device import set_precision
from benchmark.training.member import Member
from benchmark.training.step import CohortStep
from benchmark.training.teacher import Frozen

CHECKPOINT_SECONDS = 60.0


def configure_torch(recipe: Recipe, device: torch.device) -> None:
    """Set process-wide switches, torch's and the C library's, as a recipe wants them. Raises UsageError for a device
    that cannot."""
    set_precision(recipe, device)
    torch.use_deterministic_algorithms(recipe.deterministic or device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing reads it
    if device.type == "cpu":
        memory.keep_freed()


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
    saved, step, ahead = time.monotonic(), CohortStep(teacher, data), None
    for epoch in range(min(member.next_step for member in members) // data.steps, run.recipe.epochs):
        remaining = [member for member in members if member.diverged_epoch is None]
        if not remaining:
            break
        active = [member for member in remaining if member.next_step // data.steps == epoch]
        started = time.perf_counter()
        views, ahead = data.views(run.seed, epoch) if ahead is None else ahead, None
        for number in range(data.steps):
            due = [member for member in active if member.next_step == epoch * data.steps + number]
            if not due:
                continue
            step(due, views, epoch, number)
            if number == data.steps - 1:
                if epoch + 1 < run.recipe.epochs:  # before the wait, while a device is still at its steps
                    ahead = data.views(run.seed, epoch + 1)
                sums = torch.stack([member.sums for member in due]).tolist()  # the epoch's one wait for the device
                for member, its in zip(due, sums, strict=True):
                    member.close_epoch(epoch, its, validation)
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


def _charge(members: Sequence[Member], since: float) -> float:
    """Add the time since then to what the cohort has cost each of these; returns now."""
    now = time.perf_counter()
    for member in members:
        member.cohort_seconds += now - since
    return now
