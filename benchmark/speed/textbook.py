"""Distillation losses written down as their formulas read, the way published code has them: no shared work, tensors of
[B, B, D] and [B, B, B], means over boolean selections. The yardstick of `benchmark.speed`."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Outputs

STAGES = 3


def kd(student: Outputs, teacher: Outputs, temperature: float = 4.0) -> Tensor:
    """Temperature squared times KL(teacher || student), the mean over a batch."""
    log_student = F.log_softmax(student.logits / temperature, dim=1)
    soft_teacher = F.softmax(teacher.logits / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, soft_teacher, reduction="batchmean")


def pairwise_distances(x: Tensor) -> Tensor:
    """[B, B]"""
    squared = x.pow(2).sum(1)
    distances = (squared[:, None] + squared[None, :] - 2 * x @ x.t()).clamp(min=1e-12).sqrt()
    distances = distances.clone()
    distances[range(len(x)), range(len(x))] = 0
    return distances


def rkd_distance(student: Outputs, teacher: Outputs) -> Tensor:
    """Smooth L1 between distances over their means."""
    with torch.no_grad():
        target = pairwise_distances(teacher.embedding)
        target = target / target[target > 0].mean()
    distances = pairwise_distances(student.embedding)
    return F.smooth_l1_loss(distances / distances[distances > 0].mean(), target)


def angles(x: Tensor) -> Tensor:
    """Cosines at the first of three samples, [B * B * B], by differences [B, B, D]."""
    differences = F.normalize(x[None, :, :] - x[:, None, :], p=2, dim=2)
    return torch.bmm(differences, differences.transpose(1, 2)).view(-1)


def rkd_angle(student: Outputs, teacher: Outputs) -> Tensor:
    """Smooth L1 between the cosines of all triples."""
    with torch.no_grad():
        target = angles(teacher.embedding)
    return F.smooth_l1_loss(angles(student.embedding), target)


def sp(student: Outputs, teacher: Outputs) -> Tensor:
    """Squared difference of row-normalised Gram matrices [B, B] of the last maps, over B squared."""
    grams = []
    for outputs in (student, teacher):
        features = outputs.maps[-1].reshape(len(outputs.logits), -1)
        grams.append(F.normalize(features @ features.t(), dim=1))
    return (grams[1] - grams[0]).pow(2).sum() / len(student.logits) ** 2


def gkd(student: Outputs, teacher: Outputs) -> Tensor:
    """Squared difference of normalised adjacency matrices [B, B], the mean over stages."""
    terms = []
    for stage in range(STAGES):
        graphs = []
        for outputs in (student, teacher):
            features = (*outputs.stages(STAGES)[:-1], outputs.embedding)[stage].flatten(1)
            features = features / features.norm(dim=1, keepdim=True)
            adjacency = (features @ features.t()).clamp(min=0) * (1 - torch.eye(len(features), device=features.device))
            degree = torch.diag(adjacency.sum(1).rsqrt())
            graphs.append(degree @ adjacency @ degree)
        terms.append((graphs[1] - graphs[0]).pow(2).sum())
    return torch.stack(terms).mean()


LOSSES: dict[str, Callable[[Outputs, Outputs], Tensor]] = {
    "kd": lambda student, teacher: 0.9 * kd(student, teacher),
    "rkd_d": lambda student, teacher: 25 * rkd_distance(student, teacher),
    "rkd_a": lambda student, teacher: 50 * rkd_angle(student, teacher),
    "rkd_da": lambda student, teacher: 25 * rkd_distance(student, teacher) + 50 * rkd_angle(student, teacher),
    "sp": lambda student, teacher: 3000 * sp(student, teacher),
    "gkd": lambda student, teacher: 25 * gkd(student, teacher),
}
"""By method, weighted with its defaults. FitNet and MHGD have modules of their own: the loop takes the suite's."""
