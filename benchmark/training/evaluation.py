"""What a trained student is measured by: accuracy, calibration, agreement with the teacher, relation transferred."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.data import EvaluationData

BATCH = 500
RELATION_IMAGES = 500
"""The first images of the test set that relations are compared on; their number of pairs grows with its square."""
CALIBRATION_BINS = 15
NEIGHBOURS = 10


def batches(data: EvaluationData) -> Iterator[tuple[Tensor, Tensor]]:
    """Images [B, C, H, W] and labels [B] of a whole split, in order."""
    for start in range(0, len(data), BATCH):
        yield data.batch(start, start + BATCH)


def accuracy(predict: Callable[[Tensor], Tensor], data: EvaluationData) -> float:
    """Top-1 share in [0, 1] of `predict`, images to logits [B, K]."""
    correct = sum((predict(images).argmax(1) == labels).sum() for images, labels in batches(data))
    return float(correct) / len(data)


def outputs_on(network: Callable[[Tensor], tuple[Tensor, Tensor]], data: EvaluationData) -> tuple[Tensor, Tensor]:
    """Logits [N, K] and embeddings [N, D] on a whole split."""
    logits, embeddings = zip(*(network(images) for images, _ in batches(data)), strict=True)
    return torch.cat(logits), torch.cat(embeddings)


def classification_measures(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """top1 and top5 as shares, nll in nats per image, ece; of logits [N, K] and labels [N]."""
    ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    return {
        "top1": float(ranked[:, 0].double().mean()),
        "top5": float(ranked.any(1).double().mean()),
        "nll": float(F.cross_entropy(logits.double(), labels)),
        "ece": calibration_error(logits, labels),
    }


def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Expected calibration error over equal-width bins of confidence (Guo et al., ICML 2017, eq. 3)."""
    confidence, predicted = logits.double().softmax(1).max(1)
    correct = (predicted == labels).double()
    bins = (confidence * CALIBRATION_BINS).long().clamp(max=CALIBRATION_BINS - 1)
    gap = torch.zeros(CALIBRATION_BINS, dtype=torch.float64, device=logits.device)
    return float(gap.index_add(0, bins, confidence - correct).abs().sum() / len(labels))


def teacher_measures(student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Agreement, KL(teacher || student) in nats, and the relation measures; of (logits [N, K], embeddings [N, D])."""
    log_student, log_teacher = (logits.double().log_softmax(1) for logits in (student[0], teacher[0]))
    return {
        "agreement": float((student[0].argmax(1) == teacher[0].argmax(1)).double().mean()),
        "kl_teacher": float(F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)),
        **relation_measures(student[1][:RELATION_IMAGES].double(), teacher[1][:RELATION_IMAGES].double()),
    }


def relation_measures(student: Tensor, teacher: Tensor) -> dict[str, float]:
    """How alike the geometry of two sets of embeddings is, [N, D_S] and [N, D_T]; each measure is 1 for equal geometry.

    distance_correlation: Pearson correlation of all pairwise distances. angle_correlation: of the cosines between all
    pairs of centred embeddings. cka: linear centred kernel alignment (Kornblith et al., ICML 2019). neighbour_overlap:
    mean share of each image's nearest neighbours by distance that the two have in common.
    """
    student, teacher = student - student.mean(0), teacher - teacher.mean(0)
    pairs = torch.ones(len(student), len(student), dtype=torch.bool, device=student.device).triu(1)
    d_student, d_teacher = torch.cdist(student, student), torch.cdist(teacher, teacher)
    c_student, c_teacher = (F.normalize(x, dim=1) @ F.normalize(x, dim=1).T for x in (student, teacher))
    g_student, g_teacher = student @ student.T, teacher @ teacher.T
    return {
        "distance_correlation": _correlation(d_student[pairs], d_teacher[pairs]),
        "angle_correlation": _correlation(c_student[pairs], c_teacher[pairs]),
        "cka": _finite((g_student * g_teacher).sum() / (g_student.norm() * g_teacher.norm())),
        "neighbour_overlap": _neighbour_overlap(d_student, d_teacher),
    }


def _neighbour_overlap(student: Tensor, teacher: Tensor) -> float:
    count = min(NEIGHBOURS, len(student) - 1)

    def nearest(distances: Tensor) -> Tensor:
        index = distances.clone().fill_diagonal_(torch.inf).topk(count, largest=False).indices
        return torch.zeros_like(distances).scatter_(1, index, 1)

    return float((nearest(student) * nearest(teacher)).sum() / (count * len(student)))


def _correlation(a: Tensor, b: Tensor) -> float:
    return _finite(torch.corrcoef(torch.stack([a, b]))[0, 1])


def _finite(value: Tensor) -> float:
    """0 where a measure has no value: embeddings that all coincide transfer no geometry."""
    return float(torch.nan_to_num(value, nan=0.0))
