"""Moderated tests: known answers, the limits that other implementations know, and what may not change them."""

from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from analysis.runs.load import load
from analysis.statistics.basic import Sample, summarise
from analysis.statistics.evidence import collect_evidence
from analysis.statistics.moderated import (
    Estimate,
    Moderation,
    Part,
    best_set,
    linked,
    mean_over_pairs,
    on_front,
    together,
)

ROOT = Path(__file__).parents[3]

STUDENT, A, B, C = (29.13, 30.57, 29.64), (40.0, 42.6, 41.6), (38.4, 39.4, 38.6), (31.0, 35.1, 27.9)


def moderation(*cells: tuple[float, ...], lent: float = 3.0) -> Moderation:
    return Moderation.fit((Part.of(summarise(cell)) for cell in cells), lent)


def gain(cell: tuple[float, ...], *others: tuple[float, ...], lent: float = 3.0) -> Estimate:
    """Over STUDENT, in a pair with these others."""
    found = moderation(STUDENT, cell, *others, lent=lent).difference(summarise(cell), summarise(STUDENT))
    assert found
    return found


def near(values: tuple[float, ...]) -> object:
    return pytest.approx(values, rel=2e-6, abs=5e-9)


# Known answers, computed apart from this code


def test_a_pair_of_four_cells() -> None:  # V1
    pair = moderation(STUDENT, A, B, C)
    assert (pair.scale, pair.freedom) == near((1.665937, 3.101092))
    shrunk = tuple(pair.variance(Part.of(summarise(cell))) for cell in (STUDENT, A, B, C))
    assert shrunk == near((1.212802, 1.687562, 1.111562, 6.216896))
    for found, known in (
        (gain(A, B, C), (11.62, 0.966788, 3.908085, 11.817904, 0.00033430, 2.755460)),
        (gain(B, A, C), (9.02, 0.774788, 2.952229, 10.247431, 0.00212299, 2.827073)),
        (gain(C, A, B), (1.553333, 2.476566, 5.927322, 0.987051, 0.36217998, 3.862206)),
    ):
        assert (found.value, found.variance, found.freedom, found.t, found.p, found.half_width()) == near(known)


def test_a_cell_of_two_runs() -> None:  # V2
    few = B[:2]
    pair = moderation(STUDENT, A, few, C)
    assert (pair.scale, pair.freedom) == near((2.533815, 2.666558))
    found, other = gain(few, A, C), gain(A, few, C)
    assert (found.value, found.variance, found.freedom) == near((9.12, 1.590524, 2.260333))
    assert (found.p, found.half_width()) == near((0.01319337, 4.869305))
    assert (other.variance, other.freedom, other.p) == near((1.313939, 3.080849, 0.00182269))


def test_a_cell_without_a_spread_is_lent_one() -> None:  # V3
    alike = (33.0, 33.0, 33.0)
    pair, found = moderation(STUDENT, A, B, alike), gain(alike, A, B)
    assert (pair.scale, pair.freedom) == near((0.782713, 2.325819))
    assert pair.variance(Part.of(summarise(alike))) == pytest.approx(0.469628, abs=1e-6)
    assert (found.value, found.variance, found.freedom, found.t) == near((3.22, 0.384165, 2.570735, 5.195134))
    assert (found.p, found.half_width()) == near((0.02010335, 2.172595))


def test_two_cells_alone() -> None:  # V4
    pair, found = moderation(STUDENT, A), gain(A)
    assert (pair.scale, pair.freedom) == near((1.179251, 1.550546))
    assert (found.variance, found.freedom, found.p, found.half_width()) == near(
        (0.772114, 2.899341, 0.00110846, 2.852150)
    )


