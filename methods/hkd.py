"""Holistic knowledge distillation: samples and their neighbourhoods in a graph, contrasted across the networks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from methods import relations
from methods.base import Batch, Method, Outputs, Task, register
from methods.memory import WIDTH, Bank, Negatives, one_class
from methods.options import at_least, fraction, positive


def neighbourhoods(logits: Tensor, count: int) -> Tensor:
    """[B, B], rows that sum to 1: equal shares of the `count` samples with the most alike class probabilities, by their
    cosine; the sample itself is always one. Without gradient."""
    alike = relations.cosine_similarities(relations.rows(logits.detach()).softmax(1)).fill_diagonal_(2)
    nearest = alike.topk(min(count, len(alike)), dim=1).indices
    return torch.zeros_like(alike).scatter_(1, nearest, 1 / nearest.shape[1])


def info_nce_loss(positive: Tensor, negatives: Tensor, temperature: float = 0.07) -> Tensor:
    """-log softmax of the positive score [B] among the negative ones [B, K], over a temperature; the batch's mean."""
    scores = torch.cat([positive[:, None], negatives], 1) / temperature
    return (scores.logsumexp(1) - scores[:, 0]).mean()


class GraphConvolution(nn.Module):
    """A linear map of each node [B, D] beside the mean of its neighbourhood, of unit length: TAGConv with one hop (Du
    et al. 2017, arXiv:1710.10370) where all nodes have as many neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * WIDTH, WIDTH)
        nn.init.xavier_normal_(self.linear.weight, gain=2**0.5)

    def forward(self, nodes: Tensor, neighbourhood: Tensor) -> Tensor:
        return relations.normalize(self.linear(torch.cat([nodes, neighbourhood @ nodes], 1)))


class Side(nn.Module):
    """What one network brings: embeddings of its samples, those of their neighbourhoods, and its memory."""

    def __init__(self, width: int, images: int, momentum: float) -> None:
        super().__init__()
        self.embedding, self.graph = nn.Linear(width, WIDTH), GraphConvolution()
        self.bank = Bank(images, momentum)

    def forward(self, embedding: Tensor, logits: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
        nodes = relations.normalize(self.embedding(embedding))
        return nodes, self.graph(nodes, neighbourhoods(logits, neighbours))


@register("hkd")
class HolisticKnowledgeDistillation(Method):
    """Distilling holistic knowledge with graph neural networks (Zhou et al., ICCV 2021, arXiv:2108.05507).

        weight * sum_X [ nce(u_X; m_Y; n_X) + nce(v_X; unit(smoothing m_Y + (1 - smoothing) v_Y); n_X) ]

    X, Y: student and teacher, teacher and student; u: embeddings [B, D] through a linear map to 128, of unit length; v:
    the same of a graph convolution over each sample's `neighbours` nearest by class probabilities (logits [B, K],
    without gradient), itself among them; m_Y: the other network's memory of the sample itself; n_X: the own memory's
    rows [B, negatives, 128] of images of other classes; nce: InfoNCE at T, which has no positive among its negatives.
    After every step the rows of its images move to u by 1 - `momentum`.

    Defaults: weight 3, 16,384 negatives, 8 neighbours, T = 0.07, momentum 0.9 and smoothing 0.75, the authors'
    (wyc-ruiker/HKD), who hard-code the last three. Their negatives come from the own memory, their positives from the
    other's.

    Deviations: negatives are drawn with replacement, by the authors without as long as there are enough; in a batch of
    fewer than `neighbours` samples all are neighbours, where the authors leave the graph out and the memories unmoved.
    """

    label = "HKD"
    reads = frozenset({"embedding", "logits"})

    def __init__(
        self,
        task: Task,
        *,
        weight: float = 3.0,
        negatives: int = 16384,
        neighbours: int = 8,
        temperature: float = 0.07,
        momentum: float = 0.9,
        smoothing: float = 0.75,
    ) -> None:
        super().__init__(task)
        at_least(0, "hkd", weight=weight)
        fraction("hkd", momentum=momentum, smoothing=smoothing)
        at_least(1, "hkd", negatives=negatives, neighbours=neighbours)
        positive("hkd", temperature=temperature)
        self.weight, self.neighbours, self.temperature, self.smoothing = weight, neighbours, temperature, smoothing
        self.student_side, self.teacher_side = (Side(s.embedding, len(task.labels), momentum) for s in task.pair)
        self.negatives = Negatives(task.labels, negatives)
        self._embedded: tuple[Tensor, ...] = ()

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        ours = self.student_side(student.embedding, student.logits, self.neighbours)
        theirs = self.teacher_side(teacher.embedding.detach(), teacher.logits, self.neighbours)
        drawn, banks = self.negatives(batch), (self.student_side.bank, self.teacher_side.bank)
        self._embedded = ours[0].detach(), theirs[0].detach()
        student_terms = self._contrast(ours, banks[0].scores, self._targets(banks[1], theirs, batch), drawn)
        teacher_terms = self._contrast(theirs, banks[1].scores, self._targets(banks[0], ours, batch), drawn)
        return self.weight * (student_terms + teacher_terms)

    def _targets(self, bank: Bank, other: tuple[Tensor, Tensor], batch: Batch) -> tuple[Tensor, Tensor]:
        """The other network's positives for a sample and for its neighbourhood, [B, 128] each."""
        known = bank.rows[batch.index]
        smoothed = self.smoothing * known + (1 - self.smoothing) * other[1].detach()
        return known, relations.normalize(smoothed)

    def _contrast(
        self,
        embedded: tuple[Tensor, Tensor],
        scores: Callable[[Tensor, Tensor], Tensor],
        targets: tuple[Tensor, Tensor],
        drawn: Tensor,
    ) -> Tensor:
        """Both terms of one network, given how its memory scores embeddings against the drawn images."""
        pairs = zip(embedded, targets, strict=True)
        return torch.stack([info_nce_loss((x * t).sum(1), scores(x, drawn), self.temperature) for x, t in pairs]).sum()

    def after_step(self, student: nn.Module, batch: Batch) -> None:
        if self._embedded:  # phases of a composition's other parts do not come to `forward`
            self.student_side.bank.follow(batch.index, self._embedded[0])
            self.teacher_side.bank.follow(batch.index, self._embedded[1])
            self._embedded = ()

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return one_class(task)
