"""How well a network classifies, and how well it knows how well."""

import numpy as np
from scipy.special import log_softmax, softmax

from benchmark.metrics.registry import NATS, Array, metric

CALIBRATION_BINS = 15


@metric("Test top-1 accuracy", "Test top-1")
def top1(logits: Array, labels: Array) -> float:
    """Test accuracy after the last epoch, a share in [0, 1]."""
    return float((classes(logits) == labels).mean())


@metric("Test top-5 accuracy", "Test top-5")
def top5(logits: Array, labels: Array) -> float:
    """Test accuracy of the five likeliest classes, a share. Of equal logits the first class is the likeliest."""
    own = np.take_along_axis(logits, labels[:, None], 1)
    first = np.arange(logits.shape[1]) < labels[:, None]
    return float((((logits > own) | ((logits == own) & first)).sum(1) < 5).mean())


@metric("Test negative log-likelihood", "Test NLL", NATS, better="lower")
def nll(logits: Array, labels: Array) -> float:
    """Negative log-likelihood of the test labels, nats an image."""
    return float(-np.take_along_axis(log_softmax(logits.astype(np.float64), axis=1), labels[:, None], 1).mean())


@metric("Expected calibration error on the test set", "Calibration error", better="lower")
def ece(logits: Array, labels: Array) -> float:
    """Expected calibration error over 15 equal bins of confidence, a share. Guo et al., ICML 2017, eq. 3."""
    confidence = softmax(logits.astype(np.float64), axis=1).max(1)
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, confidence - (classes(logits) == labels), CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(labels))


@metric("Validation top-1 accuracy", "Validation top-1")
def validation_top1(validation_logits: Array, validation_labels: Array) -> float:
    """Accuracy on the validation split after the last epoch, a share."""
    return top1(validation_logits, validation_labels)


def classes(logits: Array) -> Array:
    """The likeliest class of each image, [N]; the first of several."""
    return logits.argmax(1)
