"""What a number of seeds can show: the power of the moderated test, before or after anything ran.

`methods` are those compared with the student alone; `scales` are the variances of a run (s0², squared percentage
points) of the pairs that a gain is averaged over, one for a single cell.
"""

from bisect import bisect_left
from collections.abc import Sequence
from math import sqrt

from scipy.optimize import brentq
from scipy.special import polygamma
from scipy.stats import nct, t

from analysis.statistics.basic import ALPHA
from analysis.statistics.moderated import LENT

POWER = 0.8
"""At which a gain counts as seen."""

MOST_SEEDS = 1000


def power(gain: float, scales: Sequence[float], seeds: int, methods: int, tests: int) -> float:
    """That a gain is established as one of so many tests, by Bonferroni's bound, which is Holm's for the first of them.

    Two cells of n runs each, whose variances lean on a scale that all methods' cells know together.
    """
    pairs = len(scales)
    own = LENT + seeds - 1
    known = 2 * (methods + 1) / float(polygamma(1, (seeds - 1) / 2) + polygamma(1, LENT / 2))
    freedom = pairs * 4 / (2 / own + (2 * LENT / own) ** 2 / known)
    error = sqrt(2 * sum(scales) / seeds) / pairs
    limit = float(t.ppf(1 - ALPHA / (2 * tests), freedom))
    return float(nct.sf(limit, freedom, gain / error))


def smallest_gain(scales: Sequence[float], seeds: int, methods: int, tests: int) -> float:
    """The gain in percentage points that is seen with POWER."""
    most = sqrt(max(scales))
    while power(most, scales, seeds, methods, tests) < POWER:
        most *= 2
    found = brentq(lambda gain: power(gain, scales, seeds, methods, tests) - POWER, 0.0, most, xtol=1e-4)
    return float(found)


def seeds_needed(gain: float, scales: Sequence[float], methods: int, tests: int) -> int | None:
    """The fewest with which a gain is seen with POWER; None above MOST_SEEDS."""
    possible = range(2, MOST_SEEDS + 1)
    found = bisect_left(possible, POWER, key=lambda seeds: power(gain, scales, seeds, methods, tests))
    return possible[found] if found < len(possible) else None
