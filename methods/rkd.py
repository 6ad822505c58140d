"""Relational knowledge distillation: distances between samples and angles among triplets of samples."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from methods import relations
from methods.base import Batch, Method, Outputs, Tap, Task, register
from methods.options import at_least


def rkd_distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """RKD-D of embeddings [B, D_S] and [B, D_T]."""
    target = relations.mean_scaled(relations.distances(teacher.detach()))
    return F.smooth_l1_loss(relations.mean_scaled(relations.distances(student)), target)


def rkd_angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """RKD-A of embeddings [B, D_S] and [B, D_T]."""
    target = relations.squared_distances(teacher.detach())
    return relations.angle_loss(relations.squared_distances(student), target)


@register("rkd_d", distance=25.0, angle=0.0)
@register("rkd_a", distance=0.0, angle=50.0)
@register("rkd_da", distance=25.0, angle=50.0)
class RelationalKD(Method):
    """Relational knowledge distillation (Park, Kim, Lu & Cho, CVPR 2019, arXiv:1904.05068).

        RKD-D: mean_ij  huber(d_S(i, j) / mu_S - d_T(i, j) / mu_T)
        RKD-A: mean_ijk huber(cos_S(i, j, k) - cos_T(i, j, k))

    d: Euclidean distance of embeddings [B, D]; mu: its mean over i != j; cos: of the angle at vertex j between i and k;
    huber: smooth L1. The means run over all B^2 pairs and B^3 triplets, degenerate ones included, as in the authors'
    code. Widths may differ.

    Defaults: 25 and 50, the authors' for classification, on raw embeddings (RepDistiller, and the tables that others
    compare with); `normalize` projects embeddings onto the unit sphere first, as the authors' classification code does.

    Deviations: coincident samples have distance 0 and no gradient, where the authors' code gives 1e-6 for the distance
    and gradients up to 5e7 for the angle; a batch of one sample gives 0 instead of NaN.
    """

    reads: ClassVar[frozenset[Tap]] = frozenset({"embedding"})
    vanishes_at_teacher: ClassVar[bool] = True

    def __init__(self, task: Task, *, distance: float, angle: float, normalize: bool = False) -> None:
        super().__init__(task)
        at_least("distance", distance)
        at_least("angle", angle)
        self.distance, self.angle, self.normalize = distance, angle, normalize

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        pair = student.embedding, teacher.embedding
        if self.normalize:
            pair = relations.normalize(pair[0]), relations.normalize(pair[1])
        loss = student.embedding.new_zeros(())
        if self.distance:
            loss = loss + self.distance * rkd_distance_loss(*pair)
        if self.angle:
            loss = loss + self.angle * rkd_angle_loss(*pair)
        return loss
