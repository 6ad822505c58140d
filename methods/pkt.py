"""Probabilistic knowledge transfer: how likely each sample is to pick each other as its neighbour."""

import torch
from torch import Tensor

from methods import relations
from methods.base import Batch, Method, Outputs, Task, register
from methods.options import at_least

EPSILON = 1e-7


def neighbour_probabilities(features: Tensor, epsilon: float = EPSILON) -> Tensor:
    """[B, B], rows that sum to 1, of features [B, D], whose norms `epsilon` is added to: cosines, shifted to [0, 1], as
    shares of their row."""
    products = relations.gram(features)
    inverse = relations.inverse_root(products.diagonal())
    inverse = inverse / (1 + epsilon * inverse)
    similarity = (inverse[:, None] * products * inverse + 1) / 2
    return similarity / similarity.sum(1, keepdim=True)


def pkt_loss(student: Tensor, teacher: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Mean over B^2 of p_T log (p_T / p_S), the probabilities of embeddings [B, D_S] and [B, D_T] raised by `epsilon`
    inside the logarithm."""
    target, probability = (neighbour_probabilities(x, epsilon) for x in (teacher.detach(), student))
    return (target * torch.log((target + epsilon) / (probability + epsilon))).mean()


@register("pkt")
class ProbabilisticKnowledgeTransfer(Method):
    """Learning deep representations with probabilistic knowledge transfer (Passalis & Tefas, ECCV 2018).

        weight / B^2 * sum_ij p_T(i, j) log (p_T(i, j) / p_S(i, j)),   p(i, j) = k(i, j) / sum_j k(i, j)

    arXiv:1803.10837. k: (1 + cos) / 2 of embeddings [B, D]; the diagonal is kept. Widths may differ. A mean over pairs
    of rows that sum to 1 falls as 1 / B, so that the weight belongs to a batch of 64.

    Defaults: weight 30000, RepDistiller's, beside the cross-entropy, and 1e-7 added to norms and inside the logarithm,
    the authors', who transfer without labels (passalis/probabilistic_kt). Deviation: a zero embedding has cosine 0 and
    no gradient, where the authors' code gives NaN.
    """

    label = "PKT"
    reads = frozenset({"embedding"})
    vanishes_at_teacher = True

    def __init__(self, task: Task, *, weight: float = 30000.0) -> None:
        super().__init__(task)
        at_least(0, "pkt", weight=weight)
        self.weight = weight

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return self.weight * pkt_loss(student.embedding, teacher.embedding)
