"""Contrastive representation distillation: a sample's two embeddings against those of many other images."""

from typing import Any

import torch
from torch import Tensor, nn

from methods import relations
from methods.base import Batch, Method, Outputs, Task, register
from methods.memory import WIDTH, Bank, Negatives, one_class
from methods.options import at_least, fraction

EPSILON = 1e-7


def nce_loss(ratios: Tensor, share: float) -> Tensor:
    """Noise-contrastive loss of ratios s [B, 1 + K], the positive's first, over the negatives' share c = K / N of all
    images: the mean over the batch of -log s_0 / (s_0 + c) - sum_k log c / (s_k + c)."""
    matched, others = ratios[:, 0], ratios[:, 1:]
    found = torch.log(matched / (matched + share + EPSILON))
    return (torch.log1p((others + EPSILON) / share).sum(1) - found).mean()


@register("crd")
class ContrastiveRepresentationDistillation(Method):
    """Contrastive representation distillation (Tian, Krishnan & Isola, ICLR 2020, arXiv:1910.10699).

        weight * mean_i,networks [ -log s_i / (s_i + c) + sum_k log (1 + s_k / c) ],   s_j = exp(<u_i, m_j> / T) / Z

    u: embeddings [B, D] through a linear map to 128, of unit length; m: the other network's memory [N, 128], with a row
    for every training image; k: `negatives` images of other classes than i's, c their number over N; Z: N times the
    first batch's mean of the exponential. After every step the rows of its images move to the embeddings by
    1 - `momentum`. Both linear maps are trained.

    Defaults: weight 0.8, 16,384 negatives, T = 0.07, momentum 0.5, those of the authors (HobbitLong/RepDistiller) at
    50,000 images. For fewer, what matters is c.

    Deviations: negatives are drawn anew for every image and step with replacement, by the authors without as long as
    there are enough; memories and Z start from this run's seed. Scores of all rows and a gather take [B, N] instead of
    [B, K, 128].
    """

    label = "CRD"
    reads = frozenset({"embedding"})
    memory_order = 1
    normalisers: Tensor

    def __init__(
        self,
        task: Task,
        *,
        weight: float = 0.8,
        negatives: int = 16384,
        temperature: float = 0.07,
        momentum: float = 0.5,
    ) -> None:
        super().__init__(task)
        ours, theirs = task.pair
        at_least(0, "crd", weight=weight)
        fraction("crd", momentum=momentum)
        at_least(1, "crd", negatives=negatives)
        at_least(1 / 64, "crd", temperature=temperature)  # exponentials of float32 overflow a little below
        images = len(task.labels)
        self.weight, self.temperature, self.share = weight, temperature, negatives / images
        self.student_embedding = nn.Linear(ours.embedding, WIDTH)
        self.teacher_embedding = nn.Linear(theirs.embedding, WIDTH)
        self.student_bank, self.teacher_bank = Bank(images, momentum), Bank(images, momentum)
        self.negatives = Negatives(task.labels, negatives)
        self.register_buffer("normalisers", torch.zeros(2))  # 0 until the first batch
        self._embedded: tuple[Tensor, Tensor] | None = None

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        ours = relations.normalize(self.student_embedding(student.embedding))
        theirs = relations.normalize(self.teacher_embedding(teacher.embedding.detach()))
        candidates = torch.cat([batch.index[:, None], self.negatives(batch)], 1)
        scores = self.teacher_bank.scores(ours, candidates), self.student_bank.scores(theirs, candidates)
        self._embedded = ours.detach(), theirs.detach()
        terms = [nce_loss(self._ratios(i, each), self.share) for i, each in enumerate(scores)]
        return self.weight * torch.stack(terms).sum()

    def _ratios(self, network: int, scores: Tensor) -> Tensor:
        """Exponentials [B, 1 + K] over what they sum to over all images, by the first batch's estimate."""
        exponentials, known = (scores / self.temperature).exp(), self.normalisers[network]
        fresh = exponentials.detach().mean() * len(self.student_bank.rows)
        normaliser = torch.where(known > 0, known, fresh)
        with torch.no_grad():
            self.normalisers[network] = normaliser
        return exponentials / normaliser

    def after_step(self, student: nn.Module, batch: Batch) -> None:
        if self._embedded is not None:  # phases of a composition's other parts do not come to `forward`
            self.student_bank.follow(batch.index, self._embedded[0])
            self.teacher_bank.follow(batch.index, self._embedded[1])
            self._embedded = None

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return one_class(task)
