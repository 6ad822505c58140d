"""Differences between means over few runs, tested with variances that are moderated within a pair.

Three runs know their own variance badly. The cells of a pair therefore lend each other what they know of it, by the
empirical Bayes method of limma (Smyth 2004), with a correction for the scale that is itself estimated from few cells.
Runs are not paired by seed: accuracies of two methods hardly correlate over seeds, and pairing would halve the degrees
of freedom. `docs/statistics.md` has the formulas in words, and the rates at which they err.

Accuracies are percent, gains percentage points. A cell is a method on a pair.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import exp, inf, isclose, log, sqrt

import numpy as np
from scipy.cluster.hierarchy import DisjointSet
from scipy.special import digamma, polygamma
from scipy.stats import t

from analysis.statistics.basic import ALPHA, LEVEL, ROUNDING, Interval, Sample

LENT = 3.0
"""d0: degrees of freedom that a pair lends each of its cells. The suite's own records support 7 to 8, so that 3 errs to
the safe side, towards what a cell's runs say themselves."""

LEAST_FREEDOM = 4.5
"""Of a cell in a mean over pairs: the variance of a t below 4 has no variance."""

ALIKE = 1.02
"""Costs within 2 % are equal: they are not counted more exactly."""

DRAWS = 10_000


@dataclass(frozen=True)
class Estimate:
    """A mean or a difference of means, the variance of its error, and how well that is known, as degrees of freedom."""

    value: float
    variance: float
    freedom: float

    @property
    def t(self) -> float:
        """How many standard errors from 0; infinite where nothing varies."""
        return self.value / sqrt(self.variance) if self.variance else inf if self.value else 0.0

    @property
    def p(self) -> float | None:
        """That it is 0. Where nothing varies, 1 if it is 0, else None."""
        if not self.variance:
            return None if self.value else 1.0
        return float(2 * t.sf(abs(self.t), self.freedom))

    def half_width(self, level: float = LEVEL) -> float:
        return float(t.ppf((1 + level) / 2, self.freedom)) * sqrt(self.variance) if self.variance else 0.0

    def interval(self, level: float = LEVEL) -> Interval | None:
        """None where nothing varies, which is no certainty."""
        half = self.half_width(level)
        return Interval(self.value - half, self.value + half) if half else None

    def equivalent(self, delta: float) -> bool:
        """Whether two one-sided tests at ALPHA each tell it from both -delta and delta (Schuirmann 1987)."""
        interval = self.interval(1 - 2 * ALPHA)
        return interval is not None and interval.within(delta)


@dataclass(frozen=True)
class Part:
    """A variance estimated with `freedom` degrees of freedom, and how much of it the error of an estimate has: 1/n for
    a mean of n runs.
    """

    variance: float
    freedom: float
    weight: float

    @classmethod
    def of(cls, sample: Sample) -> "Part":
        return cls((sample.std or 0.0) ** 2, sample.n - 1, 1 / sample.n)


@dataclass(frozen=True)
class Moderation:
    """What the cells of a pair know together: variances lie around `scale` (s0²), which is itself known with `freedom`
    (f0) degrees of freedom; each cell is lent `lent` (d0) of it. Without a loan every test is Welch's.
    """

    scale: float = 0.0
    freedom: float = inf
    lent: float = 0.0

    @classmethod
    def fit(cls, parts: Iterable[Part], lent: float = LENT) -> "Moderation":
        """Of a pair's cells; those without a spread know nothing, and below two others there is none to borrow from."""
        known = [part for part in parts if part.freedom > 0 and part.variance > 0]
        if len(known) < 2:
            return cls()
        variance, half = np.array([(part.variance, part.freedom / 2) for part in known]).T
        logarithms = np.log(variance) - digamma(half) + np.log(half)
        weights = 1 / (polygamma(1, half) + polygamma(1, lent / 2))
        centre = float(weights @ logarithms / weights.sum())
        return cls(exp(centre + float(digamma(lent / 2)) - log(lent / 2)), 2 * float(weights.sum()), lent)

    def variance(self, part: Part) -> float:
        """s̃²: the weighted mean of what the pair and the cell say."""
        return (self.lent * self.scale + part.freedom * part.variance) / (self.lent + part.freedom)

    def estimate(self, value: float, *parts: Part) -> Estimate:
        """Degrees of freedom are Satterthwaite's, less what the common scale is not known: all parts lean on it."""
        errors = [part.weight * self.variance(part) for part in parts]
        total = sum(errors)
        if not total:
            return Estimate(value, 0.0, inf)
        own = sum(error**2 / (self.lent + part.freedom) for error, part in zip(errors, parts, strict=True))
        leaning = sum(part.weight * self.lent * self.scale / (self.lent + part.freedom) for part in parts)
        return Estimate(value, total, total**2 / (own + leaning**2 / self.freedom))

    def mean(self, sample: Sample) -> Estimate | None:
        """Of a cell; None without a spread of its own."""
        return None if sample.mean is None or sample.n < 2 else self.estimate(sample.mean, Part.of(sample))

    def difference(self, first: Sample, second: Sample) -> Estimate | None:
        """Of two cells of the pair; None where one has a single run, whose spread nobody knows."""
        if min(first.n, second.n) < 2:
            return None
        return self.estimate(less(first, second), Part.of(first), Part.of(second))

    def agreement(self, first: Sample, second: Sample) -> Estimate | None:
        """Of one cell made twice, with what both sides know of its variance pooled."""
        pooled = together(first, second)
        return None if pooled is None else self.estimate(less(first, second), pooled)