def test_ten_runs() -> None:  # V5
    student, a = tuple(i / 10 for i in range(10)), tuple(1 + i * i / 50 for i in range(10))
    pair = moderation(student, a)
    found = pair.difference(summarise(a), summarise(student))
    assert found
    assert (pair.scale, pair.freedom) == near((0.132980, 3.379728)) or pair.scale == pytest.approx(0.132980, abs=1e-6)
    assert (found.value, found.variance, found.freedom, found.t) == pytest.approx(
        (1.12, 0.037559, 16.768162, 5.779110), abs=2e-6
    )
    assert (found.p, found.half_width()) == pytest.approx((0.00002346, 0.409316), abs=1e-6)


def test_a_mean_over_pairs() -> None:  # V6
    found = mean_over_pairs([Estimate(1.2, v, f) for v, f in ((0.5, 6), (0.2, 9), (0.1, 20))])
    assert (found.variance, found.freedom) == near((0.0940758041, 8.235422))
    assert (found.t, found.p, found.half_width()) == near((3.912391, 0.00422002, 0.703789))
    alone = Estimate(1.2, 0.5, 6)
    assert mean_over_pairs([alone]) is alone
    poor = mean_over_pairs([Estimate(1.2, 0.4, 3), Estimate(1.2, 0.4, 8)])
    assert (poor.variance, poor.freedom) == near((0.1976661533, 5.417843))


def test_without_a_loan_it_is_welchs() -> None:  # V7
    found = gain(A, lent=1e-9)
    assert (found.freedom, found.p) == near((3.131109, 0.000718779))
    assert found.p == pytest.approx(stats.ttest_ind(A, STUDENT, equal_var=False).pvalue)


def test_the_committed_records() -> None:  # V8
    grids = ("digits", "fashion_mnist", "cifar100_cpu", "cifar100_brief")
    evidence = collect_evidence(load([ROOT / "results" / "reference" / grid for grid in grids]).runs)
    place = ("cifar100", "resnet56_resnet20", "sp")
    found, pair = evidence.gains[place], evidence.samples[place][1]
    assert (pair.scale, pair.freedom) == near((1.256861, 6.977457))
    assert found.estimate
    assert (found.gain, found.estimate.variance, found.estimate.freedom) == near((11.616667, 0.831882, 6.354147))
    assert (found.estimate.t, found.estimate.half_width()) == near((12.736516, 2.201961))
    assert (found.p, found.p_holm) == pytest.approx((9.26e-06, 0.000426), rel=1e-2)
    assert len(evidence.gains) == 47
    verdicts = [gain.verdict for gain in evidence.gains.values()]
    assert (verdicts.count("better"), verdicts.count("worse")) == (14, 6)
    assert {method for *pair, method in evidence.best if pair == ["cifar100", "resnet56_resnet20"]} == {
        *("sp", "fitnet", "kd")
    }
    assert (sum(each.established for each in evidence.between), len(evidence.between)) == (22, 28)
    assert [each.method for each in evidence.over_alone if each.verdict == "open"] == ["rkd_d", "rkd_da"]
    assert evidence.spread
    assert (evidence.spread.methods, evidence.spread.pairs) == pytest.approx((1.3, 2.24), abs=0.01)


# Limits that other implementations know

ACCURACY = st.floats(20, 95).map(lambda value: round(value, 2))
CELL = st.lists(ACCURACY, min_size=2, max_size=5).map(tuple)


@given(CELL, CELL)
def test_what_has_nothing_to_borrow_from_is_tested_by_welch(
    first: tuple[float, ...], second: tuple[float, ...]
) -> None:
    assume(np.ptp(first) > 0.1)
    assume(np.ptp(second) > 0.1)
    oracle = stats.ttest_ind(first, second, equal_var=False)
    found = Moderation().difference(summarise(first), summarise(second))
    assert found
    assert (found.t, found.freedom, found.p) == pytest.approx((oracle.statistic, oracle.df, oracle.pvalue))
    interval, ours = oracle.confidence_interval(), found.interval()
    assert ours
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))


