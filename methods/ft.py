"""Factor transfer: the teacher's last map, paraphrased by an autoencoder, and the student's, translated towards it."""

from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from methods import relations
from methods.base import Batch, Method, Outputs, Phase, Task, register
from methods.channels import attention, lacks_positions
from methods.connectors import BatchNorm, Conv2d, of_one_size
from methods.options import at_least, one_of, positive

FACTORS = ("attention", "flat")
SLOPE = 0.1
"""Of LeakyReLU, below 0."""


class Paraphraser(nn.Module):
    """An autoencoder of maps [B, C, H, W] with factors [B, K, H, W] in the middle."""

    def __init__(self, channels: int, factors: int) -> None:
        super().__init__()
        widths = (channels, channels, factors, factors)
        self.encoder, self.decoder = nn.Sequential(), nn.Sequential()
        for ins, outs in pairwise(widths):
            self.encoder.extend([Conv2d(ins, outs, 3, padding=1), nn.LeakyReLU(SLOPE)])
        for ins, outs in pairwise(reversed(widths)):
            self.decoder.extend([nn.ConvTranspose2d(ins, outs, 3, padding=1), nn.LeakyReLU(SLOPE)])

    def forward(self, maps: Tensor) -> Tensor:
        """The reconstruction of maps."""
        reconstructed: Tensor = self.decoder(self.encoder(maps))
        return reconstructed


class Translator(nn.Sequential):
    """Factors [B, K, H, W] of a student's maps [B, C, H, W]."""

    def __init__(self, channels: int, factors: int) -> None:
        super().__init__()
        for ins, outs in ((channels, channels), (channels, factors), (factors, factors)):
            self.extend([Conv2d(ins, outs, 3, padding=1), BatchNorm(outs), nn.LeakyReLU(SLOPE)])


def factor_loss(student: Tensor, teacher: Tensor, factors: str = "attention") -> Tensor:
    """Mean absolute difference of factors [B, K, H, W] of unit length: of their mean squares over K, [B, HW], or flat,
    [B, K HW]; the higher ones are averaged to the others' size first."""
    both = of_one_size(student, teacher.detach())
    ours, theirs = (attention(f) if factors == "attention" else relations.normalize(relations.rows(f)) for f in both)
    return (ours - theirs).abs().mean()


@register("ft")
class FactorTransfer(Method):
    """Network compression via factor transfer (Kim, Park & Kwak, NeurIPS 2018, arXiv:1802.04977).

        phase:         mean (D(E(F_T)) - F_T)^2
        main schedule: weight * mean | q(L(F_S)) - q(E(F_T)) |,   q(f) = unit(mean over channels of f^2)

    F: the last map [B, C, H, W]; E, D: three convolutions each, to `share` of the teacher's channels and back,
    transposed, each with a LeakyReLU behind it; learnt on the teacher alone for `epochs` and frozen; L: three
    convolutions with batch normalisation and LeakyReLU, trained with the student. Widths and sizes may differ. A last
    map of 1 x 1 is n/a, unless factors are flat: its attention is 1.

    Defaults: weight 200, half of the channels, 30 epochs at a learning rate of 0.01, RepDistiller's. `factors = "flat"`
    is the authors' loss (Jangho-Kim/Factor-Transfer-pytorch: weight 500, 5 epochs at 0.1, L without normalisation): q
    of all channels.

    Deviations: RepDistiller takes the recipe's rate for the phase of students that are no ResNets. A LeakyReLU ends the
    decoder, as published, and cannot follow large negative values of maps that no ReLU ends.
    """

    label = "FT"
    reads = frozenset({"maps"})
    memory_order = 1
    precision = "autocast"

    def __init__(
        self,
        task: Task,
        *,
        weight: float = 200.0,
        share: float = 0.5,
        epochs: int = 30,
        learning_rate: float = 0.01,
        factors: str = "attention",
    ) -> None:
        super().__init__(task)
        one_of(FACTORS, "ft", factors=factors)
        at_least(0, "ft", weight=weight, epochs=epochs)
        positive("ft", share=share, learning_rate=learning_rate)
        ours, theirs = (shapes.stages(1)[0][0] for shapes in task.pair)
        if (count := int(share * theirs)) < 1:
            raise ValueError(f"ft.share = {share:g} leaves none of the teacher's {theirs} channels")
        self.weight, self.factors = weight, factors
        self.paraphraser, self.translator = Paraphraser(theirs, count), Translator(ours, count)
        self.phases = (Phase(epochs, "own", self.reconstruction, learning_rate),)

    def reconstruction(self, student: None, teacher: Outputs, batch: Batch) -> Tensor:
        target = teacher.stages(1)[0].detach()
        return F.mse_loss(self.paraphraser(target), target)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        target = self.paraphraser.encoder(teacher.stages(1)[0].detach()).detach()
        return self.weight * factor_loss(self.translator(student.stages(1)[0]), target, self.factors)

    @classmethod
    def unsupported(cls, task: Task, *, factors: str = "attention", **options: Any) -> str | None:
        return lacks_positions(task, [(-1, -1)]) if factors == "attention" else None
