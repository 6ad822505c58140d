"""Gains over the student alone, in their table."""

from pathlib import Path

import pytest
from graded import evidence_of, graded

from analysis.tables.gains import gain_table
from analysis.tables.main import incomplete
from analysis.tables.markdown import markdown


def test_a_gain_says_how_many_of_its_runs_have_a_counterpart(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=3)
    lonely = [
        each for each in records if (each.run.label, each.run.pair, each.run.seed) != ("student", "vit_l_mixer_s", 1)
    ]
    assert incomplete("kd", evidence_of(tmp_path / "one", *records)) == ""
    assert incomplete("kd", evidence_of(tmp_path / "two", *lonely)) == "5 of 6 runs"


def test_the_gain_table_gives_intervals_effects_and_the_smallest_p(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 1.0}, seeds=3))
    table = gain_table(evidence)
    [row] = table.data
    assert row["gain_points"] == pytest.approx(1)
    assert row["gain_points_low"] < 1 < row["gain_points_high"]
    assert (row["improvement"], row["p"], row["established"]) == (1.0, 2 / 2**6, True)
    assert "The smallest Holm p that so many runs allow is 0.031." in table.caption
    assert "2 × 3" in markdown(table)
