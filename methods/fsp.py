"""Flow of the solution procedure: products of the channels of one stage with those of the next."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from methods.base import Batch, Method, Outputs, Phase, Task, register
from methods.channels import channel_products
from methods.connectors import of_one_size
from methods.options import at_least


def flow(front: Tensor, back: Tensor) -> Tensor:
    """[B, C, C'] of maps [B, C, H, W] and [B, C', H', W']: the mean over positions of the products of their channels,
    after the larger map was averaged to the other's size."""
    front, back = of_one_size(front, back)
    return channel_products(front, back) / (front.shape[2] * front.shape[3])


def fsp_loss(student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor]) -> Tensor:
    """Mean squared difference of the flows between two maps of each network, of as many channels in both."""
    front, back = teacher
    return (flow(*student) - flow(front.detach(), back.detach())).square().mean()


def tapped(task: Task, stem: bool) -> list[tuple[int, int]]:
    """Which maps of student and teacher are joined by flows, front to back."""
    ours, theirs = (shapes.stem for shapes in task.pair)
    return [*([(ours - 1, theirs - 1)] if stem and ours and theirs else []), *task.map_pairs()]


@register("fsp")
class FlowOfSolutionProcedure(Method):
    """A gift from knowledge distillation: flow of solution procedure (Yim, Joo, Bae & Kim, CVPR 2017).

        sum_flows mean (M_S - M_T)^2,   M = F F'^T / P

    F, F': maps [B, C, P] and [B, C', P] that follow each other, the larger one averaged to the other's P positions; M:
    [B, C, C']. Maps: the stem's (unless `stem = false`) and every one after it where both networks have as many, else
    the last three stages. For the first `epochs` epochs the flows alone train the student, without its classifier;
    then it learns from labels, and from the flows with `weight`.

    Defaults: 30 epochs at the recipe's learning rate, then labels alone (weight 0), as in RepDistiller, whose published
    weight of 50 has no effect; the authors' code was not found. Widths have to be the teacher's in every map that is
    used: pairs of other widths cannot be served.
    """

    label = "FSP"
    reads = frozenset({"maps"})
    vanishes_at_teacher = True
    memory_order = 1

    def __init__(self, task: Task, *, epochs: int = 30, weight: float = 0.0, stem: bool = True) -> None:
        super().__init__(task)
        at_least(0, "fsp", epochs=epochs, weight=weight)
        self.weight, self.taps = weight, tapped(task, stem)
        self.phases = (Phase(epochs, "student", self.flows),)

    def flows(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        ours, theirs = [student.maps[i] for i, _ in self.taps], [teacher.maps[j] for _, j in self.taps]
        pairs = zip(pairwise(ours), pairwise(theirs), strict=True)
        return torch.stack([fsp_loss(s, t) for s, t in pairs]).sum()

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        if not self.weight:
            return student.logits.new_zeros(())
        return self.weight * self.flows(student, teacher, batch)

    @classmethod
    def unsupported(cls, task: Task, *, stem: bool = True, **options: Any) -> str | None:
        if task.teacher is None:
            return None
        if reason := task.lacks_map_pairs():
            return reason
        for i, j in (taps := tapped(task, stem)):
            if (ours := task.student.maps[i][0]) != (theirs := task.teacher.maps[j][0]):
                return f"map {i} of the student has {ours} channels, map {j} of the teacher {theirs}"
        return "one map has no flow to another" if len(taps) < 2 else None
