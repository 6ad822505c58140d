"""Softmax regression representation learning: the student's embedding, as the teacher's and through its classifier."""

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, Method, Outputs, Scalar, Task, register
from methods.connectors import BatchNorm, Conv2d
from methods.kd import kd_loss, unequal_classes
from methods.options import at_least, positive


@register("srrl")
class SoftmaxRegression(Method):
    """Knowledge distillation via softmax regression representation learning (Yang et al., ICLR 2021).

        weight * [ mean (h - e_T)^2 + mean (W_T h + b_T - z_T)^2 ] + kd * T^2 KL(p_T || p_S),   h = relu(BN(A e_S))

    e: embeddings [B, D]; z: logits [B, K]; W_T, b_T: the teacher's classifier, frozen; A: a linear map to the teacher's
    width, trained with the student; p: softmax(z / T).

    Defaults: weight 1 and KD with weight 1 at T = 4 beside the cross-entropy, those of DefangChen/SimKD; in a
    composition `kd` is 0, since it can be named there. The authors' ImageNet code (jingyang2017/KD_SRRL) has no KD and
    compares means of maps over positions. h reaches no negative value.
    """

    label = "SRRL"
    reads = frozenset({"embedding", "logits"})
    memory_order = 1
    composed: ClassVar[dict[str, Scalar]] = {"kd": 0.0}

    def __init__(self, task: Task, *, weight: float = 1.0, kd: float = 1.0, temperature: float = 4.0) -> None:
        super().__init__(task)
        if task.teacher is None or task.classifier is None:
            raise ValueError("srrl needs a teacher")
        at_least(0, "srrl", weight=weight, kd=kd)
        positive("srrl", temperature=temperature)
        self.weight, self.kd, self.temperature = weight, kd, temperature
        widths = task.student.embedding, task.teacher.embedding
        self.connector = nn.Sequential(Conv2d(*widths, 1, bias=False), BatchNorm(widths[1]), nn.ReLU())
        self.classifier = task.classifier.requires_grad_(False)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        lifted = self.connector(student.embedding[:, :, None, None]).flatten(1)
        features = F.mse_loss(lifted, teacher.embedding.detach())
        regression = F.mse_loss(self.classifier.eval()(lifted), teacher.logits.detach())
        term = self.weight * (features + regression)
        if self.kd:
            term = term + self.kd * kd_loss(student.logits, teacher.logits, self.temperature)
        return term

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return unequal_classes(task)
