"""Gains read sideways on ladders of which the answers are known."""

from dataclasses import replace
from math import inf, log2, sqrt
from pathlib import Path

import fake_results as fake
import numpy as np
import pytest
from command_line import cli, write_grid
from graded import evidence_of
from rungs import WIDTHS, rungs
from scipy.stats import t

from analysis.report.summary import summary
from analysis.runs.load import load
from analysis.statistics.basic import summarise
from analysis.statistics.evidence import Evidence, collect_evidence
from analysis.statistics.ladder import Ladder, ladders, rising, sizes_reaching
from analysis.statistics.moderated import Moderation, Part, drawn_means
from analysis.tables.ladder import ladder_table
from analysis.tables.markdown import markdown
from benchmark.ground.errors import COMPLETE


def one(evidence: Evidence) -> Ladder:
    [found] = ladders(evidence)
    return found


def test_a_line_is_read_as_it_was_drawn(tmp_path: Path) -> None:
    """Half a doubling of MACs is 2 points: 1.41 times as many."""
    found = one(evidence_of(tmp_path, *rungs({"gkd": {0.25: 2.0, 0.5: -6.0, 1.0: 1.0}, "kd": {0.125: -0.5}})))
    by_place = {(each.cell.method, each.cell.student): each for each in found.readings}
    gkd = by_place["gkd", "net_w0.25"]
    assert gkd.equal == pytest.approx(2e6 * sqrt(2))
    assert found.named(gkd.equal) == "0.354"
    assert by_place["gkd", "net_w0.5"].equal == pytest.approx(4e6 / 2**1.5)
    assert (by_place["gkd", "net_w1"].equal, by_place["kd", "net_w0.125"].equal) == (inf, 0.0)
    assert [each.inside for each in found.readings] == [False, True, True, False]
    assert found.sentence(gkd) == "GKD at net_w0.25 equals the student alone at net_w0.354: 1.41 times fewer MACs"
    beyond = found.sentence(by_place["gkd", "net_w1"])
    assert beyond == "GKD at net_w1 reaches more than the student alone at net_w1, where the ladder ends"
    assert "reaches less than the student alone at net_w0.125" in found.sentence(by_place["kd", "net_w0.125"])


def test_the_interval_is_that_of_the_mean_where_the_line_is_certain(tmp_path: Path) -> None:
    """The draws of both means of equal spread differ by √2 of one: the ends of a t-interval, along the line."""
    found = one(evidence_of(tmp_path, *rungs({"gkd": {0.25: 2.0}}, spread=0.2, seeds=5)))
    [reading] = found.readings
    evidence = evidence_of(tmp_path / "same", *rungs({"gkd": {0.25: 2.0}}, spread=0.2, seeds=5))
    mean = evidence.accuracy(("digits", "resnet_l_net_w0.25", "gkd"))
    assert mean
    alone = float(np.std(np.linspace(-0.2, 0.2, 5), ddof=1)) ** 2 / 5  # at the rungs on either side, half of each
    half = t.ppf(0.975, mean.freedom) * sqrt(mean.variance + alone / 2) / 4
    assert log2(reading.low / 2e6) == pytest.approx(0.5 - half, abs=0.2 * half)
    assert log2(reading.high / 2e6) == pytest.approx(0.5 + half, abs=0.2 * half)
    assert reading.settled


def test_single_runs_have_no_interval_and_settle_nothing(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *rungs({"gkd": {0.25: 2.0}}, seeds=1))
    [reading] = one(evidence).readings
    assert reading.equal == pytest.approx(2e6 * sqrt(2))
    assert (reading.low, reading.high, reading.settled) == (None, None, False)
    assert one(evidence).times_fewer(reading) == "1.41"
    [row] = ladder_table([one(evidence)]).data
    assert (row["times_fewer"], row["times_fewer_low"]) == (pytest.approx(sqrt(2)), None)
    assert "0 of 1 reading leave" in summary(evidence)


def test_what_an_interval_does_not_reach_is_a_bound(tmp_path: Path) -> None:
    found = one(evidence_of(tmp_path, *rungs({"gkd": {0.5: 3.9, 1.0: 2.0}}, spread=1.0)))
    near, top = found.readings
    assert near.inside
    assert near.high == inf
    text = markdown(ladder_table([found]))
    assert "1.97 [" in text
    assert "> 2.00]" in text
    row = {(each["student"]): each for each in ladder_table([found]).data}
    assert (row["net_w0.5"]["equal_high_macs"], row["net_w0.5"]["beyond"]) == (None, "")
    assert (row["net_w1"]["equal_macs"], row["net_w1"]["beyond"]) == (None, "largest")
    assert top.equal == inf


