"""Means, spreads, intervals and corrections of few numbers: pure functions, which know nothing of methods or records.

Every interval is a 95 % one unless said otherwise, every test two-sided.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean
from typing import Any, TypeVar

import numpy as np
from scipy.stats import t

LEVEL = 0.95
ALPHA = 0.05
ROUNDING = 1e-9
"""Relative differences below this are rounding."""


@dataclass(frozen=True)
class Sample:
    """Mean (None without values) and sample standard deviation (divisor n - 1, None below two values) of n values."""

    n: int
    mean: float | None
    std: float | None


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in the unit of what it is about."""

    low: float
    high: float

    def within(self, delta: float) -> bool:
        """Whether it lies inside ±delta."""
        return -delta < self.low and self.high < delta


def ends(interval: Interval | None, name: str = "") -> dict[str, float | None]:
    """Of an interval that may not be known, as columns of a CSV file: `low` and `high` behind a name."""
    return {f"{name}{end}": getattr(interval, end, None) for end in ("low", "high")}


def summarise(values: Sequence[float]) -> Sample:
    n = len(values)
    return Sample(n, fmean(values) if n else None, spread(values) if n > 1 else None)


def spread(values: Sequence[float]) -> float:
    """Sample standard deviation; 0 where values differ by rounding alone, which must not pass for certainty."""
    std = float(np.std(values, ddof=1))
    return std if std > ROUNDING * max(map(abs, values)) else 0.0


def t_interval(values: Sequence[float], least: int = 2, *, of_another: bool = False) -> Interval | None:
    """Of the mean of what the values are drawn from or, wider, of another value; by Student's t, None below `least`
    values and where nothing varies.
    """
    n = len(values)
    if n < max(least, 2) or spread(values) == 0:
        return None
    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * spread(values) * sqrt(1 / n + of_another)
    return Interval(fmean(values) - half, fmean(values) + half)


AnyTest = TypeVar("AnyTest")


def corrected(family: Sequence[AnyTest], looks: int = 1) -> list[AnyTest]:
    """Tests that were made together, dataclasses with `p` and `p_holm`, each with its p adjusted as `holm` does."""
    tests: Sequence[Any] = family
    adjusted = holm([each.p for each in tests], looks)
    return [replace(each, p_holm=p) for each, p in zip(tests, adjusted, strict=True)]


def rejects(p_holm: float | None) -> bool:
    """Whether a test, adjusted for all that were made with it, rejects."""
    return p_holm is not None and p_holm < ALPHA


def holm(values: Sequence[float | None], looks: int = 1) -> list[float | None]:
    """p values adjusted for all of them being tested at once (Holm 1979) and for so many looks at the data, each at its
    share of ALPHA (Bonferroni). A test that could not be made (None) stays None and does not count.
    """
    tested = sorted((p, i) for i, p in enumerate(values) if p is not None)
    adjusted: list[float | None] = [None] * len(values)
    running = 0.0
    for rank, (p, i) in enumerate(tested):
        running = max(running, min(1.0, looks * p * (len(tested) - rank)))
        adjusted[i] = running
    return adjusted