def test_one_known_scale_is_the_t_test_of_one_variance() -> None:
    """As the loan grows it drowns what cells say, and the scale, known as well as its weight says, is left."""
    pair = Moderation(2.0, 8.0, 1e9)
    found = pair.difference(summarise(A), summarise(STUDENT))
    assert found
    assert (found.variance, found.freedom) == pytest.approx((2.0 * 2 / 3, 8.0), rel=1e-6)


def test_a_mean_of_many_runs_a_pair_is_the_usual_one() -> None:
    found = mean_over_pairs([Estimate(1.0, 0.3, inf), Estimate(2.0, 0.5, inf)])
    assert (found.value, found.variance, found.freedom) == (1.5, pytest.approx(0.2), inf)


def test_two_one_sided_tests_are_scipys() -> None:
    found = Estimate(0.2, 0.02, 9.0)
    sides = stats.t.sf((0.2 + 0.5) / 0.02**0.5, 9), stats.t.cdf((0.2 - 0.5) / 0.02**0.5, 9)
    for delta in (0.4, 0.45, 0.5):
        sides = (0.2 + delta) / 0.02**0.5, (0.2 - delta) / 0.02**0.5
        assert found.equivalent(delta) == (max(stats.t.sf(sides[0], 9), stats.t.cdf(sides[1], 9)) < 0.05)


# Edges


def test_a_single_run_is_not_tested_and_lends_nothing() -> None:
    one = summarise([40.0])
    pair = moderation(STUDENT, A, (40.0,))
    assert pair == moderation(STUDENT, A)
    assert pair.difference(one, summarise(STUDENT)) is pair.mean(one) is None


def test_where_nothing_varies_equal_means_have_p_one_and_others_none() -> None:
    flat = [summarise([value] * 3) for value in (30.0, 30.0, 31.0)]
    pair = Moderation.fit(map(Part.of, flat))
    same, other = pair.difference(flat[0], flat[1]), pair.difference(flat[2], flat[0])
    assert same
    assert other
    assert (same.p, other.p, other.interval(), other.equivalent(9.0)) == (1.0, None, None, False)


@given(st.lists(CELL, min_size=2, max_size=5), st.floats(0.01, 100), st.floats(-10, 10))
def test_scale_order_and_shifts_change_nothing_else(cells: list[tuple[float, ...]], times: float, shift: float) -> None:
    assume(all(np.ptp(cell) > 0.1 for cell in cells))
    pair = moderation(*cells)
    before = pair.difference(summarise(cells[0]), summarise(cells[1]))
    assert before
    scaled = [tuple(times * value for value in cell) for cell in cells]
    after = moderation(*scaled).difference(summarise(scaled[0]), summarise(scaled[1]))
    assert after
    assert after.variance == pytest.approx(times**2 * before.variance)
    assert (after.freedom, after.p) == pytest.approx((before.freedom, before.p), rel=1e-6)
    turned = moderation(*cells[::-1])
    assert (turned.scale, turned.freedom) == pytest.approx((pair.scale, pair.freedom))
    moved = tuple(value + shift for value in cells[0])
    other = moderation(moved, *cells[1:]).difference(summarise(moved), summarise(cells[1]))
    assert other
    assert other.value == pytest.approx(before.value + shift, abs=1e-6)
    assert (other.variance, other.freedom) == pytest.approx((before.variance, before.freedom), rel=1e-6)


# Runs in common


def test_pairs_that_share_all_runs_say_no_more_than_one() -> None:
    one = Estimate(1.0, 0.5, 12.0)
    shared = mean_over_pairs([one, one], {(0, 1): 0.5})
    apart = mean_over_pairs([one, one])
    # Both share all of their error, so that the mean is no better known than one of them.
    assert (shared.variance, shared.freedom) == pytest.approx((one.variance, one.freedom))
    assert apart.variance < 0.6 * shared.variance


def test_groups_are_linked_also_by_way_of_others() -> None:
    assert linked(5, [(0, 2), (2, 4)]) == [[0, 2, 4], [1], [3]]
    assert linked(4, [(0, 1), (2, 3), (1, 3)]) == [[0, 1, 2, 3]]
    assert linked(2, []) == [[0], [1]]


