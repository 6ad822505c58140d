"""Runs compared with each other: never across unlike setups, what is tested together, and what may be pooled at all."""

from pathlib import Path

import fake_results as fake
import pandas as pd
import pytest
from graded import evidence_of
from scipy import stats

from analysis.runs.load import load
from analysis.statistics.basic import holm, summarise
from analysis.statistics.cells import pool
from analysis.statistics.gains import (
    RELATIONS,
    CellGain,
    Comparison,
    between_methods,
    by_pair,
    cell_gains,
    method_gains,
    run_gains,
)
from analysis.statistics.moderated import Moderation, Part
from benchmark.records import Record


def frame(tmp_path: Path, *records: Record) -> pd.DataFrame:
    return load([fake.write(tmp_path / "grid", *records)]).runs


def grid(gains: dict[str, tuple[float, ...]], pair: tuple[str, str] = fake.PAIRS[0]) -> list[Record]:
    """Runs whose gains over a student alone of 80 + seed % are these percentage points, a seed each."""
    seeds = range(max(map(len, gains.values())))
    alone = [fake.record(fake.run("student", seed, pair), 0.80 + seed / 100) for seed in seeds]
    return alone + [
        fake.record(fake.run(method, seed, pair), 0.80 + (seed + gain) / 100)
        for method, values in gains.items()
        for seed, gain in enumerate(values)
    ]


def cells_of(runs: pd.DataFrame, delta: float = 0.5, looks: int = 1) -> dict[tuple[str, str], CellGain]:
    return {(each.pair, each.method): each for each in cell_gains(by_pair(runs), delta, looks)}


def against_alone(runs: pd.DataFrame) -> dict[str, Comparison]:
    return {each.method: each for each in method_gains(by_pair(runs))}


def test_a_cell_is_the_difference_of_means_with_moderated_variances(tmp_path: Path) -> None:
    [cell] = cells_of(frame(tmp_path, *grid({"kd": (1.0, 2.0, 4.5)}))).values()
    kd, alone = summarise([81.0, 83.0, 86.5]), summarise([80.0, 81.0, 82.0])
    known = Moderation.fit(map(Part.of, (kd, alone))).difference(kd, alone)
    assert known
    assert cell.estimate
    assert (cell.n, cell.n_over, cell.gain) == (3, 3, pytest.approx(2.5))
    assert (cell.p, cell.p_holm) == (pytest.approx(known.p), cell.p)
    assert cell.estimate.variance == pytest.approx(known.variance)


def test_every_cell_is_in_one_family_of_tests(tmp_path: Path) -> None:
    runs = frame(tmp_path, *grid({"kd": (1.0, 1.1, 1.2), "sp": (-1.0, 0.5, 2.0)}))
    cells = list(cells_of(runs).values())
    assert [cell.p_holm for cell in cells] == pytest.approx(holm([cell.p for cell in cells]))
    looked = cells_of(runs, looks=3)
    assert [each.p_holm for each in looked.values()] == pytest.approx(holm([cell.p for cell in cells], looks=3))


def test_another_pair_changes_only_how_many_are_tested(tmp_path: Path) -> None:
    first = grid({"kd": (1.0, 2.0, 3.0)})
    one = cells_of(frame(tmp_path / "one", *first))
    two = cells_of(frame(tmp_path / "two", *first, *grid({"kd": (1.0, 2.1, 3.0)}, fake.PAIRS[1])))
    place = ("resnet_l_resnet_s", "kd")
    assert one[place].estimate == two[place].estimate
    p = (one[place].p or 0.0, two["vit_l_mixer_s", "kd"].p or 0.0)
    assert (one[place].p_holm, two[place].p_holm) == (p[0], pytest.approx(max(2 * min(p), p[0])))


def test_a_method_over_two_pairs(tmp_path: Path) -> None:
    records = grid({"kd": (1.0, 2.0, 3.0)}) + grid({"kd": (3.0, 4.0, 5.0)}, fake.PAIRS[1])
    kd = against_alone(frame(tmp_path, *records))["kd"]
    assert (kd.pairs, kd.positive, kd.n, kd.tests, kd.gain) == (2, 2, 6, 1, pytest.approx(3.0))
    assert kd.elsewhere is kd.new_pair is None  # of two pairs
    assert kd.estimate
    # Both pairs alike: a = v f / (f - 2) of each, F = 4 + 2 (f - 4).
    [cell, _] = cells_of(frame(tmp_path / "again", *records)).values()
    assert cell.estimate
    f = max(cell.estimate.freedom, 4.5)
    assert kd.estimate.freedom == pytest.approx(4 + 2 * (f - 4))


