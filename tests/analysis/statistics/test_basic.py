"""Means, intervals and corrections: against published worked examples and other implementations."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.basic import Interval, holm, summarise, t_interval

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
"""Student's own example (1908): extra hours of sleep under one drug minus those under another."""


def test_students_t() -> None:
    interval = t_interval(SLEEP)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    another = t_interval(SLEEP, of_another=True)
    assert another is not None
    assert another.high - another.low == pytest.approx((interval.high - interval.low) * 11**0.5)


def test_an_interval_needs_values_that_vary() -> None:
    assert t_interval([1.0]) is t_interval([1.0, 2.0], least=3) is t_interval([2.0, 2.0, 2.0]) is None


def test_holms_correction() -> None:
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.01, 0.04], looks=3) == pytest.approx([0.06, 0.12])


@given(st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=5))
def test_holm_is_bonferroni_closed(values: list[float]) -> None:
    """A hypothesis' p is the largest that Bonferroni gives any set with it (Marcus, Peritz and Gabriel 1976)."""
    every = range(len(values))
    sets = [chosen for size in every for chosen in combinations(every, size + 1)]
    by_set = {chosen: min(1.0, len(chosen) * min(values[i] for i in chosen)) for chosen in sets}
    assert holm(values) == pytest.approx([max(p for chosen, p in by_set.items() if i in chosen) for i in every])


def test_summary_is_the_sample_standard_deviation() -> None:
    summary = summarise([90.0, 91.0, 95.0])
    assert (summary.n, summary.mean) == (3, 92.0)
    assert summary.std == pytest.approx(7**0.5)
    assert (summarise([5.0]).std, summarise([]).mean) == (None, None)


def test_values_that_agree_up_to_rounding_do_not_vary() -> None:
    noisy = [100 * (0.84 - 0.80), 100 * (0.85 - 0.81), 100 * (0.86 - 0.82)]
    assert len(set(noisy)) > 1
    assert summarise(noisy).std == 0


def test_within_is_inside_both_ends() -> None:
    assert Interval(-0.4, 0.4).within(0.5)
    assert not Interval(-0.6, 0.4).within(0.5)
