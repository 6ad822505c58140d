"""FitNets: hints from an intermediate map, in one stage or in two."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, Method, Outputs, Phase, Task, register
from methods.connectors import BatchNorm, Conv2d
from methods.kd import kd_loss, unequal_classes
from methods.options import at_least, positive

STAGES = 3


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error of a regressed student map and a teacher map, both [B, C_T, H_T, W_T]."""
    return F.mse_loss(student, teacher.detach())


def connector(student: tuple[int, int], teacher: tuple[int, int]) -> Callable[[int, int], nn.Module] | None:
    """What maps size (H_S, W_S) to (H_T, W_T), to be called with the channels of both; None if nothing here does."""
    height, width = student
    if student == (2 * teacher[0], 2 * teacher[1]):
        return partial(Conv2d, kernel_size=3, stride=2, padding=1)
    if teacher == (2 * height, 2 * width):
        return partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1)
    kernel = 1 + height - teacher[0], 1 + width - teacher[1]
    return partial(Conv2d, kernel_size=kernel) if min(kernel) > 0 else None


def unguided(name: str, task: Task, stage: int) -> str | None:
    """Why a stage of the teacher cannot guide the student's, or None."""
    if not 1 <= stage <= STAGES:
        raise ValueError(f"{name}.stage = {stage} is not in 1, ..., {STAGES}")
    if task.teacher is None:
        return None
    if reason := task.lacks_stages(STAGES):
        return reason
    student, teacher = (shapes.stages(STAGES)[stage - 1] for shapes in (task.student, task.teacher))
    if connector(student[1:], teacher[1:]) is None:
        return f"no regressor maps {student[1]}x{student[2]} to {teacher[1]}x{teacher[2]}"
    return None


def regression(task: Task, stage: int) -> tuple[nn.Module, int]:
    """The convolution that takes the student's map of a stage to the shape of the teacher's, and the latter's width."""
    student, teacher = (shapes.stages(STAGES)[stage - 1] for shapes in task.pair)
    convolution = connector(student[1:], teacher[1:])
    assert convolution is not None
    return convolution(student[0], teacher[0]), teacher[0]


@register("fitnet")
class FitNet(Method):
    """FitNets: hints for thin deep nets (Romero et al., ICLR 2015, arXiv:1412.6550), in one stage.

        weight * mean (R(F_S) - F_T)^2,   R = convolution, batch normalisation, ReLU

    F: the map [B, C, H, W] of `stage` 1, 2 or 3 of the last three stages. R, trained with the student, bridges widths
    and sizes: 3x3 with stride 2 where the student's map is twice as large, transposed 4x4 with stride 2 where it is
    half as large, otherwise a kernel of 1 + H_S - H_T without padding.

    Defaults: weight 100, the middle stage and the ReLU, as in RepDistiller; a rectified R cannot reach the negative
    part of maps such as the block sums of a WRN, `relu = false` lets it.

    Deviations: the paper trains the lower half on hints first and distils afterwards (`fitnet_two_stage`).
    RepDistiller counts stages from the front, which is another one (the second of four) in networks of more than three
    stages.
    """

    reads = frozenset({"maps"})
    memory_order = 1
    precision = "autocast"

    def __init__(self, task: Task, *, weight: float = 100.0, stage: int = 2, relu: bool = True) -> None:
        super().__init__(task)
        at_least(0, "fitnet", weight=weight)
        convolution, width = regression(task, stage)
        self.weight, self.index = weight, stage - 1
        self.regressor = nn.Sequential(convolution, BatchNorm(width), *([nn.ReLU()] if relu else []))

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        regressed = self.regressor(student.stages(STAGES)[self.index])
        return self.weight * hint_loss(regressed, teacher.stages(STAGES)[self.index])

    @classmethod
    def unsupported(cls, task: Task, *, stage: int = 2, **options: Any) -> str | None:
        return unguided("fitnet", task, stage)


@register("fitnet_two_stage")
class TwoStageFitNet(Method):
    """FitNets: hints for thin deep nets (Romero et al., ICLR 2015, arXiv:1412.6550), in the paper's two stages.

        hints:         H_T / 2 * mean (R(F_S) - F_T)^2,   R = convolution, ReLU
        main schedule: ce * CE + weight * mean_B KL(p_T || p_S),   p = softmax(logits [B, K] / T)

    F: the map [B, C, H, W] of `stage` 1, 2 or 3 of the last three stages. For the first `epochs` epochs the hints train
    the student up to that stage, and R, whose convolution is that of the one-stage form; then the student learns from
    labels and softened logits, the latter's weight falling linearly from `weight` to `last_weight`.

    Defaults: T = 3, weights 1 and 4 to 1, no factor T^2 (`t_squared` adds it) and the hints' scale of the authors' code
    (adri-romsor/FitNets), which sums squares over one spatial axis and averages over the others; 40 epochs of hints, in
    the protocol of Lee & Song (BMVC 2019), where the authors stop on a validation set; the middle stage, as in the
    one-stage form; `relu = false` for maps with negative values.

    Deviations: the authors' weight starts to fall after five epochs and the run ends before it has arrived; they use
    the cross-entropy with softened labels, which differs from KL by a constant, and bound the norm of R's kernels.
    """

    reads = frozenset({"logits", "maps"})
    memory_order = 1
    alone = frozenset({"ce"})

    def __init__(
        self,
        task: Task,
        *,
        epochs: int = 40,
        stage: int = 2,
        relu: bool = True,
        temperature: float = 3.0,
        ce: float = 1.0,
        weight: float = 4.0,
        last_weight: float = 1.0,
        t_squared: bool = False,
    ) -> None:
        super().__init__(task)
        positive("fitnet_two_stage", temperature=temperature)
        at_least(0, "fitnet_two_stage", epochs=epochs, ce=ce, weight=weight, last_weight=last_weight)
        convolution, _ = regression(task, stage)
        self.index = stage - 1
        self.regressor = nn.Sequential(convolution, *([nn.ReLU()] if relu else []))
        self.phases = (Phase(epochs, "both", self.hint),)
        self.temperature, self.t_squared = temperature, t_squared
        self.ce_weight, self.weight, self.last_weight = ce, weight, last_weight

    def hint(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        target = teacher.stages(STAGES)[self.index]
        return target.shape[2] / 2 * hint_loss(self.regressor(student.stages(STAGES)[self.index]), target)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        weight = self.weight + (self.last_weight - self.weight) * batch.progress
        return weight * kd_loss(student.logits, teacher.logits, self.temperature, self.t_squared)

    @classmethod
    def unsupported(cls, task: Task, *, stage: int = 2, **options: Any) -> str | None:
        return unguided("fitnet_two_stage", task, stage) or unequal_classes(task)
