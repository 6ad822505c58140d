"""Whether two measures of methods go together within pairs, which differ in both for reasons of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

PERMUTATIONS = 10_000
LEAST = 3
"""Methods of a pair; two always rank alike or opposite."""


@dataclass(frozen=True)
class Association:
    """Spearman's rank correlation within pairs, each counting alike, and its two-sided p by permutation within them."""

    rho: float
    p: float
    pairs: int


def within(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Association | None:
    """Of two measures of a pair's methods, for each pair. Pairs below three methods, and those in which one of the two
    is the same for all, say nothing; None where none is left.
    """
    random = np.random.default_rng(0)
    observed, drawn, used = 0.0, np.zeros(PERMUTATIONS), 0
    for first, second in pairs:
        a, b = _centred(first), _centred(second)
        scale = np.sqrt((a @ a) * (b @ b))
        if len(a) < LEAST or scale == 0:
            continue
        observed += float(a @ b / scale)
        drawn += random.permuted(np.tile(b, (PERMUTATIONS, 1)), axis=1) @ a / scale
        used += 1
    if not used:
        return None
    extreme = int((np.abs(drawn) >= abs(observed) - 1e-9).sum())
    return Association(observed / used, (extreme + 1) / (PERMUTATIONS + 1), used)


def _centred(values: Sequence[float]) -> np.ndarray:
    ranks = rankdata(values)
    return np.asarray(ranks - ranks.mean())
