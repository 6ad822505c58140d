"""Relation measures against independent formulas, and known answers."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist
from scipy.stats import pearsonr
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from benchmark.metrics import measure
from benchmark.metrics.relations import RELATION_IMAGES, cka

Array = NDArray[np.float64]
LABELS = np.arange(60) % 7


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def relations(student: Array, teacher: Array, labels: Array) -> dict[str, float]:
    """Everything that compares embeddings."""
    return measure({"embeddings": student, "teacher_embeddings": teacher, "embedding_labels": labels})


def embeddings(count: int = 60) -> tuple[Array, Array]:
    """A student's of width 5 that has something of a teacher's of width 8."""
    teacher = normal(count, 8, seed=5)
    return teacher[:, :5] + 0.7 * normal(count, 5, seed=6), teacher


def hsic(k: Array, l: Array) -> float:  # noqa: E741
    """Song et al. 2012, as the specification of statistics writes it, of Gram matrices with diagonals of 0."""
    n, one = len(k), np.ones(len(k))
    both = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return float((np.trace(k @ l) + both - 2 / (n - 2) * one @ k @ l @ one) / (n * (n - 3)))


def naive_cka(x: Array, y: Array) -> float:
    k, l = (each @ each.T for each in (x, y))  # noqa: E741
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    return hsic(k, l) / float(np.sqrt(hsic(k, k) * hsic(l, l)))


def test_relations_are_scipys_and_scikit_learns_and_the_specifications() -> None:
    student, teacher = embeddings()
    found = relations(student, teacher, LABELS)
    s, t = student, teacher
    cosines = [1 - pdist(x - x.mean(0), "cosine") for x in (s, t)]
    assert found["distance_pearson"] == pytest.approx(pearsonr(pdist(s), pdist(t)).statistic)
    assert found["cosine_pearson"] == pytest.approx(pearsonr(*cosines).statistic)
    assert found["cka"] == pytest.approx(naive_cka(s, t))
    within = [np.concatenate([pdist(x[label == LABELS]) for label in range(7)]) for x in (s, t)]
    assert len(within[0]) == 4 * 9 * 8 / 2 + 3 * 8 * 7 / 2
    assert found["within_class_distance_pearson"] == pytest.approx(pearsonr(*within).statistic)
    near = [NearestNeighbors(n_neighbors=10).fit(x).kneighbors(return_distance=False) for x in (s, t)]
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(*near, strict=True)]
    assert found["neighbour_overlap"] == pytest.approx(np.mean(shared))
    assert all(0.1 < value < 0.95 for value in found.values())


@pytest.mark.parametrize("widths", [(16, 64), (64, 64), (64, 256), (512, 2048)])
def test_debiased_cka_of_independent_embeddings_is_about_0(widths: tuple[int, int]) -> None:
    """Of 500 images, where what is not debiased comes to 0.06, 0.11, 0.20 and 0.64."""
    student, teacher = (normal(500, width, seed=width + i) for i, width in enumerate(widths))
    assert abs(cka(student, teacher)) < 0.02


@pytest.mark.parametrize("count", [4, 5, 100])
def test_debiased_cka_is_the_formula_wherever_the_embeddings_lie(count: int) -> None:
    student, teacher = embeddings(count)
    expected = naive_cka(student, teacher)
    assert cka(student + 3, 2 * teacher - 1) == pytest.approx(expected, abs=1e-9)
    assert abs(expected) <= 1


def test_a_known_answer() -> None:
    """Four points on a line: centred as HSIC_1 does it, K is 14/3, -4/3, -10/3 on the three pairings of points."""
    line = np.array([[-3.0], [-1.0], [1.0], [3.0]])
    assert cka(line, line) == pytest.approx(1)
    assert cka(line, line[[1, 3, 0, 2]]) == pytest.approx(-1 / 26)
    assert cka(line[:3], line[:3]) == 0  # of three images it is not defined


def test_the_same_geometry_is_one() -> None:
    """Up to rotation, translation and scale."""
    _, teacher = embeddings()
    rotation, _ = np.linalg.qr(normal(8, 8, seed=7))
    found = relations(3 * teacher @ rotation + 5, teacher, LABELS)
    assert found == pytest.approx(dict.fromkeys(found, 1.0))


def test_classes_alone_are_no_relation_within_them() -> None:
    """A student that knows which class an image is of, and nothing else of the teacher's geometry."""
    centres, labels = 10 * normal(7, 8), np.arange(490) % 7
    student, teacher = (centres[labels] + normal(490, 8, seed=seed) for seed in (1, 2))
    found = relations(student, teacher, labels)
    assert found["distance_pearson"] > 0.9
    assert found["within_class_distance_pearson"] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("count", [3, 60])
@pytest.mark.parametrize("student", ["zero", "constant", "duplicates", "huge"])
def test_degenerate_embeddings_give_finite_values(student: str, count: int) -> None:
    _, teacher = embeddings(count)
    collapsed = {
        "zero": np.zeros((count, 5)),
        "constant": np.full((count, 5), 3.3),
        "duplicates": np.repeat(normal(1, 5), count, 0),
        "huge": 1e30 * normal(count, 5),
    }[student]
    for pair in ((collapsed, teacher), (teacher, collapsed), (collapsed, collapsed)):
        found = relations(*pair, np.zeros(count))
        assert all(-1 - 1e-9 <= value <= 1 + 1e-9 for value in found.values()), found


def test_without_two_images_of_a_class_there_is_no_relation_within_classes() -> None:
    assert "within_class_distance_pearson" not in relations(*embeddings(), np.arange(60))


def test_only_the_first_images_count() -> None:
    student, teacher = embeddings(RELATION_IMAGES + 20)
    labels = np.arange(len(student)) % 7
    first = slice(RELATION_IMAGES)
    assert relations(student, teacher, labels) == relations(student[first], teacher[first], labels[first])


def test_of_equally_near_neighbours_the_first_count() -> None:
    """A regular grid of points, in which every image has neighbours at one distance."""
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), -1).reshape(-1, 2)
    distances = cdist(grid, grid) + np.diag([np.inf] * 64)
    nearest = [set(row.argsort(kind="stable")[:10]) for row in distances]
    moved = grid[:, ::-1].copy()
    others = [set(row.argsort(kind="stable")[:10]) for row in cdist(moved, moved) + np.diag([np.inf] * 64)]
    shared = np.mean([len(a & b) / 10 for a, b in zip(nearest, others, strict=True)])
    assert relations(grid, moved, np.arange(64) % 7)["neighbour_overlap"] == pytest.approx(shared)


def test_relations_are_the_same_to_the_bit_however_many_threads_numpy_has() -> None:
    """Where one is a job on one core and the other runs here, on all."""
    student, teacher = normal(500, 64), normal(500, 256, seed=1)
    found = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            found.append(relations(student, teacher, np.arange(500) % 10))
    assert found[0] == found[1] == found[2]
