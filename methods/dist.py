"""Knowledge distillation from a stronger teacher: correlations of predictions, by image and by class."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from methods import relations
from methods.base import Batch, Method, Outputs, Task, register
from methods.kd import unequal_classes
from methods.options import at_least, positive


def correlation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - Pearson's correlation, the mean over rows, of [R, D] and [R, D]; constant rows correlate with nothing."""
    return 1 - (relations.centred(student) * relations.centred(teacher.detach())).sum(1).mean()


def dist_loss(
    student: Tensor, teacher: Tensor, temperature: float = 4.0, inter: float = 1.0, intra: float = 1.0
) -> Tensor:
    """Of logits [B, K] of both, softened by the temperature T: T^2 times the correlation losses within images, `inter`,
    and within classes over the batch, `intra`."""
    p, q = (F.softmax(relations.rows(x) / temperature, dim=1) for x in (student, teacher))
    return temperature**2 * (inter * correlation_loss(p, q) + intra * correlation_loss(p.T, q.T))


@register("dist")
class DIST(Method):
    """Knowledge distillation from a stronger teacher (Huang et al., NeurIPS 2022, arXiv:2205.10536).

        weight * T^2 * (inter * mean_i (1 - rho(p_S[i, :], p_T[i, :])) + intra * mean_c (1 - rho(p_S[:, c], p_T[:, c])))

    p: softmax(logits / T) [B, K]; rho: Pearson's correlation, of an image's probabilities over classes (inter) and of a
    class's over the batch (intra).

    Defaults: weight 2, inter and intra 1, T = 4, the authors' for CIFAR-100 (hunto/DIST_KD); for ImageNet they use
    T = 1. Deviation: where probabilities do not vary their correlation is 0, without gradient, where the authors'
    divide by 1e-8.
    """

    label = "DIST"
    reads = frozenset({"logits"})
    vanishes_at_teacher = True
    memory_order = 1

    def __init__(
        self, task: Task, *, weight: float = 2.0, inter: float = 1.0, intra: float = 1.0, temperature: float = 4.0
    ) -> None:
        super().__init__(task)
        positive("dist", temperature=temperature)
        at_least(0, "dist", weight=weight, inter=inter, intra=intra)
        self.weight, self.inter, self.intra, self.temperature = weight, inter, intra, temperature

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return self.weight * dist_loss(student.logits, teacher.logits, self.temperature, self.inter, self.intra)

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return unequal_classes(task)
