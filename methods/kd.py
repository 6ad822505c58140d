"""Knowledge distillation: softened probabilities."""

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, Outputs, Scalar, Task, register
from methods.options import at_least, positive
from methods.relations import rows, standardized


def kd_loss(student: Tensor, teacher: Tensor, temperature: float = 4.0, t_squared: bool = True) -> Tensor:
    """T^2 KL(teacher || student), the mean over the batch, of logits [B, K] softened by the temperature T; without the
    factor T^2 if not `t_squared`."""
    log_student = F.log_softmax(rows(student) / temperature, dim=1)
    soft_teacher = F.softmax(rows(teacher.detach()) / temperature, dim=1)
    divergence = F.kl_div(log_student, soft_teacher, reduction="batchmean")
    return temperature**2 * divergence if t_squared else divergence


def unequal_classes(task: Task) -> str | None:
    """Why logits cannot be compared, or None."""
    if task.teacher and task.teacher.classes != task.student.classes:
        return f"the teacher has {task.teacher.classes} classes, the student {task.student.classes}"
    return None


@register("kd")
class KnowledgeDistillation(Method):
    """Distilling the knowledge in a neural network (Hinton, Vinyals & Dean, NIPS workshop 2014, arXiv:1503.02531).

        ce * CE + weight * T^2 * mean_B KL(p_T || p_S),   p = softmax(logits [B, K] / T)

    Defaults: 0.1 CE + 0.9 KD at T = 4, those of the table that later work compares with (Tian et al., ICLR 2020,
    arXiv:1910.10699; RepDistiller). As one term of a composition the paper's plain sum, CE + T^2 KL, is used.
    `t_squared = false` leaves the factor T^2 out, as some published code does: the same as a weight T^2 times smaller.
    `standardize` centres each image's logits and divides them by their standard deviation first (Sun et al., CVPR 2024,
    arXiv:2403.01427; theirs is T = 2 and weight 9, beside 0.1 CE, and 1e-7 on the deviation), a row of equal logits to
    0, without gradient.
    """

    reads = frozenset({"logits"})
    vanishes_at_teacher = True
    memory_order = 1
    added = frozenset({"standardize"})
    composed: ClassVar[dict[str, Scalar]] = {"ce": 1.0, "weight": 1.0}
    alone = frozenset({"ce"})

    def __init__(
        self,
        task: Task,
        *,
        temperature: float = 4.0,
        ce: float = 0.1,
        weight: float = 0.9,
        t_squared: bool = True,
        standardize: bool = False,
    ) -> None:
        super().__init__(task)
        positive("kd", temperature=temperature)
        at_least(0, "kd", ce=ce, weight=weight)
        self.temperature, self.ce_weight, self.weight, self.t_squared = temperature, ce, weight, t_squared
        self.standardize = standardize

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        logits = (student.logits, teacher.logits)
        ours, theirs = (standardized(x) for x in logits) if self.standardize else logits
        return self.weight * kd_loss(ours, theirs, self.temperature, self.t_squared)

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return unequal_classes(task)