def test_three_pairs_speak_of_pairs_like_these(tmp_path: Path) -> None:
    pairs = (*fake.PAIRS, ("vit_l", "resnet_s"))
    records = [
        record
        for pair, gain in zip(pairs, (1.0, 2.0, 6.0), strict=True)
        for record in grid({"kd": (gain, gain + 0.2)}, pair)
    ]
    kd = against_alone(frame(tmp_path, *records))["kd"]
    known = stats.ttest_1samp([1.1, 2.1, 6.1], 0).confidence_interval()
    assert kd.elsewhere
    assert kd.new_pair
    assert (kd.elsewhere.low, kd.elsewhere.high) == pytest.approx((known.low, known.high))
    assert (kd.new_pair.high - kd.gain) == pytest.approx((kd.elsewhere.high - kd.gain) * 2)


def test_what_does_not_read_the_teacher_counts_once_however_many_pairs_share_it(tmp_path: Path) -> None:
    """Two pairs of one student: longer training is the same training in both, distillation is not."""

    def records(pair: tuple[str, str], distilled: float, own: str) -> list[Record]:
        tops = {"student": 0.80, "student@longer": 0.82, "kd": distilled}
        runs = [fake.run(method, seed, pair) for method in tops for seed in range(3)]
        weights = {"student": own, "student@longer": own, "kd": pair[0]}
        return [
            fake.record(
                run,
                tops[run.label] + 0.01 * run.seed,
                weights_sha256=f"{weights[run.label]} {run.label} {run.seed}",
            )
            for run in runs
        ]

    pairs = (("resnet_l", "resnet_s"), ("vit_l", "resnet_s"))
    runs = frame(tmp_path / "shared", *records(pairs[0], 0.83, ""), *records(pairs[1], 0.85, ""))
    apart = frame(tmp_path / "apart", *records(pairs[0], 0.83, "a"), *records(pairs[1], 0.85, "b"))
    shared, own = against_alone(runs), against_alone(apart)
    assert (shared["student@longer"].pairs, own["student@longer"].pairs) == (1, 2)
    assert (shared["kd"].pairs, own["kd"].pairs) == (2, 2)
    assert shared["kd"].estimate
    assert own["kd"].estimate
    # All are over one training of the student alone, which is half of each error.
    assert shared["kd"].estimate.variance == pytest.approx(1.5 * own["kd"].estimate.variance, rel=0.1)
    assert shared["kd"].estimate.freedom < own["kd"].estimate.freedom
    (between,) = between_methods(by_pair(runs))
    assert (between.pairs, between.n) == (2, 6)
    assert {pair for pair, method in cells_of(runs) if method == "student@longer"} == {
        "resnet_l_resnet_s",
        "vit_l_resnet_s",
    }


def test_all_finished_runs_count_whichever_seeds_the_other_side_has(tmp_path: Path) -> None:
    records = grid({"kd": (1.0, 2.0, 3.0)})
    lonely = [record for record in records if (record.run.label, record.run.seed) != ("student", 1)]
    [cell] = cells_of(frame(tmp_path, *lonely)).values()
    assert (cell.n, cell.n_over) == (3, 2)
    assert cell.gain == pytest.approx(83.0 - 81.0)


def test_a_single_run_has_a_gain_and_no_test(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *grid({"kd": (1.0,)}))
    [cell] = evidence.gains.values()
    [kd] = evidence.over_alone
    assert (cell.gain, cell.p, cell.interval, cell.mark) == (pytest.approx(1.0), None, None, "")
    assert cell.verdict == "untested"
    assert (kd.gain, kd.p_holm, kd.interval, kd.verdict) == (pytest.approx(1.0), None, None, "untested")
    assert kd.tests == 0
    assert not evidence.best
    assert evidence.highest == {("digits", "resnet_l_resnet_s", "kd")}


