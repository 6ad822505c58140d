"""Measures of classification against independent references."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score

from benchmark.metrics import measure
from benchmark.metrics.classification import ece, top1, top5

CLASSES = 7
Array = NDArray[np.float64]


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


LOGITS, LABELS = 3 * normal(300, CLASSES), np.arange(300) % CLASSES


def probabilities(logits: Array) -> Array:
    return np.asarray(softmax(logits, axis=1))


def test_classification_is_scikit_learns() -> None:
    found = measure({"logits": LOGITS, "labels": LABELS})
    p, labels = probabilities(LOGITS), LABELS
    assert found["top1"] == accuracy_score(labels, p.argmax(1))
    assert found["top5"] == top_k_accuracy_score(labels, p, k=5)
    assert found["nll"] == pytest.approx(log_loss(labels, p))
    assert found["ece"] == ece(LOGITS, LABELS)


def test_top5_of_three_classes_is_everything() -> None:
    assert top5(normal(10, 3), LABELS[:10] % 3) == 1


def naive_ece(p: Array, labels: NDArray[np.int64], bins: int = 15) -> float:
    """Guo et al., eq. 3: the mean gap of confidence and accuracy, weighted by the images in a bin."""
    total = 0.0
    confidence, hit = p.max(1), p.argmax(1) == labels
    for b in range(bins):
        inside = (confidence >= b / bins) & ((confidence < (b + 1) / bins) | (b == bins - 1))
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - hit[inside].mean())
    return total


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 1000.0])
def test_calibration_error_is_the_naive_loops(scale: float) -> None:
    logits = scale * normal(400, CLASSES, seed=1)
    labels = (logits + scale * normal(400, CLASSES, seed=2)).argmax(1)
    expected = naive_ece(probabilities(logits), labels)
    assert ece(logits, labels) == pytest.approx(expected)


def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not() -> None:
    certain = 1000 * np.eye(CLASSES)
    assert ece(certain, np.arange(CLASSES)) == 0
    assert ece(certain, (np.arange(CLASSES) + 1) % CLASSES) == 1


def test_of_equal_logits_the_first_class_is_the_likeliest() -> None:
    """As in bfloat16, where many are equal: the accuracies are those of argmax, on every device."""
    logits = normal(400, CLASSES, seed=3).round()
    labels = np.arange(400) % CLASSES
    order = np.argsort(-logits, axis=1, kind="stable")
    assert top1(logits, labels) == (logits.argmax(1) == labels).mean() == (order[:, 0] == labels).mean()
    assert top5(logits, labels) == (order[:, :5] == labels[:, None]).any(1).mean()
