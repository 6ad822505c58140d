"""Measures against independent references, and values where there is nothing to measure."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.special import softmax
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from benchmark.data import Images, Resident
from benchmark.spec import Recipe
from benchmark.training.evaluation import (
    BATCH,
    RELATION_IMAGES,
    accuracy,
    calibration_error,
    classification_measures,
    outputs_on,
    relation_measures,
    teacher_measures,
)

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
    found = teacher_measures(student, teacher)
    p, q = probabilities(teacher[0]), probabilities(student[0])
    assert found["agreement"] == accuracy_score(p.argmax(1), q.argmax(1))
    assert found["kl_teacher"] == pytest.approx(float((p * np.log(p / q)).sum(1).mean()))
    first = slice(RELATION_IMAGES)
    expected = relation_measures(student[1][first].double(), teacher[1][first].double())
    assert {key: found[key] for key in expected} == pytest.approx(expected)


def embeddings(count: int = 60) -> tuple[Tensor, Tensor]:
    """A student's of width 5 that has something of a teacher's of width 8."""
    teacher = normal(count, 8, seed=5).double()
    return teacher[:, :5] + 0.7 * normal(count, 5, seed=6).double(), teacher


def test_relations_are_scipys_and_scikit_learns() -> None:
    student, teacher = embeddings()
    found = relation_measures(student, teacher)
    s, t = student.numpy(), teacher.numpy()
    cosines = [1 - pdist(x - x.mean(0), "cosine") for x in (s, t)]
    assert found["distance_correlation"] == pytest.approx(pearsonr(pdist(s), pdist(t)).statistic)
    assert found["angle_correlation"] == pytest.approx(pearsonr(*cosines).statistic)
    s, t = s - s.mean(0), t - t.mean(0)
    cka = np.linalg.norm(s.T @ t) ** 2 / (np.linalg.norm(s.T @ s) * np.linalg.norm(t.T @ t))
    assert found["cka"] == pytest.approx(cka)
    near = [NearestNeighbors(n_neighbors=10).fit(x).kneighbors(return_distance=False) for x in (s, t)]
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(*near, strict=True)]
    assert found["neighbour_overlap"] == pytest.approx(np.mean(shared))
    assert 0.1 < min(found.values()) < max(found.values()) < 0.95


def test_the_same_geometry_is_one() -> None:
    """Up to rotation, translation and scale."""
    _, teacher = embeddings()
    rotation, _ = torch.linalg.qr(normal(8, 8, seed=7).double())
    found = relation_measures(3 * teacher @ rotation + 5, teacher)
    assert found == pytest.approx(dict.fromkeys(found, 1.0))


@pytest.mark.parametrize("count", [3, 60])
@pytest.mark.parametrize("student", ["zero", "constant", "duplicates", "huge"])
def test_degenerate_embeddings_give_finite_values(student: str, count: int) -> None:
    _, teacher = embeddings(count)
    collapsed = {
        "zero": torch.zeros(count, 5),
        "constant": torch.full((count, 5), 3.3),
        "duplicates": normal(1, 5).repeat(count, 1),
        "huge": 1e30 * normal(count, 5),
    }[student].double()
    for pair in ((collapsed, teacher), (teacher, collapsed), (collapsed, collapsed)):
        found = relation_measures(*pair)
        assert all(np.isfinite(value) and -1 - 1e-9 <= value <= 1 + 1e-9 for value in found.values()), found


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
