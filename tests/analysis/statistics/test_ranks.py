"""Ranks against published examples and other implementations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.ranks import complete, friedman, iman_davenport_p, nemenyi, rank, signed_rank


def test_demsars_ranks() -> None:
    # Demšar (2006): four classifiers on 14 data sets, chi-square 9.28, F 3.69, critical distance 1.25.
    assert nemenyi(4, 14) == pytest.approx(1.25, abs=0.005)
    assert iman_davenport_p(9.28, 14, 4) == pytest.approx(stats.f.sf(3.69, 3, 39), abs=1e-4)
    # His Table 5: q(0.05) for 2, 5 and 10 methods.
    for methods, q in ((2, 1.960), (5, 2.728), (10, 3.164)):
        assert nemenyi(methods, 6) / np.sqrt(methods * (methods + 1) / 36) == pytest.approx(q, abs=5e-4)


def test_signed_ranks_are_wilcoxons() -> None:
    random = np.random.default_rng(2)
    for n in (3, 8, 12):
        differences = random.normal(0.4, 1, n)
        assert signed_rank(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


def test_friedman_with_ties_is_scipys() -> None:
    random = np.random.default_rng(3)
    table = random.integers(0, 4, (9, 5)).astype(float)
    expected = stats.friedmanchisquare(*table.T)
    assert friedman(stats.rankdata(table, axis=1)) == pytest.approx(expected.statistic)
    found = rank({("d", str(i)): dict(zip("abcde", row, strict=True)) for i, row in enumerate(table)})
    assert found is not None
    assert found.p == pytest.approx(expected.pvalue, abs=0.05)


def test_ranks_of_a_complete_table() -> None:
    rows = [{"a": 3.0, "b": 2.0, "c": 1.0}] * 6 + [{"a": 3.0, "b": 1.0, "c": 2.0}]
    found = rank({("d", str(i)): row for i, row in enumerate(rows)})
    assert found is not None
    assert found.methods == ("a", "b", "c")
    assert found.average == pytest.approx((1, 15 / 7, 20 / 7))
    assert found.p < 0.01
    assert found.adjusted["a", "c"] == pytest.approx(3 * 2 / 2**7)
    assert found.groups == (("b", "c"),)
    assert found.smallest_p == pytest.approx(3 * 2 / 2**7)


def test_two_blocks_establish_nothing() -> None:
    found = rank({("d", str(i)): {"a": 2.0, "b": 1.0} for i in range(2)})
    assert found is not None
    assert found.groups == (("a", "b"),)
    assert found.smallest_p == 0.5


def test_holes_are_cut_out_where_they_cost_least() -> None:
    scores = {("d", str(i)): {"a": 1.0, "b": 2.0, "c": 3.0} for i in range(4)}
    del scores["d", "0"]["c"]
    scores["d", "9"] = {"a": 1.0}
    blocks, methods, left_out = complete(scores)
    assert (blocks, methods) == ([("d", "1"), ("d", "2"), ("d", "3")], ["a", "b", "c"])
    assert left_out == {"d: 9": 2, "d: 0": 1}
    del scores["d", "1"]["c"]
    assert complete(scores)[1:] == (["a", "b"], {"d: 9": 2, "c": 2})
    assert rank({("d", "0"): {"a": 1.0}}) is None
    assert rank({}) is None


BLOCKS = st.tuples(st.just("d"), st.text(max_size=2))


@settings(deadline=None)
@given(st.dictionaries(BLOCKS, st.dictionaries(st.sampled_from("abcd"), st.just(1.0))))
def test_what_remains_has_no_holes(scores: dict[tuple[str, str], dict[str, float]]) -> None:
    blocks, methods, _ = complete(scores)
    assert all(method in scores[block] for block in blocks for method in methods)
