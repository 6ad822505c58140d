"""Statistics and ranks of numbers: against published worked examples, against scipy, and by simulation."""

from itertools import product
from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.paired import (
    ALPHA,
    Summary,
    bootstrap_interval,
    differences_needed,
    effect_size,
    estimate,
    holm,
    interquartile_mean,
    mean_difference,
    mean_interval,
    paired_t,
    pareto,
    share_interval,
    sign_flip,
    smallest_p,
    summarise,
    t_interval,
)

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
"""Student's own example (1908): extra hours of sleep under one drug minus those under another."""


MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Darwin's crossed minus self-fertilised plants, the example of Fisher's permutation test (1935)."""


def test_students_paired_t() -> None:
    interval = t_interval(SLEEP)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    assert paired_t(SLEEP) == pytest.approx(0.002832890)
    assert mean_interval([SLEEP]) == interval


def test_fishers_permutation_test() -> None:
    assert sign_flip([MAIZE]) == 2 * 863 / 2**15


def test_newcombes_score_interval() -> None:
    interval = share_interval(81, 263)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    extreme = share_interval(6, 6)
    assert extreme is not None
    assert extreme.low < 0.62
    assert extreme.high == 1


def test_holms_correction() -> None:
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_hedges_correction() -> None:
    # Mean 2, standard deviation 1, two degrees of freedom: 2 x (1 - 3 / 7).
    assert effect_size([[1.0, 2.0, 3.0]]) == pytest.approx(8 / 7)
    assert effect_size([[1.0, 1.0]]) is None


def test_interquartile_mean_is_a_trimmed_mean() -> None:
    random = np.random.default_rng(1)
    for n in (3, 4, 6, 9, 40):
        values = [float(value) for value in random.normal(size=n)]
        cells = [values[: n // 2], values[n // 2 :]]
        assert estimate(cells, interquartile_mean) == pytest.approx(stats.trim_mean(values, 0.25))


@given(st.lists(st.floats(-3, 3, allow_subnormal=False), min_size=1, max_size=9))
def test_sign_flip_counts_every_assignment(values: list[float]) -> None:
    sums = [abs(sum(sign * value for sign, value in zip(signs, values, strict=True)))
            for signs in product((1, -1), repeat=len(values))]  # fmt: skip
    scale = sum(map(abs, values))
    p = sign_flip([values])
    assert p == pytest.approx(np.mean([each >= abs(sum(values)) - 1e-9 * scale for each in sums]))
    assert p is not None
    assert p >= smallest_p(len(values))


def test_many_differences_agree_with_the_exact_test_where_both_are_near() -> None:
    random = np.random.default_rng(4)
    values = random.normal(0.3, 1, 22)
    halves = [np.array(list(product((1, -1), repeat=11))) @ half for half in (values[:11], values[11:])]
    exact = np.mean(np.abs(np.add.outer(*halves)) >= abs(values.sum()) - 1e-9)
    assert sign_flip([values[:20]]) != pytest.approx(
        2 * stats.norm.sf(abs(values[:20].sum()) / np.linalg.norm(values[:20]))
    )
    assert sign_flip([values]) == pytest.approx(exact, rel=0.1)
    assert sign_flip([[1.0] * 40]) == pytest.approx(smallest_p(40))


def test_how_many_differences_a_claim_needs() -> None:
    for tests in (1, 7, 28):
        needed = differences_needed(tests)
        assert smallest_p(needed) * tests < ALPHA <= smallest_p(needed - 1) * tests


@pytest.mark.parametrize(
    ("spreads", "runs", "shared"),
    [
        ([1], 3, 0),
        ([1, 1], 3, 0),
        ([1, 1, 1, 1], 5, 0),
        ([1, 5], 3, 0),
        ([1, 1], 5, 1),
        ([1, 1, 1], 3, 1),
        ([1, 1, 1, 3], 5, 2),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(spreads: list[int], runs: int, shared: int) -> None:
    """Also where cells vary by different amounts, and where all of a seed have a baseline in common."""
    random = np.random.default_rng(5)
    trials, cells = 400, len(spreads)
    held = {"mean": 0, "interquartile mean": 0}
    seeds = [list(range(runs))] * cells if shared else None
    for _ in range(trials):
        values = random.normal(0, 1, (cells, runs)) * np.array(spreads)[:, None] - shared * random.normal(0, 1, runs)
        drawn = [list(map(float, row)) for row in values]
        intervals = (mean_interval(drawn, seeds), bootstrap_interval(drawn, interquartile_mean, seeds))
        for name, interval in zip(held, intervals, strict=True):
            assert interval is not None
            held[name] += interval.low <= 0 <= interval.high
    # Three standard errors of a share of 0.95 are 0.033; with few degrees of freedom t errs to the safe side.
    assert all(0.917 < count / trials < (0.99 if len(set(spreads)) == 1 else 1) for count in held.values()), held


def test_values_of_one_observation_count_as_one() -> None:
    """Two cells of the same seeds say what their mean over cells says, a value for each seed."""
    random = np.random.default_rng(7)
    first, second = ([float(value) for value in random.normal(0.5, 1, 6)] for _ in range(2))
    means = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
    seeds = [list("abcdef")] * 2
    assert sign_flip([first, second], seeds) == sign_flip([means])
    shared, alone = mean_interval([first, second], seeds), t_interval(means)
    assert shared is not None
    assert alone is not None
    assert (shared.low, shared.high) == pytest.approx((alone.low, alone.high))


@pytest.mark.parametrize("shorter", [2, 3, 5])
def test_intervals_hold_where_one_cell_of_shared_observations_is_short(shorter: int) -> None:
    """A pair of which seeds diverged beside one that has more of them."""
    random = np.random.default_rng(8)
    trials, seeds = 400, [list(range(10)), list(range(shorter))]
    held = {"mean": 0, "interquartile mean": 0}
    for _ in range(trials):
        values = random.normal(0, 1, (2, 10)) - random.normal(0, 1, 10)
        drawn = [[float(value) for value in row[: len(own)]] for row, own in zip(values, seeds, strict=True)]
        intervals = (mean_interval(drawn, seeds), bootstrap_interval(drawn, interquartile_mean, seeds))
        for name, interval in zip(held, intervals, strict=True):
            assert interval is not None
            held[name] += interval.low <= 0 <= interval.high
    assert all(count / trials > 0.917 for count in held.values()), held


def test_cells_that_share_some_observations_are_one_part() -> None:
    """A run is missing: what is left of its seed still belongs together, and cells apart stay apart."""
    cells = [[1.0, 2.0, 4.0], [2.0, 5.0], [0.0, 3.0, 1.0]]
    whole = mean_interval(cells, [["a", "b", "c"], ["b", "c"], ["d", "e", "f"]])
    apart = mean_interval(cells)
    assert whole is not None
    assert apart is not None
    # Both cells rise from b to c.
    assert whole.high - whole.low > apart.high - apart.low


def test_pairs_may_lie_apart_without_widening_what_is_said_of_them() -> None:
    apart = mean_interval([[0.0, 1.0, 2.0], [100.0, 101.0, 102.0]])
    together = mean_interval([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    assert apart is not None
    assert together is not None
    assert apart.high - apart.low == pytest.approx(together.high - together.low)


@pytest.mark.parametrize("shared", [0, 1])
def test_false_alarms_are_as_rare_as_promised_whatever_the_distribution(shared: int) -> None:
    random = np.random.default_rng(6)
    alarms = 0
    for _ in range(400):
        values = random.standard_t(2, (2, 5)) - shared * random.standard_t(2, 5)
        p = sign_flip([list(map(float, row)) for row in values], [list(range(5))] * 2 if shared else None)
        alarms += p is not None and p < ALPHA
    assert alarms / 400 < 0.085


def test_nothing_is_made_of_nothing() -> None:
    assert (t_interval([1.0]), paired_t([1.0]), sign_flip([]), share_interval(0, 0)) == (None, None, None, None)
    assert mean_interval([[1.0, 2.0], [1.0]]) is bootstrap_interval([[1.0]], interquartile_mean) is None
    assert (paired_t([0.0, 0.0]), paired_t([1.0, 1.0])) == (1.0, None)


def test_the_pareto_front() -> None:
    points = [(1.0, 90.0), (2.0, 92.0), (2.0, 91.0), (3.0, 92.0), (4.0, 95.0), (1.0, 90.0)]
    assert pareto(points) == [True, True, False, False, True, True]


def test_differences_that_agree_up_to_rounding_are_no_certainty() -> None:
    noisy = [100 * (0.84 - 0.80), 100 * (0.85 - 0.81), 100 * (0.86 - 0.82)]
    assert len(set(noisy)) > 1
    assert paired_t(noisy) is t_interval(noisy) is effect_size([noisy]) is None
    assert bootstrap_interval([noisy, noisy], interquartile_mean) is None


def test_summary_is_the_sample_standard_deviation() -> None:
    summary = summarise([90.0, 91.0, 95.0])
    assert (summary.n, summary.mean) == (3, 92.0)
    assert summary.std == pytest.approx(7**0.5)
    assert (summarise([5.0]).std, summarise([]).mean) == (None, None)


def test_a_difference_of_means_is_judged_by_the_spreads_there_are() -> None:
    ours, theirs = (90.1, 90.4, 90.2), (89.1, 89.9, 89.3, 89.6)
    both = mean_difference(summarise(ours), summarise(theirs))
    welch = stats.ttest_ind(ours, theirs, equal_var=False)
    assert both
    assert both.p == pytest.approx(welch.pvalue)
    interval = welch.confidence_interval()
    assert both.half_width == pytest.approx((interval.high - interval.low) / 2)
    # Without a spread of its own a mean is taken to have the other's; an exact one has none to add.
    std = summarise(ours).std or 0.0
    for n, error in ((5, std * sqrt(1 / 3 + 1 / 5)), (inf, std / sqrt(3))):
        one = mean_difference(summarise(ours), Summary(n, 89.9, None))
        assert one
        assert one.half_width == pytest.approx(stats.t.ppf(0.975, 2) * error)
        assert one == mean_difference(Summary(n, 89.9, None), summarise(ours))
    assert mean_difference(Summary(1, 90.0, None), Summary(1, 89.0, None)) is None
    assert mean_difference(summarise([90.0, 90.0]), Summary(1, 89.0, None)) is None
