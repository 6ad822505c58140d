"""Statistics against published worked examples, against scipy, and by simulation; gains, tests and ranks of runs."""

from itertools import product
from pathlib import Path

import fake_results as fake
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.cells import pool, poolable
from analysis.gains import Comparison, between_methods, cell_gains, method_gains, paired_gains, ranking, relation_gains
from analysis.load import load
from analysis.ranks import complete, friedman, iman_davenport_p, nemenyi, rank, signed_rank
from analysis.statistics import (
    ALPHA,
    bootstrap_interval,
    differences_needed,
    effect_size,
    estimate,
    holm,
    interquartile_mean,
    mean_interval,
    paired_t,
    pareto,
    share_interval,
    sign_flip,
    smallest_p,
    t_interval,
)
from benchmark.records import Record

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
"""Student's own example (1908): extra hours of sleep under one drug minus those under another."""

MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Darwin's crossed minus self-fertilised plants, the example of Fisher's permutation test (1935)."""


def frame(tmp_path: Path, *records: Record) -> pd.DataFrame:
    return load([fake.write(tmp_path / "grid", *records)]).runs


# Worked examples


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


def test_demsars_ranks() -> None:
    # Demšar (2006): four classifiers on 14 data sets, chi-square 9.28, F 3.69, critical distance 1.25.
    assert nemenyi(4, 14) == pytest.approx(1.25, abs=0.005)
    assert iman_davenport_p(9.28, 14, 4) == pytest.approx(stats.f.sf(3.69, 3, 39), abs=1e-4)
    # His Table 5: q(0.05) for 2, 5 and 10 methods.
    for methods, q in ((2, 1.960), (5, 2.728), (10, 3.164)):
        assert nemenyi(methods, 6) / np.sqrt(methods * (methods + 1) / 36) == pytest.approx(q, abs=5e-4)


def test_holms_correction() -> None:
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_hedges_correction() -> None:
    # Mean 2, standard deviation 1, two degrees of freedom: 2 x (1 - 3 / 7).
    assert effect_size([[1.0, 2.0, 3.0]]) == pytest.approx(8 / 7)
    assert effect_size([[1.0, 1.0]]) is None


# Against scipy


def test_interquartile_mean_is_a_trimmed_mean() -> None:
    random = np.random.default_rng(1)
    for n in (3, 4, 6, 9, 40):
        values = [float(value) for value in random.normal(size=n)]
        cells = [values[: n // 2], values[n // 2 :]]
        assert estimate(cells, interquartile_mean) == pytest.approx(stats.trim_mean(values, 0.25))


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


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=9))
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
    values = random.normal(0.3, 1, 17)
    extended = sign_flip([values])
    exact = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert extended == pytest.approx(exact, rel=0.1)
    assert sign_flip([[1.0] * 40]) == pytest.approx(smallest_p(40))


def test_how_many_differences_a_claim_needs() -> None:
    for tests in (1, 7, 28):
        needed = differences_needed(tests)
        assert smallest_p(needed) * tests < ALPHA <= smallest_p(needed - 1) * tests


# By simulation


@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (4, 5)])
def test_intervals_hold_the_truth_as_often_as_they_say(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(5)
    trials, cells, runs = 300, *shape
    held = {"mean": 0, "interquartile mean": 0}
    for _ in range(trials):
        drawn = [list(map(float, row)) for row in random.normal(0, 1, (cells, runs))]
        intervals = (mean_interval(drawn), bootstrap_interval(drawn, interquartile_mean))
        for name, interval in zip(held, intervals, strict=True):
            assert interval is not None
            held[name] += interval.low <= 0 <= interval.high
    # Three standard errors of a share of 0.95 are 0.038.
    assert all(0.91 < count / trials < 0.99 for count in held.values()), held


def test_pairs_may_lie_apart_without_widening_what_is_said_of_them() -> None:
    apart = mean_interval([[0.0, 1.0, 2.0], [100.0, 101.0, 102.0]])
    together = mean_interval([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    assert apart is not None
    assert together is not None
    assert apart.high - apart.low == pytest.approx(together.high - together.low)


def test_false_alarms_are_as_rare_as_promised_whatever_the_distribution() -> None:
    random = np.random.default_rng(6)
    alarms = 0
    for _ in range(400):
        values = random.standard_t(2, (2, 5))
        p = sign_flip([list(map(float, row)) for row in values])
        alarms += p is not None and p < ALPHA
    assert alarms / 400 < 0.085


def test_nothing_is_made_of_nothing() -> None:
    assert (t_interval([1.0]), paired_t([1.0]), sign_flip([]), share_interval(0, 0)) == (None, None, None, None)
    assert mean_interval([[1.0, 2.0], [1.0]]) is bootstrap_interval([[1.0]], interquartile_mean) is None
    assert (paired_t([0.0, 0.0]), paired_t([1.0, 1.0])) == (1.0, None)


def test_the_pareto_front() -> None:
    points = [(1.0, 90.0), (2.0, 92.0), (2.0, 91.0), (3.0, 92.0), (4.0, 95.0), (1.0, 90.0)]
    assert pareto(points) == [True, True, False, False, True, True]


# Ranks


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


# Of runs


def grid(gains: dict[str, tuple[float, ...]], pair: tuple[str, str] = fake.PAIRS[0]) -> list[Record]:
    """Runs whose gains over a student alone of 80 + seed % are these percentage points, a seed each."""
    seeds = range(max(map(len, gains.values())))
    alone = [fake.record(fake.run("student", seed, pair), 0.80 + seed / 100) for seed in seeds]
    return alone + [
        fake.record(fake.run(method, seed, pair), 0.80 + (seed + gain) / 100)
        for method, values in gains.items()
        for seed, gain in enumerate(values)
    ]


def against_alone(runs: pd.DataFrame) -> dict[str, Comparison]:
    return {each.method: each for each in method_gains(paired_gains(runs))}


def test_gains_are_paired_by_seed(tmp_path: Path) -> None:
    runs = frame(tmp_path, *grid({"kd": (1.0, 2.0, 4.5)}))
    gains = paired_gains(runs)
    assert list(gains.gain) == pytest.approx([1.0, 2.0, 4.5])
    assert list(gains.seed) == [0, 1, 2]
    [cell] = cell_gains(gains)
    assert (cell.n, cell.gain) == (3, pytest.approx(2.5))
    assert cell.p == pytest.approx(stats.ttest_rel([1.0, 2.0, 4.5], [0, 0, 0]).pvalue)
    assert cell.p_holm == cell.p


def test_every_cell_is_in_one_family_of_tests(tmp_path: Path) -> None:
    cells = cell_gains(paired_gains(frame(tmp_path, *grid({"kd": (1.0, 1.1, 1.2), "sp": (-1.0, 0.5, 2.0)}))))
    assert [cell.p_holm for cell in cells] == pytest.approx(holm([cell.p for cell in cells]))
    assert cells[0].p_holm == pytest.approx(2 * (cells[0].p or 0))


def test_a_method_over_two_pairs(tmp_path: Path) -> None:
    records = grid({"kd": (1.0, 2.0, 3.0)}) + grid({"kd": (3.0, 4.0, 5.0)}, fake.PAIRS[1])
    kd = against_alone(frame(tmp_path, *records))["kd"]
    assert (kd.pairs, kd.n, kd.tests) == (2, 6, 1)
    assert (kd.gain, kd.iqm) == pytest.approx((3.0, 3.0))
    assert kd.p == kd.smallest == 2 / 2**6
    assert kd.established
    assert (kd.improvement, kd.effect) == pytest.approx((1.0, 3 * (1 - 3 / 15)))
    assert kd.interval is not None
    assert kd.elsewhere is not None
    # Standard error of the mean of two means of three values with variance 1: sqrt(1/6); t with 4 degrees of freedom.
    assert kd.interval.high - kd.gain == pytest.approx(stats.t.ppf(0.975, 4) / 6**0.5)
    # Two pairs' means of 2 and 4, t with 1 degree of freedom.
    assert kd.elsewhere.high - kd.gain == pytest.approx(stats.t.ppf(0.975, 1))


def test_three_seeds_of_one_pair_establish_nothing(tmp_path: Path) -> None:
    kd = against_alone(frame(tmp_path, *grid({"kd": (5.0, 5.1, 5.2)})))["kd"]
    assert (kd.p, kd.smallest, kd.established) == (0.25, 0.25, False)


def test_a_hole_takes_only_its_own_pair_of_runs_along(tmp_path: Path) -> None:
    records = [
        record for record in grid({"kd": (1.0, 2.0, 3.0)}) if (record.run.label, record.run.seed) != ("student", 1)
    ]
    assert list(paired_gains(frame(tmp_path, *records)).gain) == pytest.approx([1.0, 3.0])


def test_other_teacher_weights_are_never_compared_silently(tmp_path: Path) -> None:
    kd = [fake.record(fake.run("kd", seed), 0.9, teacher_weights_sha256="bb") for seed in range(3)]
    alone = [fake.record(fake.run("student", seed), 0.8) for seed in range(3)]
    runs = frame(tmp_path, *kd, *alone)
    assert against_alone(runs)["kd"].differs == "teacher weights"
    assert ranking(runs) is None


def test_a_control_with_another_recipe_is_compared_and_named_but_not_ranked(tmp_path: Path) -> None:
    records = []
    for pair in fake.PAIRS:
        records += grid({"kd": (1.0, 2.0, 3.0), "sp": (1.0, 2.0, 2.0)}, pair)
        longer = [fake.run("student", seed, pair, label="student (longer)", epochs=60) for seed in range(3)]
        records += [fake.record(run, 0.85) for run in longer]
    runs = frame(tmp_path, *records)
    assert against_alone(runs)["student (longer)"].differs == "recipe"
    found = ranking(runs)
    assert found is not None
    assert found.methods == ("kd", "sp", "student")


def test_other_data_or_protocol_is_not_compared(tmp_path: Path) -> None:
    alone = [fake.record(fake.run("student", seed), 0.8) for seed in range(3)]
    kd = [fake.record(fake.run("kd", seed), 0.9, data_sha256="other") for seed in range(3)]
    assert paired_gains(frame(tmp_path, *alone, *kd)).empty


def test_two_methods_are_compared_on_the_runs_that_both_have(tmp_path: Path) -> None:
    runs = frame(tmp_path, *grid({"kd": (1.0, 2.0), "sp": (0.5, 1.0, 9.0), "gkd": (0.0, 0.0, 0.0)}))
    found = {(each.method, each.over): each for each in between_methods(runs)}
    assert list(found) == [("kd", "sp"), ("kd", "gkd"), ("sp", "gkd")]
    assert (found["kd", "sp"].n, found["kd", "sp"].gain, found["kd", "sp"].tests) == (2, pytest.approx(0.75), 3)


def test_relations_are_measured_against_the_student_alone(tmp_path: Path) -> None:
    measured = dict(distance_correlation=0.5, angle_correlation=0.4, cka=0.3, neighbour_overlap=0.2)
    better = {name: value + 0.25 for name, value in measured.items()}
    runs = frame(
        tmp_path, fake.record(fake.run("student"), 0.8, **measured), fake.record(fake.run("kd"), 0.9, **better)
    )
    [row] = relation_gains(runs).to_dict("records")
    assert [row[name] for name in measured] == pytest.approx([0.25] * 4)
    assert row["gain"] == pytest.approx(10)


def test_what_may_be_pooled_is_what_the_tables_pool(tmp_path: Path) -> None:
    records = [
        *(fake.record(fake.run("kd", seed, epochs=30 + seed)) for seed in range(2)),
        *(fake.record(fake.run("sp", seed), teacher_weights_sha256=str(seed)) for seed in range(2)),
        *(fake.record(fake.run("gkd", seed, teacher_seed=seed), teacher_weights_sha256=str(seed)) for seed in range(2)),
        *(fake.record(fake.run("rkd_d", seed, teacher_seed=1 - seed)) for seed in range(2)),
        *(fake.record(fake.run("rkd_a", seed, options={"rkd_a": {"angle": seed}})) for seed in range(2)),
        fake.record(fake.run("fitnet"), status="diverged"),
    ]
    runs = frame(tmp_path, *records)
    pooled = {cell.method for cell in pool(runs) if cell.n and cell.method != "teacher"}
    assert pooled == set(poolable(runs).method) == {"gkd"}


# Stale records


def revised(record: Record, revision: int) -> Record:
    """The same run by a later revision of its method."""
    run = record.run.model_copy(update={"revisions": {record.run.method: revision}})
    return record.model_copy(update={"run": run, "run_id": run.id})


def test_records_of_an_older_revision_are_left_out_and_named(tmp_path: Path) -> None:
    old = [fake.record(fake.run("kd", seed), 0.5) for seed in range(3)]
    records = [revised(old[0], 1), revised(old[0], 7), revised(old[1], 1), revised(old[2], 7)]
    path = fake.write(tmp_path / "grid", *records)
    results = load([path])
    assert list(results.runs.status) == ["done", "stale", "done"]
    assert "1 record is left out as stale (kd revision 1, now 7)" in results.problems[0]
    included = load([path], include_stale=True)
    assert list(included.runs.status) == ["done"] * 3
    assert list(included.runs.stale) == ["", "kd revision 1, now 7", ""]
    # Two revisions are not pooled, asked for or not.
    assert pool(included.runs)[1].state == "mixed"


def test_a_student_under_a_stale_teacher_is_stale(tmp_path: Path) -> None:
    newer = fake.run("sp", teacher_seed=0)
    assert newer.teacher is not None
    teacher = newer.teacher.model_copy(update={"protocol": newer.protocol + 1})
    newer = newer.model_copy(update={"protocol": newer.protocol + 1, "teacher": teacher})
    half = newer.model_copy(update={"teacher": fake.run().teacher, "method": "kd", "label": "kd"})
    runs = load([fake.write(tmp_path / "grid", fake.record(newer), fake.record(half))]).runs
    assert dict(zip(runs.method, runs.status, strict=True)) == {"kd": "stale", "sp": "done"}
    assert runs.reason[runs.method == "kd"].item() == f"its teacher's protocol revision {newer.protocol - 1}, now 2"


def test_the_suites_own_revisions_are_known_without_importing_it() -> None:
    from analysis.revisions import Revisions

    assert Revisions.newest([]).methods["rkd_da"] >= 1


# Rounding


def test_differences_that_agree_up_to_rounding_are_no_certainty() -> None:
    noisy = [100 * (0.84 - 0.80), 100 * (0.85 - 0.81), 100 * (0.86 - 0.82)]
    assert len(set(noisy)) > 1
    assert paired_t(noisy) is t_interval(noisy) is effect_size([noisy]) is None
    assert bootstrap_interval([noisy, noisy], interquartile_mean) is None
