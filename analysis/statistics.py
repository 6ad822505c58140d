"""Summaries over seeds: pure functions of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Summary:
    """Mean (None without values) and sample standard deviation (divisor n - 1, None below two values) of n values."""

    n: int
    mean: float | None
    std: float | None


def summarise(values: Sequence[float]) -> Summary:
    n = len(values)
    return Summary(n, fmean(values) if n else None, stdev(values) if n > 1 else None)
