"""Measures against independent references, and values where there is nothing to measure."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score
from torch import Tensor

from benchmark.data import Images, Resident
from benchmark.spec import Recipe
from benchmark.training.evaluation import (
    BATCH,
    accuracy,
    calibration_error,
    classification_measures,
    outputs_on,
    teacher_measures,
)
from benchmark.training.relations import relations

CLASSES = 7
Array = NDArray[np.float64]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


LOGITS, LABELS = 3 * normal(300, CLASSES), torch.arange(300) % CLASSES


def probabilities(logits: Tensor) -> Array:
    return np.asarray(softmax(logits.double().numpy(), axis=1))


def test_classification_is_scikit_learns() -> None:
    found = classification_measures(LOGITS, LABELS)
    p, labels = probabilities(LOGITS), LABELS.numpy()
    assert found["top1"] == accuracy_score(labels, p.argmax(1))
    assert found["top5"] == top_k_accuracy_score(labels, p, k=5)
    assert found["nll"] == pytest.approx(log_loss(labels, p))
    assert found["ece"] == calibration_error(LOGITS, LABELS)


def test_top5_of_three_classes_is_everything() -> None:
    assert classification_measures(normal(10, 3), LABELS[:10] % 3)["top5"] == 1


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
    expected = naive_ece(probabilities(logits), labels.numpy())
    assert calibration_error(logits, labels) == pytest.approx(expected)


def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not() -> None:
    certain = 1000 * torch.eye(CLASSES)
    assert calibration_error(certain, torch.arange(CLASSES)) == 0
    assert calibration_error(certain, (torch.arange(CLASSES) + 1) % CLASSES) == 1


def test_agreement_and_divergence_from_the_teacher() -> None:
    student, teacher = (LOGITS, normal(300, 5)), (LOGITS + normal(300, CLASSES, seed=3), normal(300, 9, seed=4))
    found = teacher_measures(student, teacher, LABELS)
    p, q = probabilities(teacher[0]), probabilities(student[0])
    assert found["agreement"] == accuracy_score(p.argmax(1), q.argmax(1))
    assert found["kl_teacher"] == pytest.approx(float((p * np.log(p / q)).sum(1).mean()))
    assert found.items() >= relations(student[1], teacher[1], LABELS).items()


def test_measures_go_over_every_image_once() -> None:
    """Two whole batches and a bit, in order."""
    count = 2 * BATCH + 3
    recipe = Recipe(epochs=1, batch_size=1, learning_rate=1, input_size=2, mean=(0.0,), std=(1.0,))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 2, 2, 1), generator=generator, dtype=torch.uint8)
    data = Resident(Images(pixels, torch.arange(count) % 3), recipe, torch.device("cpu"))
    sizes: list[int] = []

    def network(images: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(len(images))
        flat = images.flatten(1)
        return flat[:, :3], flat

    logits, flat = outputs_on(network, data)
    assert sizes == [BATCH, BATCH, 3]
    torch.testing.assert_close(flat, pixels.flatten(1) / 255)
    expected = float((logits.argmax(1) == data.labels).double().mean())
    assert accuracy(lambda images: network(images)[0], data) == pytest.approx(expected)
