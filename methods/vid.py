"""Variational information distillation: the teacher's maps predicted from the student's, with a learnt variance."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, Method, Outputs, Task, register
from methods.connectors import Conv2d, of_one_size
from methods.options import at_least
from methods.relations import maps_as_columns

VARIANCE, LEAST_VARIANCE = 5.0, 1e-5
"""Of a channel: at first, and at least."""


def vid_loss(mean: Tensor, scale: Tensor, teacher: Tensor) -> Tensor:
    """Mean over all elements of ((mean - teacher)^2 / v + log v) / 2 of maps [B, C, H, W]; v = softplus(scale), scale
    [C], plus the least variance: a Gaussian's negative log-likelihood."""
    variance = F.softplus(scale)[:, None] + LEAST_VARIANCE
    error = maps_as_columns(mean) - maps_as_columns(teacher.detach())
    return (error.square() / variance + variance.log()).mean() / 2


def regressor(inputs: int, outputs: int) -> nn.Sequential:
    widths = (inputs, outputs, outputs)
    layers = [layer for width in widths for layer in (Conv2d(width, outputs, 1, bias=False), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


@register("vid")
class VariationalInformation(Method):
    """Variational information distillation for knowledge transfer (Ahn et al., CVPR 2019, arXiv:1904.05835).

        weight * sum_maps mean ((mu(F_S) - F_T)^2 / v + log v) / 2

    F: maps [B, C, H, W], every one after the stem where both networks have as many, else the last three stages; the
    larger of two is averaged to the other's size first. mu: three 1x1 convolutions of the teacher's width with ReLUs
    between them; v [C]: a variance a channel. Both are trained with the student, weight decay included, which pulls v
    towards log 2. The loss may be negative.

    Defaults: weight 1, v = 5 at first and at least 1e-5, RepDistiller's; the authors' code was not found. Deviation:
    softplus does not overflow where log(1 + exp) does.
    """

    label = "VID"
    reads = frozenset({"maps"})
    memory_order = 1
    precision = "autocast"

    def __init__(self, task: Task, *, weight: float = 1.0) -> None:
        super().__init__(task)
        student, teacher = task.pair
        at_least(0, "vid", weight=weight)
        self.weight, self.pairs = weight, task.map_pairs()
        widths = [(student.maps[i][0], teacher.maps[j][0]) for i, j in self.pairs]
        scale = math.log(math.expm1(VARIANCE - LEAST_VARIANCE))
        self.regressors = nn.ModuleList(regressor(*width) for width in widths)
        self.scales = nn.ParameterList(nn.Parameter(torch.full((theirs,), scale)) for _, theirs in widths)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        terms = []
        for (i, j), regress, scale in zip(self.pairs, self.regressors, self.scales, strict=True):
            ours, theirs = of_one_size(student.maps[i], teacher.maps[j])
            terms.append(vid_loss(regress(ours), scale, theirs))
        return self.weight * torch.stack(terms).sum()

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return task.lacks_map_pairs()