def test_open_and_equivalent_are_two_words(tmp_path: Path) -> None:
    runs = frame(tmp_path, *grid({"kd": (0.0, 0.1, -0.1, 0.05, -0.05), "sp": (4.0, 4.2, 3.9, 4.1, 4.0)}))
    wide, narrow = cells_of(runs, delta=3.0), cells_of(runs, delta=0.1)
    place = ("resnet_l_resnet_s", "kd")
    assert (wide[place].verdict, wide[place].mark) == ("equivalent", "=")
    assert (narrow[place].verdict, narrow[place].mark) == ("open", "")
    assert cells_of(runs, delta=9.0)["resnet_l_resnet_s", "sp"].verdict == "better"


def test_other_teacher_weights_are_never_compared_silently(tmp_path: Path) -> None:
    kd = [fake.record(fake.run("kd", seed), 0.9, teacher_weights_sha256="bb") for seed in range(3)]
    alone = [fake.record(fake.run("student", seed), 0.8) for seed in range(3)]
    evidence = evidence_of(tmp_path, *kd, *alone)
    assert evidence.over_alone[0].differs == "teacher weights"
    assert evidence.ranking is None


def test_a_control_with_another_recipe_is_compared_and_named_but_not_ranked(tmp_path: Path) -> None:
    records = []
    for pair in fake.PAIRS:
        records += grid({"kd": (1.0, 2.0, 3.0), "sp": (1.0, 2.0, 2.0)}, pair)
        longer = [fake.run("student", seed, pair, label="student (longer)", epochs=60) for seed in range(3)]
        records += [fake.record(run, 0.85) for run in longer]
    evidence = evidence_of(tmp_path, *records)
    assert {each.method: each.differs for each in evidence.over_alone}["student (longer)"] == "recipe"
    assert evidence.ranking is not None
    assert evidence.ranking.methods == ("kd", "sp", "student")
    assert not any(method == "student (longer)" for *_, method in evidence.best | evidence.highest)


def test_other_data_or_protocol_is_not_compared(tmp_path: Path) -> None:
    alone = [fake.record(fake.run("student", seed), 0.8) for seed in range(3)]
    kd = [fake.record(fake.run("kd", seed), 0.9, data_sha256="other") for seed in range(3)]
    assert not cells_of(frame(tmp_path, *alone, *kd))


def test_two_methods_are_compared_on_the_pairs_that_both_have(tmp_path: Path) -> None:
    runs = frame(tmp_path, *grid({"kd": (1.0, 2.0), "sp": (0.5, 1.0, 9.0), "gkd": (0.0, 0.0, 0.0)}))
    found = {(each.method, each.over): each for each in between_methods(by_pair(runs))}
    assert list(found) == [("kd", "sp"), ("kd", "gkd"), ("sp", "gkd")]
    assert (found["kd", "gkd"].n, found["kd", "gkd"].tests) == (2, 3)
    assert found["kd", "gkd"].gain == pytest.approx((81.0 + 83.0) / 2 - 81.0)


def test_runs_gain_over_the_mean_of_the_student_alone(tmp_path: Path) -> None:
    measured = dict(distance_correlation=0.5, angle_correlation=0.4, cka=0.3, neighbour_overlap=0.2)
    better = {name: value + 0.25 for name, value in measured.items()}
    alone = [fake.record(fake.run("student", seed), 0.8 + seed / 50, **measured) for seed in range(2)]
    runs = frame(tmp_path, *alone, fake.record(fake.run("kd"), 0.9, **better))
    [row] = run_gains(by_pair(runs)).to_dict("records")
    assert [row[name] for name in RELATIONS] == pytest.approx([0.25] * 4)
    assert (row["gain"], row["seed"]) == (pytest.approx(9), 0)
    of_another = fake.run("kd", pair=("vit_l", "resnet_s"), label="kd@born_again").model_copy(
        update={"pair": "resnet_l_resnet_s"}
    )
    [row] = run_gains(by_pair(frame(tmp_path / "other", *alone, fake.record(of_another, 0.9, **better)))).to_dict(
        "records"
    )
    assert row["gain"] == pytest.approx(9)
    assert all(pd.isna(row[name]) for name in RELATIONS)  # how near they are to two teachers cannot be compared


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
    assert pooled == set(runs.method[runs.pooled]) == {"gkd"}
