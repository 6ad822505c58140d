"""Attention transfer: where a map's channels are active."""

from typing import Any

import torch
from torch import Tensor

from methods.base import Batch, Method, Outputs, Task, register
from methods.channels import attention, lacks_positions
from methods.connectors import of_one_size
from methods.options import at_least


def at_loss(student: Tensor, teacher: Tensor, power: float = 2.0) -> Tensor:
    """Mean squared difference of the attention [B, P] of maps [B, C_S, H, W] and [B, C_T, H', W'], the larger of which
    is averaged to the other's size first."""
    student, teacher = of_one_size(student, teacher.detach())
    return (attention(student, power) - attention(teacher, power)).square().mean()


@register("at")
class AttentionTransfer(Method):
    """Paying more attention to attention (Zagoruyko & Komodakis, ICLR 2017, arXiv:1612.03928).

        weight * sum_maps mean_BP (q_S - q_T)^2,   q = a / |a|,   a = mean over channels of |F|^power

    F: maps [B, C, H, W], P positions each; every map after the stem where both networks have as many, else the last
    three stages. The larger of two maps is averaged to the other's size first. Widths may differ. A mean over
    positions lets the smallest, deepest map count most. Maps of 1 x 1 alone are n/a: their attention is 1.

    Defaults: weight 1000 and power 2, the authors' (szagoruyko/attention-transfer) and RepDistiller's. Others take the
    mean over three stages. Deviation: a zero map has attention 0 and no gradient.
    """

    label = "AT"
    reads = frozenset({"maps"})
    vanishes_at_teacher = True
    memory_order = 1

    def __init__(self, task: Task, *, weight: float = 1000.0, power: float = 2.0) -> None:
        super().__init__(task)
        at_least(0, "at", weight=weight)
        at_least(1, "at", power=power)
        self.weight, self.power, self.pairs = weight, power, task.map_pairs()

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        terms = [at_loss(student.maps[i], teacher.maps[j], self.power) for i, j in self.pairs]
        return self.weight * torch.stack(terms).sum()

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return task.lacks_map_pairs() or lacks_positions(task)
