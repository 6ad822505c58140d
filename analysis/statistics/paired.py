"""Statistics of few paired numbers: pure functions, which know nothing of methods or records.

Every interval is a 95 % one, every test two-sided, every random draw seeded: the same numbers give the same result.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from math import floor, log2, sqrt
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr, t

Array = NDArray[np.float64]

Units = Sequence[Sequence[Hashable]]
"""Beside cells of values: which observation each value belongs to, once per cell at most. Values of different
observations are independent; those of one, in several cells, have something random in common. Without units every value
is an observation of its own.
"""

LEVEL = 0.95
ALPHA = 0.05
ROUNDING = 1e-9
"""Relative differences below this are rounding."""

DRAWS = 1_000
"""Bootstrap samples; a standard error from so many is within about two per cent of its limit."""

EXACT_SIGNS = 20
"""Up to so many differences every assignment of signs is counted; the sum of more is close to normal."""


@dataclass(frozen=True)
class Summary:
    """Mean (None without values) and sample standard deviation (divisor n - 1, None below two values) of n values."""

    n: float
    mean: float | None
    std: float | None


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval, in the unit of what it is about."""

    low: float
    high: float


def ends(interval: Interval | None) -> tuple[float | None, float | None]:
    """Of an interval that may not be known."""
    return (interval.low, interval.high) if interval else (None, None)


def summarise(values: Sequence[float]) -> Summary:
    n = len(values)
    return Summary(n, fmean(values) if n else None, spread(values) if n > 1 else None)


def spread(values: Sequence[float]) -> float:
    """Sample standard deviation; 0 where values differ by rounding alone, which must not pass for certainty."""
    std = float(np.std(values, ddof=1))
    return std if std > ROUNDING * max(map(abs, values)) else 0.0


def t_interval(values: Sequence[float]) -> Interval | None:
    """Of the mean, by Student's t with n - 1 degrees of freedom; None below two values."""
    return mean_interval([values])


def mean_interval(cells: Sequence[Sequence[float]], units: Units | None = None) -> Interval | None:
    """Of the mean over cells of their mean, for these cells: Student's t. It is what `bootstrap_interval` comes to
    without its randomness, because a mean's standard error is known in closed form. None without cells, where one has a
    single value, and where nothing varies.
    """
    if not cells or min(map(len, cells)) < 2:
        return None
    variance, freedom = _variance_of_sum(cells, units or _apart(cells))
    if variance == 0:
        return None
    half = _t(freedom) * sqrt(variance) / len(cells)
    middle = fmean(fmean(cell) for cell in cells)
    return Interval(middle - half, middle + half)


def _apart(cells: Sequence[Sequence[float]]) -> Units:
    return [[(i, j) for j in range(len(cell))] for i, cell in enumerate(cells)]


def _variance_of_sum(cells: Sequence[Sequence[float]], units: Units) -> tuple[float, float]:
    """Of the sum over cells of their means, with its degrees of freedom by Welch (1947) and Satterthwaite, since cells
    may vary by different amounts.

    Cells that share observations are one part of the sum, whose observations are as many summands of it; its spread is
    known as badly as that of the smallest of them. Of cells that share none, each part is the mean's usual variance.
    """
    parts = []
    for members in _linked(units):
        summands: dict[Hashable, float] = {}
        for i in members:
            middle, n = fmean(cells[i]), len(cells[i])
            for unit, value in zip(units[i], cells[i], strict=True):
                summands[unit] = summands.get(unit, 0.0) + (value - middle) / sqrt(n * (n - 1))
        variance = sum(summand**2 for summand in summands.values())
        largest = max(abs(value) for i in members for value in cells[i])
        if sqrt(len(summands) * variance) > ROUNDING * largest:
            parts.append((variance, min(len(cells[i]) for i in members) - 1))
    total = sum(variance for variance, _ in parts)
    return total, total**2 / sum(variance**2 / freedom for variance, freedom in parts) if parts else 0.0


