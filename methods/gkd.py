"""Graph knowledge distillation: the similarity graph of a batch at three depths."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from methods import relations
from methods.base import Batch, Method, Outputs, Task, register
from methods.options import at_least, one_of

EDGES = ("all", "intra", "inter")


def similarity_graph(features: Tensor, edges: Tensor | None = None) -> Tensor:
    """Degree-normalised adjacency [B, B] of the cosine graph of [B, ...], without self-loops.

    edges: [B, B], the pairs to keep (None: all). They are selected after the normalisation, as in the authors' code.
    """
    return similarity_graphs((features,), edges)[0]


def similarity_graphs(features: Sequence[Tensor], edges: Tensor | None = None) -> Tensor:
    """The same of several representations at once, [n, B, B]: a GPU takes longer to start such a kernel than for it."""
    adjacency = relations.normalized_gram(torch.stack([relations.gram(x) for x in features])).clamp(min=0)
    adjacency.diagonal(dim1=1, dim2=2).zero_()
    adjacency = relations.degree_normalized(adjacency)
    return adjacency if edges is None else adjacency * edges


def class_edges(labels: Tensor, edges: str) -> Tensor | None:
    """Which pairs [B, B] of samples to compare: "all" (None), of the same class ("intra"), of two classes ("inter")."""
    if edges == "all":
        return None
    same = labels[:, None] == labels
    return same if edges == "intra" else ~same


def neighbour_mask(adjacency: Tensor, neighbours: int) -> Tensor:
    """[..., B, B], 1 where one of two samples is among the other's nearest neighbours, 0 elsewhere.

    Without an edge there is no neighbour: which of several zeros is the largest would depend on the order of the batch.
    """
    weights, nearest = adjacency.topk(neighbours, dim=-1)
    mask = torch.zeros_like(adjacency).scatter_(-1, nearest, (weights > 0).to(adjacency.dtype))
    return torch.maximum(mask, mask.mT)


def gkd_loss(
    student: Tensor, teacher: Tensor, edges: Tensor | None = None, *, neighbours: int = 0, power: int = 1
) -> Tensor:
    """||A_T^p - A_S^p||_F^2 of the graphs of [B, ...] and [B, ...]; `edges` as in `similarity_graph`.

    neighbours: 0, or at least B, compares all edges; otherwise those of the teacher's nearest-neighbour graph.
    """
    return gkd_losses((student,), (teacher,), edges, neighbours, power)[0]


def gkd_losses(
    students: Sequence[Tensor], teachers: Sequence[Tensor], edges: Tensor | None, neighbours: int, power: int
) -> Tensor:
    """The same of several pairs, [n]."""
    graphs = similarity_graphs((*(teacher.detach() for teacher in teachers), *students), edges)
    target, graph = graphs[: len(teachers)].detach(), graphs[len(teachers) :]
    if 0 < neighbours < target.shape[-1]:
        mask = neighbour_mask(target, neighbours)
        target, graph = target * mask, graph * mask
    difference = torch.linalg.matrix_power(target, power) - torch.linalg.matrix_power(graph, power)
    return difference.square().sum((1, 2))


@register("gkd")
class GraphKD(Method):
    """Deep geometric knowledge distillation with graphs (Lassance et al., ICASSP 2020, arXiv:1911.03080).

        weight * mean_stages || A_T^p - A_S^p ||_F^2,   A = M * D^-1/2 C D^-1/2

    C [B, B]: cosines between samples with a zero diagonal; D: its row sums; M: optionally edges within or between
    classes (`edges`) and the teacher's `neighbours` nearest neighbours, made symmetric, for both networks; p: `power`.
    The three stages are two maps [B, C, H, W], flattened, and the embedding [B, D], the third one after pooling;
    `stages` counts from the back, so that 1 is the embedding alone. Widths and sizes may differ.

    Defaults: weight 25, three stages, dense, all edges, p = 1, those of the authors' published checkpoints and current
    code (cadurosar/graph_kd; sum over pairs, mean over stages). `average = false` is the sum over stages of their
    DenseNet experiments (cadurosar/graph_kd_dense_cifar100).

    Deviation: the authors tap rectified features only. Elsewhere a cosine may be negative, which a degree cannot use:
    such edges are dropped before the degrees are taken, and a sample left without any is isolated rather than NaN. A
    pair without an edge is never a neighbour.
    """

    reads = frozenset({"maps", "embedding"})
    vanishes_at_teacher = True
    added = frozenset({"average"})

    def __init__(
        self,
        task: Task,
        *,
        weight: float = 25.0,
        stages: int = 3,
        neighbours: int = 0,
        power: int = 1,
        edges: str = "all",
        average: bool = True,
    ) -> None:
        super().__init__(task)
        one_of(EDGES, "gkd", edges=edges)
        at_least(0, "gkd", weight=weight, neighbours=neighbours)
        at_least(1, "gkd", stages=stages, power=power)
        self.weight, self.stages, self.average = weight, stages, average
        self.neighbours, self.power, self.edges = neighbours, power, edges

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        edges = class_edges(batch.labels, self.edges)
        ours, theirs = student.depths(self.stages), teacher.depths(self.stages)
        terms = gkd_losses(ours, theirs, edges, self.neighbours, self.power)
        return self.weight * (terms.mean() if self.average else terms.sum())

    @classmethod
    def unsupported(cls, task: Task, *, stages: int = 3, **options: Any) -> str | None:
        return task.lacks_stages(stages)
