"""Correlation congruence: how the differences between student and teacher agree over samples, and kernels of both."""

import math

import torch
from torch import Tensor, nn

from methods import relations
from methods.base import Batch, Method, Outputs, Task, register
from methods.options import at_least, one_of

PAIRS = ("all", "consecutive")


def congruence_loss(student: Tensor, teacher: Tensor, pairs: str = "all") -> Tensor:
    """Mean inner product of g_i and g_j, g = |student - teacher| of embeddings [B, D] of one width, over all pairs
    i != j of samples, or over those that follow each other in the batch; 0 for one sample. Both receive gradients."""
    size, gap = len(student), (relations.rows(student) - relations.rows(teacher)).abs()
    if pairs == "consecutive":
        return (gap[1:] * gap[:-1]).sum() / max(size - 1, 1)
    return (gap.sum(0).square().sum() - gap.square().sum()) / max(size * (size - 1), 1)


def kernel_loss(student: Tensor, teacher: Tensor, gamma: float = 0.4, order: int = 2) -> Tensor:
    """Mean squared difference of the kernels [B, B] of embeddings [B, D_S] and [B, D_T]."""
    return (kernel(student, gamma, order) - kernel(teacher.detach(), gamma, order)).square().mean()


def kernel(features: Tensor, gamma: float, order: int) -> Tensor:
    """Gaussian kernel exp(-gamma |a - b|^2) [B, B] of normalised features [B, D], its exponential of the cosine
    expanded to `order`."""
    cosine = relations.cosine_similarities(features)
    terms = [(2 * gamma) ** power / math.factorial(power) * cosine**power for power in range(order + 1)]
    return math.exp(-2 * gamma) * torch.stack(terms).sum(0)


@register("cc")
class CorrelationCongruence(Method):
    """Correlation congruence for knowledge distillation (Peng et al., ICCV 2019, arXiv:1904.01802), without kernels.

        weight / (B (B - 1)) * sum_i!=j g_i . g_j,   g = | P_S e_S - P_T e_T |, elementwise

    e: embeddings [B, D]; P: linear maps to `width`, both trained with the student, so that equal outputs of both cost
    nothing whatever they say of the images. Widths may differ.

    Defaults: weight 0.02 and width 128, those of the code that the authors gave to RepDistiller; it has neither the
    paper's kernel, which is `cc_kernel`, nor its sampling of classes.

    Deviation: RepDistiller takes the pairs that follow each other in the batch, whose order is chance; the mean over
    all pairs is its expectation over orders, with the same expected gradient and less noise. `pairs = "consecutive"` is
    RepDistiller's. A batch of one sample gives 0 instead of NaN.
    """

    label = "CC"
    reads = frozenset({"embedding"})
    memory_order = 1

    def __init__(self, task: Task, *, weight: float = 0.02, width: int = 128, pairs: str = "all") -> None:
        super().__init__(task)
        student, teacher = task.pair
        at_least(0, "cc", weight=weight)
        at_least(1, "cc", width=width)
        one_of(PAIRS, "cc", pairs=pairs)
        self.weight, self.pairs = weight, pairs
        self.student_projection = nn.Linear(student.embedding, width)
        self.teacher_projection = nn.Linear(teacher.embedding, width)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        projected = self.student_projection(student.embedding)
        target = self.teacher_projection(teacher.embedding.detach())
        return self.weight * congruence_loss(projected, target, self.pairs)


@register("cc_kernel")
class KernelCongruence(Method):
    """Correlation congruence for knowledge distillation (Peng et al., ICCV 2019, arXiv:1904.01802), the kernels alone.

        weight / B^2 * || K_S - K_T ||_F^2,   K = exp(-2 gamma) * sum_p=0..order (2 gamma cos)^p / p!

    cos: cosines [B, B] of embeddings [B, D]; K is the Gaussian kernel of normalised embeddings, its exponential
    expanded. Widths may differ.

    Defaults: weight 100, gamma 0.4, order 2, those of AberHu/Knowledge-Distillation-Zoo; the authors' code of this form
    was not found. Deviation: a zero embedding has cosine 0 and no gradient, where dividing by 1e-12 gives 1e9.
    """

    label = "CC (kernel)"
    reads = frozenset({"embedding"})
    vanishes_at_teacher = True

    def __init__(self, task: Task, *, weight: float = 100.0, gamma: float = 0.4, order: int = 2) -> None:
        super().__init__(task)
        at_least(0, "cc_kernel", weight=weight, gamma=gamma)
        at_least(1, "cc_kernel", order=order)
        self.weight, self.gamma, self.order = weight, gamma, order

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return self.weight * kernel_loss(student.embedding, teacher.embedding, self.gamma, self.order)
