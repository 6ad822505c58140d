"""Neuron selectivity transfer: which positions of an image activate the same channels."""

from typing import Any

import torch
from torch import Tensor

from methods import relations
from methods.base import Batch, Method, Outputs, Task, register
from methods.channels import lacks_positions
from methods.connectors import of_one_size
from methods.options import at_least


def nst_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared maximum mean discrepancy, the mean over images, with the kernel (a . b)^2, of the channels of maps
    [B, C_S, H, W] and [B, C_T, H', W'], of unit length over positions; the larger map is averaged to the other's size.

    The same by products of positions, [P, P], or of channels: whichever takes less time.
    """
    maps = of_one_size(student, teacher.detach())
    ours, theirs = (relations.normalize(relations.maps_as_columns(x)) for x in maps)
    (channels, positions), others = ours.shape[1:], theirs.shape[1]
    if positions * (channels + others) <= channels**2 + others**2 + channels * others:
        return (ours.mT @ ours / channels - theirs.mT @ theirs / others).square().sum((1, 2)).mean()
    return _kernel(theirs, theirs) + _kernel(ours, ours) - 2 * _kernel(ours, theirs)


def _kernel(one: Tensor, other: Tensor) -> Tensor:
    """Mean kernel of the channels [B, C, P] and [B, C', P]."""
    return (one @ other.mT).square().mean()


@register("nst")
class NeuronSelectivityTransfer(Method):
    """Like what you like: knowledge distill via neuron selectivity transfer (Huang & Wang, 2017, arXiv:1707.01219).

        weight * sum_maps mean_B [ mean k(a_T, a_T') + mean k(a_S, a_S') - 2 mean k(a_S, a_T) ],   k(a, b) = (a . b)^2

    a: the channels [B, C, P] of a map, each of unit length over its P positions; the means run over pairs of channels.
    It equals mean_B || A_S^T A_S / C_S - A_T^T A_T / C_T ||_F^2: a relation between positions. Maps: every one after
    the stem where both networks have as many, else the last three stages; the larger of two is averaged to the other's
    size first. Widths may differ. Maps of 1 x 1 alone are n/a: all their channels are alike.

    Defaults: weight 50, RepDistiller's; the authors' code (TuSimple/neuron-selectivity-transfer) adds a constant inside
    the square and leaves the teacher's own term, which is constant, out. Deviation: a channel that is zero gets no
    gradient.
    """

    label = "NST"
    reads = frozenset({"maps"})
    vanishes_at_teacher = True
    memory_order = 1

    def __init__(self, task: Task, *, weight: float = 50.0) -> None:
        super().__init__(task)
        at_least(0, "nst", weight=weight)
        self.weight, self.pairs = weight, task.map_pairs()

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        terms = [nst_loss(student.maps[i], teacher.maps[j]) for i, j in self.pairs]
        return self.weight * torch.stack(terms).sum()

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return task.lacks_map_pairs() or lacks_positions(task)