# A cell made twice


def test_two_sides_pool_what_they_know() -> None:
    first, second = summarise(A), summarise([40.1, 41.0])
    part = together(first, second)
    assert part
    assert (part.freedom, part.weight) == (3, pytest.approx(1 / 3 + 1 / 2))
    assert part.variance == pytest.approx((2 * 1.72 + 0.405) / 3)
    oracle = stats.ttest_ind(A, [40.1, 41.0])
    found = Moderation().agreement(first, second)
    assert found
    assert (found.t, found.p) == pytest.approx((oracle.statistic, oracle.pvalue))
    lent = Moderation(2.0, 5.0, 3.0).agreement(first, second)
    assert lent
    shrunk = (3 * 2.0 + 3 * part.variance) / 6
    assert lent.variance == pytest.approx(shrunk * part.weight)
    leaning = 3 * 2.0 / 6 * part.weight
    assert lent.freedom == pytest.approx(lent.variance**2 / (lent.variance**2 / 6 + leaning**2 / 5))


def test_a_side_without_runs_is_exact_and_one_run_counts_as_one() -> None:
    for n, weight in ((0, 1 / 3), (1, 1 / 3 + 1)):
        part = together(summarise(A), Sample(n, 41.0, None))
        assert part
        assert (part.freedom, part.weight) == (2, pytest.approx(weight))
    assert together(summarise([1.0]), Sample(1, 2.0, None)) is None


# The best, and the front


def test_the_best_are_who_is_not_told_apart_from_the_highest_mean() -> None:
    cells = {"a": A, "b": B, "c": C, "student": STUDENT}
    samples = {name: summarise(cell) for name, cell in cells.items()}
    pair = moderation(*cells.values())
    rivals = {name: pair.difference(samples["a"], samples[name]) for name in ("b", "c", "student")}
    near_best = {n for n, gap in rivals.items() if gap and stats.t.sf(gap.t, gap.freedom) >= 0.05 / 3}
    assert best_set(samples, pair) == {"a", *near_best} == {"a", "b"}
    assert best_set({"a": samples["a"]}, pair) == best_set({n: summarise([1.0]) for n in "ab"}, pair) == set()


def test_the_front_draws_means_and_counts_costs_within_two_per_cent_as_equal() -> None:
    pair = Moderation(1.0, inf, 3.0)
    good, bad = (Sample(4, mean, 1.0) for mean in (60.0, 50.0))
    cells = [(bad, pair), (good, pair), (bad, pair)]
    assert on_front(cells, [1.0, 2.0, 3.0]) == [1.0, 1.0, 0.0]
    assert on_front(cells, [1.0, 1.015, 3.0]) == [0.0, 1.0, 0.0]
    assert on_front(cells, [1.0, 1.021, 3.0]) == [1.0, 1.0, 0.0]
    first, second = on_front([(good, pair), (good, pair)], [1.0, 1.0])
    assert first + second == pytest.approx(1.0)
    assert first == pytest.approx(0.5, abs=0.02)
    # One student alone on two pairs: its runs do not beat themselves.
    assert on_front([(good, pair), (good, pair), (bad, pair)], [1.0, 1.0, 2.0], ["a", "a", "b"]) == [1.0, 1.0, 0.0]
    # Half a point apart, each mean known to ± 0.5 with 6 degrees of freedom.
    close = on_front([(good, pair), (Sample(4, 60.5, 1.0), pair)], [1.0, 1.0])
    random = np.random.default_rng(5)
    drawn = random.standard_t(6, (2, 200_000)) * 0.5
    assert close[1] == pytest.approx((0.5 + drawn[1] > drawn[0]).mean(), abs=0.015)
    assert on_front([(Sample(1, 60.0, None), Moderation()), (Sample(1, 50.0, None), Moderation())], [1, 1]) == [1, 0]
