"""FitNets: hints from an intermediate map."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, Method, Outputs, Tap, Task, register

STAGES = 3


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error of a regressed student map and a teacher map, both [B, C_T, H_T, W_T]."""
    return F.mse_loss(student, teacher.detach())


def connector(student: tuple[int, int], teacher: tuple[int, int]) -> Callable[[int, int], nn.Module] | None:
    """What maps size (H_S, W_S) to (H_T, W_T), to be called with the channels of both; None if nothing here does."""
    height, width = student
    if student == (2 * teacher[0], 2 * teacher[1]):
        return partial(nn.Conv2d, kernel_size=3, stride=2, padding=1)
    if teacher == (2 * height, 2 * width):
        return partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1)
    kernel = 1 + height - teacher[0], 1 + width - teacher[1]
    return partial(nn.Conv2d, kernel_size=kernel) if min(kernel) > 0 else None


@register("fitnet")
class FitNet(Method):
    """FitNets: hints for thin deep nets (Romero et al., ICLR 2015, arXiv:1412.6550), in one stage.

        weight * mean (R(F_S) - F_T)^2,   R = convolution, batch normalisation, ReLU

    F: the map [B, C, H, W] of `stage` 1, 2 or 3 of the last three stages. R, trained with the student, bridges widths
    and sizes: 3x3 with stride 2 where the student's map is twice as large, transposed 4x4 with stride 2 where it is
    half as large, otherwise a kernel of 1 + H_S - H_T without padding.

    Defaults: weight 100, the middle stage and the ReLU, as in RepDistiller; a rectified R cannot reach the negative
    part of maps such as the block sums of a WRN, `relu = false` lets it.

    Deviations: the paper trains the lower half on hints first and distils afterwards. RepDistiller counts stages from
    the front, which is another one (the second of four) in networks of more than three stages.
    """

    reads: ClassVar[frozenset[Tap]] = frozenset({"maps"})
    precision: ClassVar[Literal["float32", "autocast"]] = "autocast"

    def __init__(self, task: Task, *, weight: float = 100.0, stage: int = 2, relu: bool = True) -> None:
        super().__init__(task)
        if task.teacher is None:
            raise ValueError("fitnet needs a teacher")
        if reason := self.unsupported(task, stage=stage):
            raise ValueError(f"fitnet: {reason}")
        self.weight, self.index = weight, stage - 1
        student, teacher = task.student.stages(STAGES)[self.index], task.teacher.stages(STAGES)[self.index]
        convolution = connector(student[1:], teacher[1:])
        assert convolution is not None
        layers = [convolution(student[0], teacher[0]), nn.BatchNorm2d(teacher[0])]
        self.regressor = nn.Sequential(*layers, *([nn.ReLU()] if relu else []))

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        regressed = self.regressor(student.stages(STAGES)[self.index])
        return self.weight * hint_loss(regressed, teacher.stages(STAGES)[self.index])

    @classmethod
    def unsupported(cls, task: Task, *, stage: int = 2, **options: Any) -> str | None:
        if not 1 <= stage <= STAGES:
            raise ValueError(f"fitnet.stage = {stage} is not in 1, ..., {STAGES}")
        if task.teacher is None:
            return None
        if reason := task.lacks_stages(STAGES):
            return reason
        student, teacher = task.student.stages(STAGES)[stage - 1], task.teacher.stages(STAGES)[stage - 1]
        if connector(student[1:], teacher[1:]) is None:
            return f"no regressor maps {student[1]}x{student[2]} to {teacher[1]}x{teacher[2]}"
        return None
