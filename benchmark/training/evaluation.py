"""What a trained student is measured by: accuracy, calibration, agreement with the teacher, relation transferred."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.data import EvaluationData
from benchmark.training.relations import relations

BATCH = 500
CALIBRATION_BINS = 15


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


def teacher_measures(
    student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], labels: Tensor
) -> dict[str, float | int | None]:
    """Agreement, KL(teacher || student) in nats, and the relation measures; of (logits [N, K], embeddings [N, D]) and
    labels [N]."""
    log_student, log_teacher = (logits.double().log_softmax(1) for logits in (student[0], teacher[0]))
    return {
        "agreement": float((student[0].argmax(1) == teacher[0].argmax(1)).double().mean()),
        "kl_teacher": float(F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)),
        **relations(student[1], teacher[1], labels),
    }
