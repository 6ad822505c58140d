"""Ranks against published examples and other implementations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.components import components
from analysis.statistics.ranks import LEAST_DATASETS, complete, friedman_p, rank


def test_friedman_with_ties_is_scipys_by_imans_and_davenports_f() -> None:
    table = np.random.default_rng(3).integers(0, 4, (9, 5)).astype(float)
    statistic = stats.friedmanchisquare(*table.T).statistic
    f = 8 * statistic / (9 * 4 - statistic)
    assert friedman_p(stats.rankdata(table, axis=1)) == pytest.approx(stats.f.sf(f, 4, 4 * 8))
    # Demšar (2006): four classifiers on 14 data sets, chi-square 9.28, F 3.69.
    assert pytest.approx(3.69, abs=0.005) == 13 * 9.28 / (14 * 3 - 9.28)
    assert friedman_p(np.full((6, 3), 2.0)) == 1.0


def test_false_alarms_over_six_data_sets_are_as_rare_as_promised() -> None:
    random = np.random.default_rng(4)
    tables = random.normal(size=(1000, LEAST_DATASETS, 8)).argsort(axis=2).argsort(axis=2) + 1.0
    assert np.mean([friedman_p(table) < 0.05 for table in tables]) == pytest.approx(0.05, abs=0.021)


def scores(*datasets: str) -> dict[tuple[str, str], dict[str, float]]:
    """Three methods in one order on every pair but the last."""
    rows = {(dataset, str(i)): {"a": 3.0, "b": 2.0, "c": 1.0} for i, dataset in enumerate(datasets)}
    rows[datasets[-1], str(len(datasets) - 1)] = {"a": 3.0, "b": 1.0, "c": 2.0}
    return rows


def test_pairs_of_a_data_set_are_averaged_before_data_sets_are() -> None:
    found = rank(scores("d", "d", "d", "e"))
    assert found is not None
    assert found.methods == ("a", "b", "c")
    assert found.average == pytest.approx((1, 2.5, 2.5))
    assert (found.datasets, len(found.blocks), found.p) == (2, 4, None)


def test_ranks_are_tested_from_six_data_sets_on() -> None:
    five, six = rank(scores(*"abcde")), rank(scores(*"abcdef"))
    assert five is not None
    assert six is not None
    assert five.p is None
    assert six.p is not None
    assert six.p < 0.01


def test_holes_are_cut_out_where_they_cost_least() -> None:
    table = {("d", str(i)): {"a": 1.0, "b": 2.0, "c": 3.0} for i in range(4)}
    del table["d", "0"]["c"]
    table["d", "9"] = {"a": 1.0}
    blocks, methods, left_out = complete(table)
    assert (blocks, methods) == ([("d", "1"), ("d", "2"), ("d", "3")], ["a", "b", "c"])
    assert left_out == {"d: 9": 2, "d: 0": 1}
    del table["d", "1"]["c"]
    assert complete(table)[1:] == (["a", "b"], {"d: 9": 2, "c": 2})
    found = rank(table)
    assert found
    assert found.dropped == "d: 9 and c (2 holes each)"
    assert rank({("d", "0"): {"a": 1.0}}) is None
    assert rank({}) is None


BLOCKS = st.tuples(st.just("d"), st.text(max_size=2))


@settings(deadline=None)
@given(st.dictionaries(BLOCKS, st.dictionaries(st.sampled_from("abcd"), st.just(1.0))))
def test_what_remains_has_no_holes(scores: dict[tuple[str, str], dict[str, float]]) -> None:
    blocks, methods, _ = complete(scores)
    assert all(method in scores[block] for block in blocks for method in methods)


def test_components_find_what_gains_were_drawn_with() -> None:
    random = np.random.default_rng(5)
    drawn = []
    for _ in range(200):
        effects, common = random.normal(0, 2.0, 10), random.normal(0, 3.0, 8)
        table = effects + common[:, None] + random.normal(0, 1.5, (8, 10)) + random.normal(0, 0.5, (8, 10))
        gains = {("d", str(i)): {str(j): float(gain) for j, gain in enumerate(row)} for i, row in enumerate(table)}
        found = components(gains, 0.25)
        assert found
        drawn.append((found.methods**2, found.pairs**2))
    assert np.mean(drawn, axis=0) == pytest.approx((4.0, 2.25), rel=0.15)
    assert components({("d", "0"): {"a": 1.0, "b": 2.0}}, 0.1) is None
