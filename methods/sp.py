"""Similarity-preserving knowledge distillation: the batch's Gram matrix."""

from typing import Any

import torch
from torch import Tensor

from methods import relations
from methods.base import Batch, Method, Outputs, Task, register
from methods.options import at_least


def sp_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the row-normalised Gram matrices [B, B] of maps [B, ...]."""
    target = relations.normalize(relations.gram(teacher.detach()))
    return (relations.normalize(relations.gram(student)) - target).square().mean()


@register("sp")
class SimilarityPreserving(Method):
    """Similarity-preserving knowledge distillation (Tung & Mori, ICCV 2019, arXiv:1907.09682).

        weight / B^2 * sum_stages || G_T - G_S ||_F^2,   G = F F^T with rows divided by their L2 norm

    F: the last map [B, C, H, W] of each of the last `stages` stages, flattened to [B, CHW]; widths and sizes may
    differ. Gram matrices are neither centred nor cosines, so that samples with long features dominate each row, and the
    diagonal is kept.

    Defaults: weight 3000 and the last map alone, as in RepDistiller, whose form the first author verified (the authors
    published no code); the paper's sum is over any pairs of layers. `average` takes the mean over stages, of three as
    AberHu/Knowledge-Distillation-Zoo does. Deviation: a sample whose map is zero receives no
    gradient instead of one divided by 1e-12.
    """

    reads = frozenset({"maps"})
    vanishes_at_teacher = True
    added = frozenset({"average"})

    def __init__(self, task: Task, *, weight: float = 3000.0, stages: int = 1, average: bool = False) -> None:
        super().__init__(task)
        at_least(0, "sp", weight=weight)
        at_least(1, "sp", stages=stages)
        self.weight, self.stages, self.average = weight, stages, average

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        stages = zip(student.stages(self.stages), teacher.stages(self.stages), strict=True)
        terms = torch.stack([sp_loss(s, t) for s, t in stages])
        return self.weight * (terms.mean() if self.average else terms.sum())

    @classmethod
    def unsupported(cls, task: Task, *, stages: int = 1, **options: Any) -> str | None:
        return task.lacks_stages(stages)
