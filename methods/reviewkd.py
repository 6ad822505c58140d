"""Knowledge review: the student's later stages, fused backwards, against the teacher's earlier ones."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, Method, Outputs, Task, register
from methods.connectors import BatchNorm, Conv2d, pooled
from methods.options import at_least
from methods.warmup import ramp

STAGES = 3
MOST = 512
"""Channels that levels are fused in, at most."""
LEVELS = (4, 2, 1)
"""Sizes that maps are averaged to, where they are larger."""


def hierarchical_context_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error of maps [B, C, H, W], and of their averages to 4, 2 and 1 pixels a side where these are fewer,
    each weighing half of the one before; the weighted mean."""
    teacher = teacher.detach()
    loss, total, weight = F.mse_loss(student, teacher), 1.0, 1.0
    for side in LEVELS:
        if side < student.shape[2]:
            weight /= 2
            size = (side, side)
            loss = loss + weight * F.mse_loss(pooled(student, size), pooled(teacher, size))
            total += weight
    return loss / total


class Fusion(nn.Module):
    """One level: the student's map joined with what the level behind it handed on."""

    def __init__(self, channels: int, width: int, target: int, size: tuple[int, int], first: bool) -> None:
        """channels: the student's; width: of what is handed on; target, size: the teacher's channels, H and W."""
        super().__init__()
        self.size = size
        narrowing = Conv2d(channels, width, 1, bias=False)
        widening = Conv2d(width, target, 3, padding=1, bias=False)
        self.narrow = nn.Sequential(narrowing, BatchNorm(width))
        self.widen = nn.Sequential(widening, BatchNorm(target))
        self.gates = None if first else nn.Sequential(Conv2d(2 * width, 2, 1), nn.Sigmoid())
        for convolution in (narrowing, widening):
            nn.init.kaiming_uniform_(convolution.weight, a=1)

    def forward(self, maps: Tensor, behind: Tensor | None) -> tuple[Tensor, Tensor]:
        """What is compared, [B, target, *size], and what is handed on, [B, width, *size]."""
        x: Tensor = self.narrow(maps)
        if self.gates is not None and behind is not None:
            behind = F.interpolate(behind, (x.shape[2], x.shape[3]), mode="nearest")
            gates = self.gates(torch.cat([x, behind], 1))
            x = x * gates[:, :1] + behind * gates[:, 1:]
        if x.shape[2:] != self.size:
            x = F.interpolate(x, self.size, mode="nearest")
        return self.widen(x), x


@register("reviewkd")
class KnowledgeReview(Method):
    """Distilling knowledge via knowledge review (Chen, Liu, Zhao & Jia, CVPR 2021, arXiv:2104.09044).

        ramp * weight * sum_levels hcl(Y, F_T)

    Levels, from the back: the embedding as a map of one pixel, and the last maps [B, C, H, W] of the last three stages,
    the teacher's before their last activation. x = BN(conv 1x1(F_S)), from the second level on mixed with the level
    behind, enlarged, by two gates at each position, and brought to the teacher's size; Y = BN(conv 3x3(x)) with the
    teacher's channels. hcl: the mean squared error at full size and averaged to 4, 2 and 1 pixels a side, weighing 1,
    1/2, 1/4, 1/8 over their sum. ramp: (epoch + 1) / warmup, at most 1, with epochs from 0.

    Defaults: weight 5 and 20 epochs of warm-up, those of mdistiller (megvii-research), whose batches and learning rate
    are the published protocol's; the authors (dvlab-research/ReviewKD) train with batches of 128 and weights of 0.6 to
    8 by pair, and begin with a ramp of 0. `warmup` is of a schedule of 240 epochs, and in proportion in others.
    """

    label = "ReviewKD"
    reads = frozenset({"maps", "preacts", "embedding"})
    memory_order = 1
    precision = "autocast"

    def __init__(self, task: Task, *, weight: float = 5.0, warmup: float = 20.0) -> None:
        super().__init__(task)
        pair = task.pair
        if reason := task.lacks_stages(STAGES):
            raise ValueError(f"reviewkd: {reason}")
        at_least(0, "reviewkd", weight=weight, warmup=warmup)
        self.weight, self.warmup, self.epochs = weight, warmup, task.epochs
        levels = [((s.embedding, 1, 1), *s.stages(STAGES)[::-1]) for s in pair]
        width = min(MOST, levels[0][1][0])
        self.fusions = nn.ModuleList(
            Fusion(ours[0], width, theirs[0], theirs[1:], first=level == 0)
            for level, (ours, theirs) in enumerate(zip(*levels, strict=True))
        )

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        targets = [teacher.embedding[:, :, None, None], *teacher.preact_stages(STAGES)[::-1]]
        maps = [student.embedding[:, :, None, None], *student.stages(STAGES)[::-1]]
        behind, terms = None, []
        for fusion, ours, theirs in zip(self.fusions, maps, targets, strict=True):
            compared, behind = fusion(ours, behind)
            terms.append(hierarchical_context_loss(compared, theirs))
        loss = torch.stack(terms).sum()
        return (self.weight * ramp(batch.epoch, self.warmup, self.epochs)).to(loss.dtype) * loss

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return task.lacks_stages(STAGES)
