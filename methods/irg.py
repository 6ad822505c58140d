"""Instance relationship graphs: distances between samples, and how far each sample moves between stages."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from methods import relations
from methods.base import Batch, Method, Outputs, Tap, Task, register
from methods.connectors import channels_pooled, pooled
from methods.kd import unequal_classes
from methods.options import at_least, one_of

FORMS = ("zoo", "semckd", "caffe")


def of_largest(squared: Tensor, hold: bool = False) -> Tensor:
    """Squared distances as shares of the largest; zero where all are. hold: without a gradient through the largest."""
    largest = squared.detach().max() if hold else squared.max()
    floor = relations.NORM_FLOOR**2
    return squared / largest.clamp(min=floor) * (largest > floor)  # the slope of 1 / x overflows in float32 below 1e-19


def edges(features: Tensor, hold: bool = False) -> Tensor:
    """Squared distances [B, B] between the samples of [B, ...] as shares of the largest."""
    return of_largest(relations.squared_distances(features), hold)


def edge_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the edges of [B, ...] and [B, ...]."""
    return F.mse_loss(edges(student), edges(teacher.detach()))


def caffe_edge_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Sum of squared differences of the edges over 2 B, the largest distance held fixed."""
    return (edges(student, hold=True) - edges(teacher.detach())).square().sum() / (2 * len(student))


def movement(earlier: Tensor, later: Tensor) -> Tensor:
    """[B], squared distance of each sample's map [B, C, H, W] from its map of a later stage, as a share of the batch's
    largest; the earlier is averaged to the later's size, the wider one's channels to the other's number."""
    earlier = pooled(earlier, (later.shape[2], later.shape[3]))
    earlier, later = channels_pooled(earlier, later.shape[1]), channels_pooled(later, earlier.shape[1])
    return of_largest(relations.rows(earlier - later).square().sum(1))


def movement_loss(student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
    """Mean squared difference of the movements between two maps of each network."""
    return F.mse_loss(movement(*student), movement(*(m.detach() for m in teacher)))


def edge_movement_loss(student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
    """Squared difference between the networks of how much the edges change from one map to the next: scalars."""
    ours, theirs = ([edges(m) for m in maps] for maps in (student, [m.detach() for m in teacher]))
    return (F.mse_loss(ours[0], ours[1]) - F.mse_loss(theirs[0], theirs[1])).square()


@register("irg")
class InstanceRelationshipGraph(Method):
    """Knowledge distillation via instance relationship graph (Liu et al., CVPR 2019).

        weight * [ vertices * mean (z_S - z_T)^2 + edges * mean_x,ij (D_S - D_T)^2
                   + transformation * mean_i (t_S - t_T)^2 ]

    z: logits [B, K]; D [B, B]: squared distances over their largest, of x = the embedding [B, D] and the flattened maps
    [B, C, H, W] of the last two stages; t [B]: each sample's squared distance between those two maps, the earlier
    averaged to the later's size and the wider to the other's channels, over the largest. Widths may differ.

    Defaults: 0.1, 5 and 5, of AberHu/Knowledge-Distillation-Zoo. `form` has two others, without vertices, for which the
    weights are to be set: `semckd` (DefangChen/SemCKD: edges 0.005, transformation 0) compares the embedding's edges,
    and by how much the edges change between the two maps; `caffe` (the authors', yufanLIU/IRG: edges 0.005) sums the
    embedding's edges over 2 B, the largest distance held fixed.

    Deviations: coincident samples have distance 0 and no gradient, a batch of one gives 0; public code divides 1e-12 by
    1e-12. The authors' layer gives half the gradient of `caffe`, and they transform between blocks of one stage, which
    no network here shows. For unequal classes, `vertices = 0`.
    """

    label = "IRG"
    reads = frozenset({"logits", "embedding", "maps"})
    vanishes_at_teacher = True

    def __init__(
        self,
        task: Task,
        *,
        weight: float = 1.0,
        vertices: float = 0.1,
        edges: float = 5.0,
        transformation: float = 5.0,
        form: str = "zoo",
    ) -> None:
        super().__init__(task)
        one_of(FORMS, "irg", form=form)
        at_least(0, "irg", weight=weight, vertices=vertices, edges=edges, transformation=transformation)
        self.weight, self.form = weight, form
        self.vertices, self.edges, self.transformation = vertices, edges, transformation

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        if self.form == "caffe":
            return self.weight * self.edges * caffe_edge_loss(student.embedding, teacher.embedding)
        maps = student.stages(2), teacher.stages(2)
        if self.form == "semckd":
            edge, moved = edge_loss(student.embedding, teacher.embedding), edge_movement_loss(*maps)
            return self.weight * (self.edges * edge + self.transformation * moved)
        pairs = [(student.embedding, teacher.embedding), *zip(*maps, strict=True)]
        edge, moved = torch.stack([edge_loss(*pair) for pair in pairs]).mean(), movement_loss(*maps)
        term = self.edges * edge + self.transformation * moved
        if self.vertices:
            term = term + self.vertices * F.mse_loss(student.logits, teacher.logits.detach())
        return self.weight * term

    @classmethod
    def reading(cls, *, form: str = "zoo", vertices: float = 0.1, **options: Any) -> frozenset[Tap]:
        kept = {"zoo": cls.reads if vertices else cls.reads - {"logits"}, "semckd": cls.reads - {"logits"}}
        return kept.get(form, frozenset({"embedding"}))

    @classmethod
    def unsupported(cls, task: Task, *, form: str = "zoo", vertices: float = 0.1, **options: Any) -> str | None:
        if form == "caffe":
            return None
        return task.lacks_stages(2) or (unequal_classes(task) if form == "zoo" and vertices else None)