def _linked(units: Units) -> list[list[int]]:
    """Numbers of the cells, those together that share observations, also by way of others."""
    found: list[tuple[set[Hashable], list[int]]] = []
    for i, own in enumerate(units):
        joined = [group for group in found if group[0] & set(own)]
        found = [group for group in found if group not in joined]
        found.append((set(own).union(*(g[0] for g in joined)), [*(j for g in joined for j in g[1]), i]))
    return [members for _, members in found]


@cache
def _t(freedom: float) -> float:
    """How many standard errors a two-sided interval reaches."""
    return float(t.ppf((1 + LEVEL) / 2, freedom))


@dataclass(frozen=True)
class Difference:
    """p that two means are the same, and half of the 95 % interval of their difference."""

    p: float
    half_width: float


def mean_difference(first: Summary, second: Summary) -> Difference | None:
    """Of two independent means, by Welch's test. A spread that one side alone has, from two values or more, is taken
    for both; None where neither has one and where nothing varies. A mean that is exact has infinitely many values.
    """
    spreads = [(each.std, each.n) for each in (first, second) if each.std is not None and each.n > 1]
    if len(spreads) == 2:
        parts = [(std**2 / n, n - 1) for std, n in spreads]
    else:
        parts = [(std**2 * (1 / first.n + 1 / second.n), n - 1) for std, n in spreads]
    variance = sum(part for part, _ in parts)
    if not variance or first.mean is None or second.mean is None:
        return None
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    distance = abs(first.mean - second.mean) / sqrt(variance)
    return Difference(float(2 * t.sf(distance, freedom)), _t(freedom) * sqrt(variance))


def paired_t(differences: Sequence[float]) -> float | None:
    """p of the paired t-test that the mean difference is 0; None below two differences.

    Differences that are all the same have no spread to judge them by: p is 1 if they are 0, else None.
    """
    n = len(differences)
    if n < 2:
        return None
    mean, std = fmean(differences), spread(differences)
    if std == 0:
        return None if mean else 1.0
    return float(2 * t.sf(abs(mean) / std * sqrt(n), n - 1))


def sign_flip(cells: Sequence[Sequence[float]], units: Units | None = None) -> float | None:
    """p that the mean over cells of their mean difference is 0, where under that hypothesis every observation might as
    well have had the other sign: the share of sign assignments that give a mean at least as far from 0. Exact up to
    EXACT_SIGNS observations, beyond them by the normal distribution, whose tails are the heavier. Assumes no
    distribution of the differences. None without any.
    """
    summands: dict[Hashable, float] = {}
    for cell, own in zip(cells, units or _apart(cells), strict=True):
        for value, unit in zip(cell, own, strict=True):
            summands[unit] = summands.get(unit, 0.0) + value / len(cell)
    weighted = np.array(list(summands.values()))
    n, total = len(weighted), abs(float(weighted.sum()))
    if n == 0:
        return None
    if n > EXACT_SIGNS:
        spread = float(np.sqrt((weighted**2).sum()))
        return 2 * float(norm.sf(total / spread)) if spread else 1.0
    # Sums of the same numbers in another order differ in their last bits and must count as equal.
    threshold = total - ROUNDING * float(np.abs(weighted).sum())
    sums = weighted[:1]  # of one sign: the other gives the same distances from 0
    for value in weighted[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return float(np.mean(np.abs(sums) >= threshold))


def smallest_p(n: int) -> float:
    """The least p that `sign_flip` can give for n differences."""
    return min(1.0, 2.0 ** (1 - n)) if n <= EXACT_SIGNS else 2 * float(norm.sf(sqrt(n)))


def differences_needed(tests: int) -> int:
    """How many differences `sign_flip` needs for the best of several tests to be able to pass ALPHA after `holm`."""
    return floor(log2(tests / ALPHA)) + 2


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p values adjusted for all of them being tested at once (Holm 1979). A test that could not be made (None) stays
    None and does not count.
    """
    tested = sorted((p, i) for i, p in enumerate(values) if p is not None)
    adjusted: list[float | None] = [None] * len(values)
    running = 0.0
    for rank, (p, i) in enumerate(tested):
        running = max(running, min(1.0, p * (len(tested) - rank)))
        adjusted[i] = running
    return adjusted


def effect_size(cells: Sequence[Sequence[float]]) -> float | None:
    """Mean difference in units of the differences' standard deviation within cells (Cohen's d for paired samples),
    times Hedges' correction for few values. None without a spread.
    """
    kept = [cell for cell in cells if len(cell) > 1]
    freedom = sum(len(cell) - 1 for cell in kept)
    squares = sum((len(cell) - 1) * spread(cell) ** 2 for cell in kept)
    if not freedom or squares == 0:
        return None
    correction = 1 - 3 / (4 * freedom - 1)
    return correction * fmean(fmean(cell) for cell in cells) / sqrt(squares / freedom)


def share_interval(successes: float, n: int) -> Interval | None:
    """Of a share, by Wilson's score (1927), which stays honest at 0 and 1; a tie may count as half a success."""
    if n == 0:
        return None
    z = float(norm.ppf((1 + LEVEL) / 2))
    share = successes / n
    centre, scale = share + z**2 / (2 * n), 1 + z**2 / n
    half = z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Interval(max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale))


