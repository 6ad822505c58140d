"""Kernel alignment: the Gram matrices of logits, between images and between classes, and of maps."""

from typing import Any

from torch import Tensor

from methods import relations
from methods.base import Batch, Method, Outputs, Tap, Task, register
from methods.kd import unequal_classes
from methods.options import at_least


def misalignment(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - the cosine of two matrices of relations [B, B] as vectors; 1 where one is zero."""
    lengths = [relations.inverse_root(x.square().sum()) for x in (student, teacher)]
    return 1 - lengths[0] * (student * teacher).sum() * lengths[1]


def cka_loss(student: Tensor, teacher: Tensor, scaled: bool = True) -> Tensor:
    """Misalignment of the Gram matrices of the rows of [R, D_S] and [R, D_T]; scaled: row i of each is divided by the
    norm of sample i."""
    grams = [relations.gram(x) for x in (student, teacher.detach())]
    if scaled:
        grams = [relations.inverse_root(g.diagonal())[:, None] * g for g in grams]
    return misalignment(*grams)


def map_cka_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Misalignment of how alike samples are in the rows, of unit length, of the Gram matrices of maps [B, ...] of both:
    Gram matrices of Gram matrices, [B, B]."""
    ours, theirs = (relations.normalize(relations.gram(x)) for x in (student, teacher.detach()))
    return cka_loss(ours, theirs, scaled=False)


@register("cka")
class KernelAlignment(Method):
    """Rethinking centered kernel alignment in knowledge distillation (Zhou et al., IJCAI 2024, arXiv:2401.11824).

        samples * (1 - a(z)) + classes * (1 - a(z^T)) + maps * sum_maps (1 - a(R)),   a = <G_S, G_T> / (|G_S| |G_T|)

    G: the Gram matrix X X^T of what a compares; of logits z [B, K] with row i divided by the norm of row i of X. R: the
    Gram matrix [B, B] of a map [B, CHW], flattened, its rows divided by their L2 norm, so that a compares the second
    order; maps: every one after the stem where both networks have as many, else the last three stages. Nothing is
    centred, whatever the name. Widths and sizes may differ; a weight of 0 leaves a term, and what it needs, out.

    Defaults: 15, 15 and 1, from the authors' code (Klayand/Distill_Knowledge); which weights and schedule their tables
    have was not found, so that equal numbers are not to be expected. Deviations: 1 - a, which vanishes for equal
    outputs, where they use -a; a zero row or map has alignment 0 and no gradient, where theirs gives NaN or 1e11.
    """

    label = "CKA"
    reads = frozenset({"logits", "maps"})
    vanishes_at_teacher = True

    def __init__(self, task: Task, *, samples: float = 15.0, classes: float = 15.0, maps: float = 1.0) -> None:
        super().__init__(task)
        at_least(0, "cka", samples=samples, classes=classes, maps=maps)
        self.samples, self.classes, self.maps = samples, classes, maps
        self.pairs = task.map_pairs() if maps else []

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        loss = student.logits.new_zeros(())
        if self.samples:
            loss = loss + self.samples * cka_loss(student.logits, teacher.logits)
        if self.classes:
            loss = loss + self.classes * cka_loss(student.logits.T, teacher.logits.T)
        for i, j in self.pairs:
            loss = loss + self.maps * map_cka_loss(student.maps[i], teacher.maps[j])
        return loss

    @classmethod
    def reading(
        cls, *, samples: float = 15.0, classes: float = 15.0, maps: float = 1.0, **options: Any
    ) -> frozenset[Tap]:
        used: dict[Tap, float] = {"logits": samples + classes, "maps": maps}
        return frozenset(tap for tap, weight in used.items() if weight)

    @classmethod
    def unsupported(cls, task: Task, *, classes: float = 15.0, maps: float = 1.0, **options: Any) -> str | None:
        return (unequal_classes(task) if classes else None) or (task.lacks_map_pairs() if maps else None)