def together(first: Sample, second: Sample) -> Part | None:
    """The pooled variance of one cell made twice; None where neither has a spread. A mean of no runs is exact."""
    known = [(each.std, each.n - 1) for each in (first, second) if each.std is not None]
    freedom = sum(degrees for _, degrees in known)
    if not freedom:
        return None
    weight = sum(1 / each.n for each in (first, second) if each.n)
    return Part(sum(std**2 * degrees for std, degrees in known) / freedom, freedom, weight)


def less(first: Sample, second: Sample) -> float:
    """One mean less the other; 0 where only rounding keeps them apart."""
    assert first.mean is not None
    assert second.mean is not None
    return 0.0 if isclose(first.mean, second.mean, rel_tol=ROUNDING) else first.mean - second.mean


def mean_over_pairs(estimates: Sequence[Estimate], shared: Mapping[tuple[int, int], float] | None = None) -> Estimate:
    """Of estimates that count alike, for these pairs. `shared` has covariances of those that have runs in common, by
    their numbers, the smaller first.

    Moderated variances are too small on average, which a sum of them would show: the variance of a t mends it, and its
    kurtosis gives the sum's degrees of freedom (Patil 1965). Estimates with runs in common are one summand, whose
    variance is known as badly as that of the worst of them.
    """
    if len(estimates) == 1:
        return estimates[0]
    shared = shared or {}
    freedoms = [max(each.freedom, LEAST_FREEDOM) for each in estimates]
    summands = []
    for group in linked(len(estimates), shared):
        worst = min(freedoms[i] for i in group)
        common = sum(2 * shared.get(two, 0.0) for two in combinations(group, 2))
        own = sum(estimates[i].variance * _variance_of_t(freedoms[i]) for i in group)
        summands.append((own + common * _variance_of_t(worst), worst))
    value, total = sum(each.value for each in estimates) / len(estimates), sum(error for error, _ in summands)
    if not total:
        return Estimate(value, 0.0, inf)
    doubt = sum(error**2 / (f - 4) for error, f in summands)
    freedom = 4 + total**2 / doubt if doubt else inf
    return Estimate(value, total / len(estimates) ** 2 / _variance_of_t(freedom), freedom)


def _variance_of_t(freedom: float) -> float:
    return freedom / (freedom - 2) if freedom < inf else 1.0


def linked(number: int, shared: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The numbers below `number`, those together that share something, also by way of others, in rising order."""
    groups = DisjointSet(range(number))
    for two in shared:
        groups.merge(*two)
    return sorted(map(sorted, groups.subsets()))


def best_set(samples: Mapping[str, Sample], moderation: Moderation) -> set[str]:
    """Those of a pair's methods that are not told apart from the best mean, one-sided, by Bonferroni's share of ALPHA
    (Hsu 1996); empty where the best cannot be tested against any other.
    """
    tested = {name: sample for name, sample in samples.items() if sample.n > 1 and sample.mean is not None}
    if len(tested) < 2:
        return set()
    best = max(tested.values(), key=lambda sample: sample.mean or 0.0)
    rivals = {name: moderation.difference(best, sample) for name, sample in tested.items()}
    share = ALPHA / (len(tested) - 1)
    return {name for name, gap in rivals.items() if gap and (gap.value == 0 or gap.t < t.ppf(1 - share, gap.freedom))}


def drawn_means(samples: Sequence[tuple[Sample, Moderation]], draws: int = DRAWS) -> np.ndarray:
    """What the means of cells may be, each from its moderated t: [cells, draws]. Seeded. A single run of a pair that
    knows no spread is taken as it is."""
    random = np.random.default_rng(0)
    drawn = np.empty((len(samples), draws))
    for row, (sample, moderation) in zip(drawn, samples, strict=True):
        assert sample.mean is not None
        part, freedom = Part.of(sample), moderation.lent + sample.n - 1
        error = sqrt(moderation.variance(part) / sample.n) if freedom else 0.0
        row[:] = sample.mean + (error * random.standard_t(freedom, draws) if error else 0.0)
    return drawn


def on_front(
    samples: Sequence[tuple[Sample, Moderation]], costs: Sequence[float], trainings: Sequence[Hashable] = ()
) -> list[float]:
    """For each cell, how probable it is that no other of its cost or less (within 2 %) is more accurate: the share of
    draws of all cells' means, each from its moderated t, in which that is so. Cells of equal `trainings` are the same
    runs, on pairs that share them, and have the same draws.
    """
    drawn = drawn_means(samples)
    if trainings:
        drawn = drawn[[trainings.index(each) for each in trainings]]
    cost = np.array(costs)
    order = cost.argsort()
    best = np.maximum.accumulate(drawn[order])  # of so many of the cheapest
    reach = np.searchsorted(cost[order], ALIKE * cost, side="right") - 1
    return [float((best[i] <= mine).mean()) for i, mine in zip(reach, drawn, strict=True)]
