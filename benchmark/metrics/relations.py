"""How much of the teacher's geometry a student's embeddings have, [R, D] and [R, D_T] of the same images.

1 is equal geometry, 0 also where a measure has no value: embeddings that all coincide transfer no geometry. A Pearson
correlation of distances is what representational similarity analysis takes (Kriegeskorte et al. 2008), and not the
distance correlation of Szekely et al. 2007.
"""

from typing import Any

import numpy as np
from scipy.spatial.distance import pdist, squareform

from benchmark.metrics.registry import SIMILARITY, Array, metric

RELATION_IMAGES = 500
"""How many images relations are compared on, the first; their number of pairs grows with its square."""

NEIGHBOURS = 10


@metric("Correlation with the teacher's distances", "Distances", SIMILARITY, field="distance_correlation")
def distance_pearson(embeddings: Array, teacher_embeddings: Array) -> float:
    """Correlation (Pearson's) of the pairwise distances of test embeddings, student's and teacher's."""
    return _pearson(_distances(embeddings), _distances(teacher_embeddings))


@metric("The same within classes", "Within classes", SIMILARITY, field="within_class_correlation")
def within_class_distance_pearson(
    embeddings: Array, teacher_embeddings: Array, embedding_labels: Array
) -> float | None:
    """Correlation of the distances of test embeddings over pairs of one class alone. None for fewer than two such."""
    labels = embedding_labels[:RELATION_IMAGES]
    rows, columns = np.triu_indices(len(labels), 1)
    within = labels[rows] == labels[columns]
    if within.sum() < 2:
        return None
    return _pearson(_distances(embeddings)[within], _distances(teacher_embeddings)[within])


@metric("Correlation with the teacher's cosines", "Cosines", SIMILARITY, field="angle_correlation")
def cosine_pearson(embeddings: Array, teacher_embeddings: Array) -> float:
    """Correlation of the cosines between centred test embeddings, student's and teacher's."""
    pairs = np.triu_indices(len(_sample(embeddings)), 1)
    return _pearson(*(_cosines(_centred(each))[pairs] for each in (embeddings, teacher_embeddings)))


@metric("CKA with the teacher's embeddings", "CKA", SIMILARITY)
def cka(embeddings: Array, teacher_embeddings: Array) -> float:
    """Linear centred kernel alignment of test embeddings, debiased as of relations_version 1.

    Kornblith et al. 2019 with the unbiased HSIC_1 of Song et al. 2012: near 0 for independent embeddings of any widths,
    down to -1; 0 where it is not defined, as for R < 4. HSIC_1 is the mean product of the two Gram matrices without
    their diagonals, each centred for that (Szekely & Rizzo 2014): so it is an inner product, and rounding leads no
    value out of [-1, 1].
    """
    if len(embeddings) < 4:
        return 0.0
    ours, its = (_centred_gram(_centred(each)) for each in (embeddings, teacher_embeddings))
    return _ratio((ours * its).sum(), np.linalg.norm(ours) * np.linalg.norm(its))


@metric("Nearest neighbours in common with the teacher", "Neighbours")
def neighbour_overlap(embeddings: Array, teacher_embeddings: Array) -> float:
    """Share of nearest neighbours among test embeddings that student and teacher have in common."""
    ours, its = (_nearest(squareform(_distances(each))) for each in (embeddings, teacher_embeddings))
    return _ratio((ours & its).sum(), ours.sum())


def _sample(embeddings: Array) -> Array:
    return embeddings[:RELATION_IMAGES].astype(np.float64)


def _centred(embeddings: Array) -> Array:
    sample = _sample(embeddings)
    return sample - sample.mean(0)


def _distances(embeddings: Array) -> Array:
    """Of each two, [R (R - 1) / 2]."""
    return pdist(_sample(embeddings))


def _cosines(x: Array) -> Array:
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return unit @ unit.T


def _centred_gram(x: Array) -> Array:
    n, gram = len(x), x @ x.T
    np.fill_diagonal(gram, 0)
    rows = gram.sum(0)
    gram += rows.sum() / ((n - 1) * (n - 2)) - (rows[:, None] + rows) / (n - 2)
    np.fill_diagonal(gram, 0)
    return gram


def _nearest(distances: Array) -> Array:
    """Whether the column is among the row's nearest neighbours, [R, R]."""
    count = min(NEIGHBOURS, len(distances) - 1)
    np.fill_diagonal(distances, np.inf)
    found = np.zeros(distances.shape, bool)
    np.put_along_axis(found, distances.argsort(1, kind="stable")[:, :count], True, 1)
    return found


def _pearson(a: Array, b: Array) -> float:
    if not len(a):
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    return _ratio(a @ b, np.linalg.norm(a) * np.linalg.norm(b))


def _ratio(part: Any, whole: Any) -> float:
    value = part / whole if whole else 0.0
    return float(value) if np.isfinite(value) else 0.0
