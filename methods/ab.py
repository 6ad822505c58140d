"""Activation boundaries: which units are active, transferred before the labels are learnt."""

from typing import Any

import torch
from torch import Tensor, nn

from methods import relations
from methods.base import Batch, Method, Outputs, Phase, Task, register
from methods.connectors import BatchNorm
from methods.fitnet import connector
from methods.options import at_least

SCALE = 3 / 1000
"""Of the sum over all maps, as published code has it."""


def boundary_loss(student: Tensor, teacher: Tensor, margin: float = 1.0) -> Tensor:
    """By how much pre-activations [B, C, H, W] are not `margin` beyond 0 on the side of the teacher's: squares, summed
    over a sample, the batch's mean."""
    ours, active = relations.rows(student), relations.rows(teacher.detach()) > 0
    return torch.where(active, margin - ours, margin + ours).relu().square().sum() / len(ours)


def unbridged(task: Task) -> str | None:
    """Why the student's maps cannot be brought to the teacher's shapes, or None."""
    if task.teacher is None:
        return None
    if reason := task.lacks_map_pairs():
        return reason
    for i, j in task.map_pairs():
        student, teacher = task.student.maps[i], task.teacher.maps[j]
        if connector(student[1:], teacher[1:]) is None:
            return f"nothing maps {student[1]}x{student[2]} to {teacher[1]}x{teacher[2]}"
    return None


def bridge(student: tuple[int, int, int], teacher: tuple[int, int, int]) -> nn.Module:
    """Takes maps (C, H, W) to the other shape: as they are, or FitNet's convolution and batch normalisation."""
    if student == teacher:
        return nn.Identity()
    convolution = connector(student[1:], teacher[1:])
    assert convolution is not None
    return nn.Sequential(convolution(student[0], teacher[0]), BatchNorm(teacher[0]))


@register("ab")
class ActivationBoundaries(Method):
    """Knowledge transfer via distillation of activation boundaries (Heo et al., AAAI 2019, arXiv:1811.03233).

        phase: 3 / 1000 / B * sum_maps 2^(i - n) * sum [ t > 0 ? relu(m - s)^2 : relu(m + s)^2 ],   s = R(P_S), t = P_T

    P: map i of n before its last activation, [B, C, H, W], all after the stem where both networks have as many, else
    those of the last three stages; m: `margin`; R: a convolution and batch normalisation, none where shapes agree. The
    phase of `epochs` trains the student, but for its classifier, and R; then the student learns from labels alone.

    Defaults: 30 epochs at the recipe's learning rate, margin 1, RepDistiller's. `weight` above 0 keeps the term in the
    main schedule.

    Deviation: the authors (bhheo/AB_distillation) distil by softened logits afterwards.
    """

    label = "AB"
    reads = frozenset({"preacts"})
    memory_order = 1

    def __init__(self, task: Task, *, weight: float = 0.0, margin: float = 1.0, epochs: int = 30) -> None:
        super().__init__(task)
        student, teacher = task.pair
        at_least(0, "ab", weight=weight, margin=margin, epochs=epochs)
        self.weight, self.margin, self.pairs = weight, margin, task.map_pairs()
        self.bridges = nn.ModuleList(bridge(student.maps[i], teacher.maps[j]) for i, j in self.pairs)
        self.phases = (Phase(epochs, "both", self.boundaries),)

    def boundaries(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        terms = [
            boundary_loss(bridge(student.preacts[i]), teacher.preacts[j], self.margin) / 2 ** (len(self.pairs) - n)
            for n, (bridge, (i, j)) in enumerate(zip(self.bridges, self.pairs, strict=True), start=1)
        ]
        return SCALE * torch.stack(terms).sum()

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        if not self.weight:
            return student.logits.new_zeros(())
        return self.weight * self.boundaries(student, teacher, batch)

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return unbridged(task)
