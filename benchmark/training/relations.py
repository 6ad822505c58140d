"""How much of the teacher's geometry a student's embeddings have, on a sample of test images."""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.records import RELATIONS_VERSION
from benchmark.spec import derive_seed

RELATION_IMAGES = 500
"""How many test images relations are compared on; their number of pairs grows with its square."""
NEIGHBOURS = 10


def relations(student: Tensor, teacher: Tensor, labels: Tensor) -> dict[str, float | int | None]:
    """What a record says of relations, by embeddings [N, D_S] and [N, D_T] and labels [N] of a whole test set."""
    sample = relation_sample(labels).to(student.device)
    measures = relation_measures(student[sample].double(), teacher[sample].double(), labels[sample.to(labels.device)])
    return {**measures, "relations_version": RELATIONS_VERSION}


def relation_sample(labels: Tensor) -> Tensor:
    """Positions, rising, of the test images that relations are compared on, from all labels [N]: every class has its
    share of them, as nearly as whole images can be, and within a class any are as likely. The labels alone decide.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(derive_seed("relations")))
    mixed = labels.cpu()[order]
    counts = mixed.bincount()
    by_class = mixed.argsort(stable=True)
    rank = torch.empty_like(mixed)  # of each image within its class, by the random order
    rank[by_class] = torch.arange(len(mixed)) - (counts.cumsum(0) - counts)[mixed[by_class]]
    passed = (rank.double() + 0.5) / counts[mixed]
    return order[passed.argsort(stable=True)[:RELATION_IMAGES]].sort().values


def relation_measures(student: Tensor, teacher: Tensor, labels: Tensor) -> dict[str, float | None]:
    """How alike the geometry of two sets of embeddings is, [N, D_S] and [N, D_T], float64; 1 is equal geometry. The
    names are those of a record's fields.

    distance_correlation: Pearson correlation of all pairwise distances, as representational similarity analysis has it
    (Kriegeskorte et al. 2008), which is not the distance correlation of Szekely et al. 2007.
    within_class_correlation: the same over pairs of one class alone; None for fewer than two such pairs.
    angle_correlation: of the cosines between all pairs of centred embeddings. cka: debiased linear centred kernel
    alignment. neighbour_overlap: mean share of each image's nearest neighbours by distance that the two have in common.
    """
    student, teacher = student - student.mean(0), teacher - teacher.mean(0)
    pairs = torch.ones(len(student), len(student), dtype=torch.bool, device=student.device).triu(1)
    within = pairs & (labels[:, None] == labels).to(pairs.device)
    d_student, d_teacher = torch.cdist(student, student), torch.cdist(teacher, teacher)
    c_student, c_teacher = (F.normalize(x, dim=1) @ F.normalize(x, dim=1).T for x in (student, teacher))
    return {
        "distance_correlation": _correlation(d_student[pairs], d_teacher[pairs]),
        "within_class_correlation": _correlation(d_student[within], d_teacher[within]) if within.sum() > 1 else None,
        "angle_correlation": _correlation(c_student[pairs], c_teacher[pairs]),
        "cka": debiased_cka(student, teacher),
        "neighbour_overlap": _neighbour_overlap(d_student, d_teacher),
    }


def debiased_cka(student: Tensor, teacher: Tensor) -> float:
    """Linear CKA (Kornblith et al. 2019) of embeddings [N, D_S] and [N, D_T] with the unbiased HSIC_1 of Song et al.
    2012: near 0 for independent ones of any widths, down to -1; 0 where it is not defined, as for N < 4.

    HSIC_1 is the mean product of the two Gram matrices without their diagonals, each centred for that (Szekely & Rizzo
    2014): so it is an inner product, and rounding leads no value out of [-1, 1].
    """
    if len(student) < 4:
        return 0.0
    ours, its = _centred_gram(student), _centred_gram(teacher)
    return _finite((ours * its).sum() / (ours.norm() * its.norm()))


def _centred_gram(x: Tensor) -> Tensor:
    n = len(x)
    gram = (x @ x.T).fill_diagonal_(0)
    rows = gram.sum(0)
    return (gram - (rows[:, None] + rows) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))).fill_diagonal_(0)


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
