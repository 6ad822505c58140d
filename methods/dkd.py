"""Decoupled knowledge distillation: the labelled class against the rest, and the rest among themselves."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, Outputs, Task, register
from methods.kd import unequal_classes
from methods.options import at_least, positive
from methods.relations import rows, standardized
from methods.warmup import ramp


def dkd_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 4.0, alpha: float = 1.0, beta: float = 8.0
) -> Tensor:
    """T^2 (alpha KL of (p_y, 1 - p_y) + beta KL of the classes but y), teacher || student, the mean over the batch, of
    logits [B, K] softened by the temperature T and labels y [B]."""
    ours, theirs = (split(rows(x) / temperature, labels) for x in (student, teacher.detach()))
    binary = [torch.stack([F.logsigmoid(odds), F.logsigmoid(-odds)], 1) for odds, _ in (ours, theirs)]
    others = [logits.log_softmax(1) for _, logits in (ours, theirs)]
    target, rest = (F.kl_div(s, t, reduction="batchmean", log_target=True) for s, t in (binary, others))
    return temperature**2 * (alpha * target + beta * rest)


def split(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Of logits [B, K] the log-odds [B] of the labelled class against all others, and the others' logits [B, K - 1]."""
    places = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = logits.gather(1, places + (places >= labels[:, None]))
    return logits.gather(1, labels[:, None])[:, 0] - others.logsumexp(1), others


@register("dkd")
class DecoupledKD(Method):
    """Decoupled knowledge distillation (Zhao et al., CVPR 2022, arXiv:2203.08679).

        ramp * T^2 * mean_B [ alpha * KL(b_T || b_S) + beta * KL(q_T || q_S) ]

    b = (p_y, 1 - p_y), p = softmax(logits [B, K] / T), y: the label; q: softmax of logits / T over the classes but y;
    ramp: (epoch + 1) / warmup, at most 1, with epochs from 0. `standardize` centres each image's logits and divides
    them by their standard deviation first (Sun et al., CVPR 2024, arXiv:2403.01427; theirs is T = 2, alpha 9, beta 72).

    Defaults: alpha 1, beta 8, T = 4 and 20 epochs, the authors' (megvii-research/mdistiller); they choose beta by pair,
    between 2 and 8, for CIFAR-100. `warmup` is of a schedule of 240 epochs, and in proportion in others. Deviation:
    log-odds and log-softmax of the other classes alone, where the authors' probabilities underflow for logits more than
    100 T apart.
    """

    label = "DKD"
    reads = frozenset({"logits"})
    vanishes_at_teacher = True
    memory_order = 1

    def __init__(
        self,
        task: Task,
        *,
        alpha: float = 1.0,
        beta: float = 8.0,
        temperature: float = 4.0,
        warmup: float = 20.0,
        standardize: bool = False,
    ) -> None:
        super().__init__(task)
        positive("dkd", temperature=temperature)
        at_least(0, "dkd", alpha=alpha, beta=beta, warmup=warmup)
        self.alpha, self.beta, self.temperature, self.standardize = alpha, beta, temperature, standardize
        self.warmup, self.epochs = warmup, task.epochs

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        logits = (student.logits, teacher.logits)
        ours, theirs = (standardized(x) for x in logits) if self.standardize else logits
        loss = dkd_loss(ours, theirs, batch.labels, self.temperature, self.alpha, self.beta)
        return ramp(batch.epoch, self.warmup, self.epochs).to(loss.dtype) * loss

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return unequal_classes(task)
