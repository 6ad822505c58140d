"""SimKD: the student's map brought to the teacher's, and the teacher's classifier reused."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, Method, Outputs, Task, register
from methods.connectors import BatchNorm, Conv2d, pooled, statistics_kept
from methods.kd import unequal_classes
from methods.options import at_least


def projector(channels: int, target: int, factor: int) -> nn.Sequential:
    """1x1, 3x3 and 1x1 convolutions, through target / factor channels, each with batch normalisation and ReLU."""
    layers, width = nn.Sequential(), max(1, target // factor)
    for ins, outs, kernel in ((channels, width, 1), (width, width, 3), (width, target, 1)):
        convolution = Conv2d(ins, outs, kernel, padding=kernel // 2, bias=False)
        layers.extend([convolution, BatchNorm(outs), nn.ReLU()])
    return layers


@register("simkd")
class ReusedClassifier(Method):
    """Knowledge distillation with the reused teacher classifier (Chen et al., CVPR 2022, arXiv:2203.14001).

        weight * mean (P(M_S) - M_T)^2,   prediction = the teacher's classifier of the mean of P(M_S) over positions

    M: the input of pooling, [B, C, H, W], the higher one averaged to the other's size; P: three convolutions with batch
    normalisation and ReLU, through the teacher's channels over `factor`, trained with the student. P and the classifier
    are deployed and count in the student's budgets; its own classifier is not trained, and labels are not used.

    Defaults: weight 1, factor 2, no cross-entropy, the authors' (DefangChen/SimKD). Their classifier has to read the
    mean of the map: n/a for teachers that put something between. Deviation: they tap the last stage, which in wide
    ResNets, ShuffleNetV2 and MobileNetV2 is not what is pooled. A ReLU ends P, as published,
    which reaches no negative value.
    """

    label = "SimKD"
    reads = frozenset({"pooled_map"})
    memory_order = 1
    precision = "autocast"
    ce_weight = 0.0

    def __init__(self, task: Task, *, weight: float = 1.0, factor: int = 2) -> None:
        super().__init__(task)
        if task.teacher is None or task.classifier is None:
            raise ValueError("simkd needs a teacher")
        at_least(0, "simkd", weight=weight)
        at_least(1, "simkd", factor=factor)
        self.weight = weight
        ours, theirs = task.student.pooled_map, task.teacher.pooled_map
        self.size = theirs[1:] if ours[1] > theirs[1] else ours[1:]
        self.projector = projector(ours[0], theirs[0], factor)
        self.classifier = task.classifier.requires_grad_(False)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        with statistics_kept(self.projector):  # the prediction took this batch's
            projected = self.projected(student)
        return self.weight * F.mse_loss(projected, pooled(teacher.pooled_map.detach(), self.size))

    def projected(self, student: Outputs) -> Tensor:
        """The student's map as the teacher's, [B, C_T, H, W]."""
        maps: Tensor = self.projector(pooled(student.pooled_map, self.size))
        return maps

    def predict(self, student: Outputs) -> Tensor:
        logits: Tensor = self.classifier.eval()(self.projected(student).mean((2, 3)))
        return logits

    def deployed(self) -> tuple[nn.Module, ...]:
        return self.projector, self.classifier

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        if task.teacher and not task.teacher.averaged:
            return "the teacher's classifier does not read the mean of the map that it pools"
        return unequal_classes(task)
