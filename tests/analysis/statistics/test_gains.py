"""Runs compared with each other: paired by seed, never across unlike setups, and what may be pooled at all."""

from pathlib import Path

import fake_results as fake
import pandas as pd
import pytest
from scipy import stats

from analysis.runs.load import load
from analysis.statistics.cells import pool
from analysis.statistics.gains import (
    Comparison,
    between_methods,
    cell_gains,
    method_gains,
    paired_gains,
    ranking,
    relation_gains,
)
from analysis.statistics.paired import holm
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


def test_what_does_not_read_the_teacher_counts_once_however_many_pairs_share_it(tmp_path: Path) -> None:
    """Two pairs of one student: longer training is the same training in both, distillation is not."""

    def records(pair: tuple[str, str], distilled: float) -> list[Record]:
        tops = {"student": 0.80, "student@longer": 0.82, "kd": distilled}
        weights = {"kd": pair[0]}
        runs = [fake.run(method, seed, pair) for method in tops for seed in range(3)]
        return [
            fake.record(
                run,
                tops[run.label] + 0.01 * run.seed,
                weights_sha256=f"{weights.get(run.label, '')} {run.label} {run.seed}",
            )
            for run in runs
        ]

    runs = frame(tmp_path, *records(("resnet_l", "resnet_s"), 0.83), *records(("vit_l", "resnet_s"), 0.85))
    found = against_alone(runs)
    longer, kd = found["student@longer"], found["kd"]
    assert (longer.pairs, longer.n, longer.independent) == (1, 3, 3)
    assert (kd.pairs, kd.n, kd.independent) == (2, 6, 3)  # all of a seed are over one training of the student alone
    assert kd.p == kd.smallest / kd.tests == 2 / 2**3
    (between,) = between_methods(runs)
    assert (between.n, between.independent) == (6, 3)
    assert {gain.pair for gain in cell_gains(paired_gains(runs)) if gain.method == "student@longer"} == {
        "resnet_l_resnet_s",
        "vit_l_resnet_s",
    }


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
    assert ranking(runs, paired_gains(runs)) is None


def test_a_control_with_another_recipe_is_compared_and_named_but_not_ranked(tmp_path: Path) -> None:
    records = []
    for pair in fake.PAIRS:
        records += grid({"kd": (1.0, 2.0, 3.0), "sp": (1.0, 2.0, 2.0)}, pair)
        longer = [fake.run("student", seed, pair, label="student (longer)", epochs=60) for seed in range(3)]
        records += [fake.record(run, 0.85) for run in longer]
    runs = frame(tmp_path, *records)
    assert against_alone(runs)["student (longer)"].differs == "recipe"
    found = ranking(runs, paired_gains(runs))
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
    [row] = relation_gains(runs, paired_gains(runs)).to_dict("records")
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
    assert pooled == set(runs.method[runs.pooled]) == {"gkd"}
