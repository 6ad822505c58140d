"""Relational knowledge distillation: distances between samples and angles among triplets of samples."""

from typing import Any

import torch
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

    With `stages` n > 1 the term is its mean over n representations, as for `gkd`: the last maps [B, C, H, W] of the
    n - 1 stages before the last, flattened, and the embedding.

    Defaults: 25 and 50, the authors' for classification, on raw embeddings alone (RepDistiller, and the tables that
    others compare with); `normalize` projects onto the unit sphere first, as the authors' classification code does.
    RKD-D with three stages is what the authors of graph distillation compare with (cadurosar/graph_kd), but for their
    mean over i != j, which is B / (B - 1) times this one.

    Deviations: coincident samples have distance 0 and no gradient, where the authors' code gives 1e-6 for the distance
    and gradients up to 5e7 for the angle; a batch of one sample gives 0 instead of NaN.
    """

    reads = frozenset({"embedding"})
    vanishes_at_teacher = True
    added = frozenset({"stages"})

    def __init__(self, task: Task, *, distance: float, angle: float, normalize: bool = False, stages: int = 1) -> None:
        super().__init__(task)
        at_least(0, "rkd", distance=distance, angle=angle)
        at_least(1, "rkd", stages=stages)
        self.distance, self.angle, self.normalize, self.stages = distance, angle, normalize, stages

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        pairs = zip(student.depths(self.stages), teacher.depths(self.stages), strict=True)
        return torch.stack([self._term(*pair) for pair in pairs]).mean()

    def _term(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The weighted loss of one representation, [B, ...] of each network."""
        if self.normalize:
            student, teacher = (relations.normalize(relations.rows(x)) for x in (student, teacher))
        loss = student.new_zeros(())
        if self.distance:
            loss = loss + self.distance * rkd_distance_loss(student, teacher)
        if self.angle:
            loss = loss + self.angle * rkd_angle_loss(student, teacher)
        return loss

    @classmethod
    def reading(cls, *, stages: int = 1, **options: Any) -> frozenset[Tap]:
        return cls.reads if stages == 1 else cls.reads | {"maps"}

    @classmethod
    def unsupported(cls, task: Task, *, stages: int = 1, **options: Any) -> str | None:
        return task.lacks_stages(stages) if stages > 1 else None