def test_a_line_that_falls_is_pooled_before_it_is_read() -> None:
    assert rising(np.array([[1.0], [3.0], [2.0], [4.0]]))[:, 0].tolist() == [1.0, 2.5, 2.5, 4.0]
    assert rising(np.array([[4.0], [3.0], [2.0]]))[:, 0].tolist() == [3.0, 3.0, 3.0]
    sizes, line = np.array([1.0, 2.0, 4.0, 8.0]), np.array([[1.0], [3.0], [2.0], [4.0]])

    def at(accuracy: float) -> float:
        return float(sizes_reaching(sizes, line, np.array([accuracy]))[0])

    assert at(2.5) == pytest.approx(2.0)  # where it is first reached: the least that can be saved
    assert at(1.75) == pytest.approx(sqrt(2))
    assert at(3.25) == pytest.approx(4 * sqrt(2))
    assert [at(0.9), at(1.0), at(4.0), at(4.1)] == [0.0, 1.0, pytest.approx(8.0), inf]


@pytest.mark.long
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_hold_the_truth(seeds: int) -> None:
    """On a ladder of four standard deviations a doubling; true variances have 5 degrees of freedom."""
    random, held, gains = np.random.default_rng(5), [], (0.0, 1.0, 2.0, 3.0)
    sizes = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    for _ in range(250):
        spreads = np.sqrt(5 / random.chisquare(5, (len(sizes), 1 + len(gains), 1)))
        means = 4 * np.log2(sizes)[:, None, None] + np.array([0.0, *gains])[:, None]
        runs = means + spreads * random.standard_normal((*spreads.shape[:2], seeds))
        samples = [[summarise(list(cell)) for cell in rung] for rung in runs]
        known = [Moderation.fit(map(Part.of, rung)) for rung in samples]
        places = [(i, 0) for i in range(len(sizes))] + [(i, 1 + j) for i in (1, 2) for j in range(len(gains))]
        drawn = drawn_means([(samples[i][j], known[i]) for i, j in places], 2_000)
        for (i, j), values in zip(places[len(sizes) :], drawn[len(sizes) :], strict=True):
            read = sizes_reaching(sizes, drawn[: len(sizes)], values)
            low, high = np.quantile(read, (0.025, 0.975), method="inverted_cdf")
            held.append(low <= sizes[i] * 2 ** (gains[j - 1] / 4) <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_what_is_a_ladder(tmp_path: Path) -> None:
    records = rungs({"gkd": {0.25: 2.0}})
    three = [each for each in records if each.run.student.name != "net_w1"]
    assert ladders(evidence_of(tmp_path / "three", *three)) == []
    other = [fake.record(fake.run("student", 0, ("resnet_l", name))) for name in ("vit", "resnet_s")]
    evidence = evidence_of(tmp_path / "others", *records, *other)
    assert [cell.student for cell in one(evidence).rungs] == [f"net_w{width:g}" for width in WIDTHS]
    assert ladders(replace(evidence, cells=[cell for cell in evidence.cells if cell.method != "student"])) == []


def test_rungs_of_another_recipe_are_none(tmp_path: Path) -> None:
    short, long = [], []
    for record in rungs({"gkd": {0.25: 2.0}}):
        longer = record.run.model_copy(update={"recipe": record.run.recipe.model_copy(update={"epochs": 300})})
        short.append(record)
        long.append(record.model_copy(update={"run": longer, "run_id": longer.id}))
    mixed = [b if a.run.student.name in ("net_w0.5", "net_w1") else a for a, b in zip(short, long, strict=True)]
    assert ladders(evidence_of(tmp_path / "mixed", *mixed)) == []
    assert len(one(evidence_of(tmp_path / "long", *long)).rungs) == 4


def test_the_summary_says_what_is_shown(tmp_path: Path) -> None:
    said = summary(evidence_of(tmp_path, *rungs({"gkd": {0.25: 2.0}, "kd": {0.25: 0.1}}, spread=0.2, seeds=5)))
    assert "1 of 2 readings leave out the student's own size" in said
    assert "- GKD at net_w0.25 equals the student alone at net_w0.354 [" in said.replace("\\_", "_")
    assert "Budget saved" not in summary(evidence_of(tmp_path / "none", *rungs({})))


def test_real_digits_make_a_ladder(tmp_path: Path) -> None:
    """Four widths and two methods, trained for an epoch: the costs are real, and every method is read somewhere."""
    widths = [2, 3, 4, 6]
    small = {"model": "resnet18", "stem": "small", "collapsed_map": "accept"}
    students = {
        f"net_c{width}": {**small, "options": {"layers": [1, 1, 1, 1], "channels": [width] * 4}} for width in widths
    }
    teacher = {**small, "options": {"layers": [1, 1, 1, 1], "channels": [8, 8, 8, 8]}}
    grid = write_grid(
        tmp_path / "rungs.toml",
        architectures={"resnet_m": teacher, **students},
        pairs=[{"teacher": "resnet_m", "student": name} for name in students],
        recipe__epochs=1,
        seeds=[0],
    )
    assert cli("--grid", grid, "--results-dir", tmp_path) == COMPLETE
    found = one(collect_evidence(load([tmp_path / "rungs"]).runs))
    assert [cell.student for cell in found.rungs] == list(students)
    sizes = [cell.macs or 0 for cell in found.rungs]
    assert sizes == sorted(set(sizes))
    assert [each.cell.method for each in found.readings] == ["sp"] * 4
    assert not any(each.settled for each in found.readings)  # of a single seed
