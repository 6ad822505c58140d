"""Inter-channel correlation: which channels of one image's map resemble each other."""

from typing import Any

from torch import Tensor, nn

from methods import relations
from methods.base import Batch, Method, Outputs, Task, register
from methods.connectors import BatchNorm, Conv2d
from methods.options import at_least


def ickd_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared difference of the row-normalised products of channels [B, C, C] of maps [B, C, H, W] and [B, C, H', W'],
    summed over channels, divided by B C.

    The same by products of positions, where those are few: with 1,200 channels of one position in 1/670 of the time.
    """
    ours, theirs = (relations.maps_as_columns(x) for x in (student, teacher.detach()))
    if ours.shape[2] + theirs.shape[2] < ours.shape[1]:
        own, fixed = _row_products(ours, ours), _row_products(theirs, theirs)
        units, fixed_units = relations.inverse_root(own), relations.inverse_root(fixed)
        cosines = _row_products(ours, theirs) * units * fixed_units
        return (own * units.square() + fixed * fixed_units.square() - 2 * cosines).mean()
    relation, target = (relations.normalize(x @ x.mT) for x in (ours, theirs))
    return (relation - target).square().sum() / (len(ours) * ours.shape[1])


def _row_products(one: Tensor, other: Tensor) -> Tensor:
    """[B, C]: inner products of the rows of x x^T and of y y^T, for x and y [B, C, P]."""
    return ((one @ (one.mT @ other)) * other).sum(2)


@register("ickd")
class InterChannelCorrelation(Method):
    """Exploring inter-channel correlation for diversity-preserved knowledge distillation (Liu et al., ICCV 2021).

        weight / (B C) * sum_B || G_S - G_T ||_F^2,   G = h h^T with rows divided by their L2 norm

    h: [B, C, P], the channels of the last map: the teacher's as they are, the student's after a 1x1 convolution to the
    teacher's width C with batch normalisation, trained with the student. G is C x C, so that sizes may differ; it
    is formed only where the positions of both maps are not fewer than the channels.

    Defaults: weight 2.5, the authors' for CIFAR-100 (ADLab-AutoDrive/ICKD; another of their files says 4). The paper
    divides by C^2 and does not normalise rows, says an issue there.
    """

    label = "ICKD"
    reads = frozenset({"maps"})
    memory_order = 1

    def __init__(self, task: Task, *, weight: float = 2.5) -> None:
        super().__init__(task)
        at_least(0, "ickd", weight=weight)
        ours, theirs = (shapes.stages(1)[0][0] for shapes in task.pair)
        self.weight = weight
        self.connector = nn.Sequential(Conv2d(ours, theirs, 1, bias=False), BatchNorm(theirs))

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return self.weight * ickd_loss(self.connector(student.stages(1)[0]), teacher.stages(1)[0])

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return task.lacks_stages(1)
