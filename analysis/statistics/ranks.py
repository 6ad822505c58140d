"""Ranks of methods over blocks (data set x pair), and which differences between them are established."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import numpy as np
from scipy.stats import f, rankdata, studentized_range

from analysis.statistics.paired import ALPHA, Array, holm, sign_flip, smallest_p

PERMUTATIONS = 10_000

Block = tuple[str, str]
"""Data set and pair."""


@dataclass(frozen=True)
class Ranking:
    """Average ranks (1 is best, ties share the mean of their ranks), the best method first.

    `p` is Friedman's test that all methods rank alike, by permutation within blocks; `f_p` is Iman and Davenport's F
    approximation of it. `critical_distance` is Nemenyi's. `adjusted` has the Holm-corrected p of Wilcoxon's signed-rank
    test for each two methods, and `groups` the maximal runs of neighbours among which it tells no two apart: what the
    bars of a critical-difference diagram join. `smallest_p` is the least that any of these can be with so many blocks.
    `left_out` names methods and blocks that were dropped to have a complete table, with their number of holes.
    """

    methods: tuple[str, ...]
    average: tuple[float, ...]
    blocks: tuple[Block, ...]
    left_out: Mapping[str, int]
    statistic: float
    p: float
    f_p: float
    critical_distance: float
    adjusted: Mapping[tuple[str, str], float]
    groups: tuple[tuple[str, ...], ...]
    smallest_p: float


def rank(scores: Mapping[Block, Mapping[str, float]]) -> Ranking | None:
    """Rank methods by their score in each block, the higher the better. Methods and blocks with holes are dropped, the
    one with the largest share of holes first, until the table is complete. None if less than two of either are left.
    """
    blocks, methods, left_out = complete(scores)
    if len(blocks) < 2 or len(methods) < 2:
        return None
    table = np.array([[scores[block][method] for method in methods] for block in blocks])
    ranks = np.array([rankdata(-row) for row in table])
    order = sorted(range(len(methods)), key=lambda i: (ranks[:, i].mean(), i))
    methods, table, ranks = [methods[i] for i in order], table[:, order], ranks[:, order]
    statistic = friedman(ranks)
    adjusted, smallest = _wilcoxon(table, methods)
    return Ranking(
        methods=tuple(methods),
        average=tuple(float(value) for value in ranks.mean(axis=0)),
        blocks=tuple(blocks),
        left_out=left_out,
        statistic=statistic,
        p=_permutation_p(ranks, statistic),
        f_p=iman_davenport_p(statistic, *ranks.shape),
        critical_distance=nemenyi(len(methods), len(blocks)),
        adjusted=adjusted,
        groups=_groups(methods, adjusted),
        smallest_p=smallest,
    )


def complete(scores: Mapping[Block, Mapping[str, float]]) -> tuple[list[Block], list[str], dict[str, int]]:
    """Blocks and methods of the complete table that dropping the emptiest first comes to, and what was dropped."""
    blocks = list(scores)
    methods = list(dict.fromkeys(method for row in scores.values() for method in row))
    left_out: dict[str, int] = {}
    while True:
        rows = {block: sum(method not in scores[block] for method in methods) for block in blocks}
        columns = {method: sum(method not in scores[block] for block in blocks) for method in methods}
        # Of equal shares the method goes: a block is dearer, it is what a claim is over.
        block = max(blocks, key=lambda name: rows[name], default=None)
        method = max(methods, key=lambda name: columns[name], default=None)
        if block is None or method is None or not rows[block]:
            return blocks, methods, left_out
        if columns[method] * len(methods) >= rows[block] * len(blocks):
            left_out[method] = columns[method]
            methods.remove(method)
        else:
            left_out[": ".join(block)] = rows[block]
            blocks.remove(block)


def friedman(ranks: Array) -> float:
    """Friedman's chi-square with its correction for ties, from ranks [blocks, methods]; 0 where all are tied."""
    n, k = ranks.shape
    centred = ranks.mean(axis=0) - (k + 1) / 2
    spread = ((ranks - (k + 1) / 2) ** 2).sum() / (n * (k - 1))
    return float(n * (centred**2).sum() / spread) if spread else 0.0


def _permutation_p(ranks: Array, statistic: float) -> float:
    """The chi-square distribution is a poor likeness for a handful of blocks; shuffled ranks are not."""
    random = np.random.default_rng(0)
    n, k = ranks.shape
    centred = np.zeros((PERMUTATIONS, k))
    for row in ranks - (k + 1) / 2:
        centred += random.permuted(np.tile(row, (PERMUTATIONS, 1)), axis=1)
    spread = ((ranks - (k + 1) / 2) ** 2).sum() / (n * (k - 1))
    if not spread:
        return 1.0
    drawn = (centred**2).sum(axis=1) / (n * spread)
    return float(((drawn >= statistic - 1e-9).sum() + 1) / (PERMUTATIONS + 1))


def iman_davenport_p(statistic: float, blocks: int, methods: int) -> float:
    """p of Friedman's chi-square by the F distribution (Iman & Davenport 1980)."""
    rest = blocks * (methods - 1) - statistic
    if rest <= 0:
        return 0.0
    value = (blocks - 1) * statistic / rest
    return float(f.sf(value, methods - 1, (methods - 1) * (blocks - 1)))


def nemenyi(methods: int, blocks: int) -> float:
    """By how much average ranks must differ in Nemenyi's test at ALPHA (Demšar 2006)."""
    q = studentized_range.ppf(1 - ALPHA, methods, np.inf) / sqrt(2)
    return float(q * sqrt(methods * (methods + 1) / (6 * blocks)))


def _wilcoxon(table: Array, methods: Sequence[str]) -> tuple[dict[tuple[str, str], float], float]:
    """Holm-corrected p for each two methods, and the least that any can be.

    Unlike Nemenyi's mean ranks, it does not depend on which other methods are in the table (Benavoli et al. 2016).
    """
    pairs = list(combinations(range(len(methods)), 2))
    adjusted = holm([signed_rank(table[:, i] - table[:, j]) for i, j in pairs])
    found = {(methods[i], methods[j]): p for (i, j), p in zip(pairs, adjusted, strict=True) if p is not None}
    return found, min(1.0, smallest_p(len(table)) * len(pairs))


def signed_rank(differences: Array) -> float | None:
    """p of Wilcoxon's signed-rank test, by counting signs, so that ties and zeros (which keep their rank, as Pratt
    proposed) need no approximation.
    """
    return sign_flip([[float(value) for value in np.sign(differences) * rankdata(np.abs(differences))]])


def _groups(methods: Sequence[str], adjusted: Mapping[tuple[str, str], float]) -> tuple[tuple[str, ...], ...]:
    found: list[tuple[int, int]] = []
    for start in range(len(methods)):
        end = start
        while end + 1 < len(methods) and all(
            adjusted[methods[i], methods[end + 1]] >= ALPHA for i in range(start, end + 1)
        ):
            end += 1
        if end > start and not any(first <= start and end <= last for first, last in found):
            found.append((start, end))
    return tuple(tuple(methods[first : last + 1]) for first, last in found)