Statistic = Callable[[list[Array]], Array]
"""From cells of [draws, runs] each to [draws]."""


def interquartile_mean(cells: list[Array]) -> Array:
    """Mean of the middle half of all runs: a quarter, rounded down, is cut at either end."""
    runs = np.concatenate(cells, axis=1)
    cut = runs.shape[1] // 4
    runs.partition((cut, runs.shape[1] - cut - 1), axis=1)
    return runs[:, cut : runs.shape[1] - cut].mean(axis=1)


def estimate(cells: Sequence[Sequence[float]], statistic: Statistic) -> float:
    """A statistic of the runs as they are."""
    return float(statistic([np.array([cell], dtype=float) for cell in cells])[0])


def bootstrap_interval(
    cells: Sequence[Sequence[float]], statistic: Statistic, units: Units | None = None
) -> Interval | None:
    """Of a statistic over several cells, each with its own runs, which are resampled within their cell only. What cells
    have in common widens the interval by as much as the mean's.

    The interval is the estimate ± Student's t times the bootstrap's standard error. The usual percentiles are too
    narrow for three runs a cell (alone, they hold the truth three times in four), for two reasons that are mended here:
    resampled deviations are too small by the square root of (n - 1) / n, and three runs know their spread badly, which
    is what t is for (Hesterberg 2015, arXiv:1411.5279, discusses both), with the mean's degrees of freedom. None
    without cells, where one has a single run, whose spread is not known, and where nothing varies.
    """
    if not cells or min(map(len, cells)) < 2:
        return None
    variance, freedom = _variance_of_sum(cells, units or _apart(cells))
    if variance == 0:
        return None
    random = np.random.default_rng(0)
    drawn = []
    for cell in cells:
        values, n = np.array(cell, dtype=float), len(cell)
        deviations = (values - values.mean()) * sqrt(n / (n - 1))
        drawn.append(values.mean() + deviations[random.integers(0, n, (DRAWS, n))])
    wider = sqrt(variance / _variance_of_sum(cells, _apart(cells))[0])
    middle = estimate(cells, statistic)
    half = _t(freedom) * wider * float(statistic(drawn).std())
    return Interval(middle - half, middle + half) if half > ROUNDING * abs(middle) else None


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Rank correlation; None below three points or where one side does not vary."""
    if len(first) < 3 or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(spearmanr(first, second).statistic)


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which (budget, accuracy) no other point beats by less of the one and no less of the other."""

    def beaten(budget: float, accuracy: float) -> bool:
        return any(b <= budget and a >= accuracy and (b, a) != (budget, accuracy) for b, a in points)

    return [not beaten(*point) for point in points]
