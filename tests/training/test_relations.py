"""Relation measures against independent formulas, known answers, and the images that they are of."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from benchmark.records import RELATIONS_VERSION
from benchmark.training.relations import (
    RELATION_IMAGES,
    debiased_cka,
    relation_measures,
    relation_sample,
    relations,
)

Array = NDArray[np.float64]
LABELS = torch.arange(60) % 7


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def embeddings(count: int = 60) -> tuple[Tensor, Tensor]:
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
    found = relation_measures(student, teacher, LABELS)
    s, t = student.numpy(), teacher.numpy()
    cosines = [1 - pdist(x - x.mean(0), "cosine") for x in (s, t)]
    assert found["distance_correlation"] == pytest.approx(pearsonr(pdist(s), pdist(t)).statistic)
    assert found["angle_correlation"] == pytest.approx(pearsonr(*cosines).statistic)
    assert found["cka"] == pytest.approx(naive_cka(s, t))
    within = [np.concatenate([pdist(x[LABELS.numpy() == label]) for label in range(7)]) for x in (s, t)]
    assert len(within[0]) == 4 * 9 * 8 / 2 + 3 * 8 * 7 / 2
    assert found["within_class_correlation"] == pytest.approx(pearsonr(*within).statistic)
    near = [NearestNeighbors(n_neighbors=10).fit(x).kneighbors(return_distance=False) for x in (s, t)]
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(*near, strict=True)]
    assert found["neighbour_overlap"] == pytest.approx(np.mean(shared))
    assert all(value is not None and 0.1 < value < 0.95 for value in found.values())


@pytest.mark.parametrize("widths", [(16, 64), (64, 64), (64, 256), (512, 2048)])
def test_debiased_cka_of_independent_embeddings_is_about_0(widths: tuple[int, int]) -> None:
    """Of 500 images, where what is not debiased comes to 0.06, 0.11, 0.20 and 0.64."""
    student, teacher = (normal(500, width, seed=width + i) for i, width in enumerate(widths))
    assert abs(debiased_cka(student, teacher)) < 0.02


@pytest.mark.parametrize("count", [4, 5, 100])
def test_debiased_cka_is_the_formula_wherever_the_embeddings_lie(count: int) -> None:
    student, teacher = embeddings(count)
    expected = naive_cka(student.numpy(), teacher.numpy())
    assert debiased_cka(student + 3, 2 * teacher - 1) == pytest.approx(expected, abs=1e-9)
    assert abs(expected) <= 1


def test_a_known_answer() -> None:
    """Four points on a line: centred as HSIC_1 does it, K is 14/3, -4/3, -10/3 on the three pairings of points."""
    line = torch.tensor([[-3.0], [-1.0], [1.0], [3.0]], dtype=torch.float64)
    assert debiased_cka(line, line) == pytest.approx(1)
    assert debiased_cka(line, line[[1, 3, 0, 2]]) == pytest.approx(-1 / 26)
    assert debiased_cka(line[:3], line[:3]) == 0  # of three images it is not defined


def test_the_same_geometry_is_one() -> None:
    """Up to rotation, translation and scale."""
    _, teacher = embeddings()
    rotation, _ = torch.linalg.qr(normal(8, 8, seed=7))
    found = relation_measures(3 * teacher @ rotation + 5, teacher, LABELS)
    assert found == pytest.approx(dict.fromkeys(found, 1.0))


def test_classes_alone_are_no_relation_within_them() -> None:
    """A student that knows which class an image is of, and nothing else of the teacher's geometry."""
    centres, labels = 10 * normal(7, 8), torch.arange(490) % 7
    student, teacher = (centres[labels] + normal(490, 8, seed=seed) for seed in (1, 2))
    found = relation_measures(student, teacher, labels)
    assert found["distance_correlation"] is not None
    assert found["distance_correlation"] > 0.9
    assert found["within_class_correlation"] == pytest.approx(0, abs=0.05)


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
        found = relation_measures(*pair, torch.zeros(count))
        assert all(value is not None and -1 - 1e-9 <= value <= 1 + 1e-9 for value in found.values()), found


def test_without_two_images_of_a_class_there_is_no_relation_within_classes() -> None:
    assert relation_measures(*embeddings(), torch.arange(60))["within_class_correlation"] is None


@pytest.mark.parametrize(
    ("counts", "drawn"),
    [
        ([100] * 20, [25] * 20),
        ([50] * 1000, None),
        ([700, 200, 99, 1], [350, 100, 50, 0]),
        ([10, 0, 20], [10, 0, 20]),
    ],
)
def test_the_sample_is_stratified_whatever_the_order_of_images(counts: list[int], drawn: list[int] | None) -> None:
    """Class folders come sorted by class: of the first 500, five classes of twenty would be seen."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    sample = relation_sample(labels)
    assert len(sample) == min(RELATION_IMAGES, len(labels)) == len(set(sample.tolist()))
    assert (sample.diff() > 0).all()
    found = labels[sample].bincount(minlength=len(counts)).tolist()
    if drawn is None:
        assert sorted(set(found)) == [0, 1]
    else:
        assert all(abs(a - b) <= 1 for a, b in zip(found, drawn, strict=True))
    assert sample.tolist() == relation_sample(labels).tolist()
    if len(labels) > RELATION_IMAGES:
        assert sample.tolist() != list(range(RELATION_IMAGES))


def test_within_a_class_any_image_may_be_drawn() -> None:
    labels = torch.repeat_interleave(torch.arange(2), torch.tensor([1000, 1000]))
    places = relation_sample(labels)[:250].double() / 1000
    assert 0.45 < places.mean() < 0.55
    assert places.min() < 0.03
    assert places.max() > 0.97


def test_a_record_says_how_relations_were_measured() -> None:
    student, teacher, labels = normal(700, 5), normal(700, 9, seed=4), torch.arange(700) % 3
    sample = relation_sample(labels)
    found = relations(student.float(), teacher.float(), labels)
    of_sample = relation_measures(student.float()[sample].double(), teacher.float()[sample].double(), labels[sample])
    assert found == {**of_sample, "relations_version": RELATIONS_VERSION}
