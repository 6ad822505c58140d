"""Association within pairs: what differs between pairs does not count."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.association import within


def test_differences_between_pairs_do_not_count() -> None:
    up = [(np.array([1.0, 2.0, 3.0]) + 10 * i, np.array([3.0, 2.0, 1.0]) + 50 * i) for i in range(4)]
    found = within(up)
    assert found
    assert (found.rho, found.pairs) == (pytest.approx(-1), 4)
    # Of 6 orders a pair two are extreme together in all four: 2 x (1/6)^4, up to the draws.
    assert found.p == pytest.approx(2 / 6**4, abs=1.5e-3)


def test_it_is_scipys_spearman_in_a_single_pair() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 9))
    found = within([(first, second)])
    assert found
    expected = stats.spearmanr(first, second)
    assert found.rho == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, abs=0.03)


def test_pairs_that_say_nothing_are_left_out() -> None:
    assert within([([1.0, 2.0], [1.0, 2.0]), ([1.0] * 4, [1.0, 2.0, 3.0, 4.0])]) is None
    assert within([]) is None
