"""One optimiser step of a whole cohort: one batch, one forward of the teacher, and each member's own step."""

import logging
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmark.data import TrainingData
from benchmark.training.capture import GRAPHS, NotCapturableError, Recorder
from benchmark.training.member import Member
from benchmark.training.teacher import Frozen
from methods.base import OF_BATCH, Batch, Outputs, Tap

log = logging.getLogger(__name__)

PLAIN = int, float, complex, str
"""Values that are the same if they are equal; of others, tensors among them, another one is another."""


@dataclass(frozen=True)
class StepInputs:
    """What a step is given: images [B, C, H, W], labels and positions in the training set [B], the epoch and the share
    of training done [], and a second view [B, C, H, W] if any member reads it."""

    images: Tensor
    labels: Tensor
    index: Tensor
    epoch: Tensor
    progress: Tensor
    second_view: Tensor | None

    def batch(self, member: Member, teacher: Frozen | None) -> Batch:
        """As this member sees it."""
        batch = Batch(self.labels, self.index, self.epoch, self.progress, member.generator)
        return member.shown(batch, self.images, self.second_view, teacher)

    def map(self, change: Callable[[Tensor], Tensor]) -> "StepInputs":
        """Every tensor changed in the same way."""
        changed: list[Any] = [None if x is None else change(x) for x in vars(self).values()]
        return StepInputs(*changed)

    def first(self, size: int) -> "StepInputs":
        """So many of its images."""
        return self.map(lambda x: x[:size] if x.dim() else x)

    def tensors(self) -> list[Tensor]:
        return [x for x in vars(self).values() if x is not None]


def step_inputs(members: Sequence[Member], data: TrainingData, views: Any, epoch: int, number: int) -> StepInputs:
    """The `number`-th batch of an epoch with these views."""
    made, steps = epoch * data.steps + number, members[0].run.recipe.epochs * data.steps
    second = data.second_view(views, number) if any("second_view" in member.reads for member in members) else None
    return StepInputs(
        *data.training_batch(views, number),
        torch.full((), epoch, device=data.device),
        torch.full((), made / steps if made > 0 else 0.0, device=data.device),
        second,
    )


def read_of_teacher(members: Sequence[Member]) -> frozenset[Tap]:
    """What these members read of their teacher's outputs, all together."""
    return frozenset().union(*(member.reads for member in members)) - OF_BATCH


def supply(members: Sequence[Member], teacher: Frozen | None, images: Tensor) -> Outputs | None:
    """The teacher's outputs for images [B, C, H, W], as far as these members read them."""
    reads = read_of_teacher(members)
    return teacher.outputs(images, members[0].run.recipe.teacher_precision, reads) if teacher and reads else None


def step(
    members: Sequence[Member], teacher: Frozen | None, data: TrainingData, views: Any, epoch: int, number: int
) -> None:
    """One optimiser step of all these members, as it is written."""
    now = step_inputs(members, data, views, epoch, number)
    started = time.thread_time()
    supplied = supply(members, teacher, now.images)
    seconds = time.thread_time() - started
    for member in members:
        member.step(now.images, now.batch(member, teacher), supplied)
        member.teacher_seconds += seconds if member.reads else 0.0


class CohortStep:
    """A cohort's step. On a device that has graphs, the teacher's forward and what each member computes are recorded
    once for every batch size and set of outputs that are read, and replayed from then on.

    The batch is made as it is written, and put where recorded work finds it. Steps of phases are not recorded, nor are
    those of a member that cannot be, which the log says once.
    """

    def __init__(self, teacher: Frozen | None, data: TrainingData) -> None:
        self.teacher, self.data = teacher, data
        graph = GRAPHS.get(data.device.type)
        self._recorder = Recorder(graph) if graph else None
        self._places: dict[Hashable, StepInputs] = {}
        self._as_written: set[str] = set()  # ids of runs

    def __call__(self, members: Sequence[Member], views: Any, epoch: int, number: int) -> None:
        """The `number`-th step of an epoch with these views, of the members that are due."""
        if self._recorder is None or epoch < 0:
            step(members, self.teacher, self.data, views, epoch, number)
            return
        now, reads = step_inputs(members, self.data, views, epoch, number), read_of_teacher(members)
        key = len(now.index), reads, now.second_view is not None
        now, supplied = self._placed(key, now), None
        if self.teacher and reads:
            try:
                supplied = self._recorder(key, partial(supply, members, self.teacher, now.images))
            except NotCapturableError as why:
                log.warning("steps are not captured: the teacher's forward: %s", why)
                self._recorder = None
                supplied = supply(members, self.teacher, now.images)
        for member in members:
            self._advance(member, key, supplied)

    def _placed(self, key: Hashable, now: StepInputs) -> StepInputs:
        """The same values in the tensors that recorded work reads."""
        if key not in self._places:
            self._places[key] = now.map(torch.clone)
        torch._foreach_copy_(self._places[key].tensors(), now.tensors())
        return self._places[key]

    def _advance(self, member: Member, key: Hashable, supplied: Outputs | None) -> None:
        """A member's own step: recorded, to be recorded or as it is written."""
        recorder, own, now = self._recorder, (key, member.run.id), self._places[key]
        images, batch = now.images, now.batch(member, self.teacher)
        if recorder is None or member.run.id in self._as_written:
            member.step(images, batch, supplied)
            return
        member.announce()
        before = None if recorder.has(own) else (member.fixed(), member.attributes())
        try:
            recorder(own, partial(member.compute, images, batch, supplied))
        except NotCapturableError as why:
            self._refuse(member, str(why))
            member.step(images, batch, supplied)
            return
        why_not = moved(before[0], member.fixed()) if before else None
        if before and recorder.has(own):  # what code makes once is made by now
            why_not = why_not or changed(before[1], member.attributes())
        if why_not:
            self._refuse(member, why_not)
        else:
            member.captured = member.captured or recorder.has(own)
        member.passed()

    def _refuse(self, member: Member, why: str) -> None:
        log.warning("%s: its steps are not captured: %s", member.run.method, why)
        self._as_written.add(member.run.id)


def moved(before: tuple[Tensor, list[int]], after: tuple[Tensor, list[int]]) -> str | None:
    """Why a member whose step has changed these (see `Member.fixed`) cannot be captured, None if it has not."""
    if not torch.equal(before[0], after[0]):
        return "it draws from batch.generator"
    return None if before[1] == after[1] else "it puts another tensor in the place of a parameter or a buffer"


def changed(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> str | None:
    """Why a member whose step has changed these (see `Member.attributes`) cannot be captured, None if it has not: a
    count, say, that goes into the loss."""

    def is_kept(one: Any, other: Any) -> bool:
        return one is other or (type(one) is type(other) and isinstance(one, PLAIN) and one == other)

    for name in before | after:
        ours, its = before.get(name, []), after.get(name, [])
        if len(ours) != len(its) or not all(map(is_kept, ours, its)):
            return f"it changes {name} in every step, in Python, which no replay does"
    return None
