"""Gains over the student alone, in their table."""

from pathlib import Path

import pytest
from graded import evidence_of, graded

from analysis.tables.gains import gain_table
from analysis.tables.main import incomplete
from analysis.tables.markdown import markdown


def test_a_gain_says_how_many_of_its_runs_have_a_result(tmp_path: Path) -> None:
    records = graded({"kd": 1.0}, seeds=3)
    fewer = [each for each in records if (each.run.label, each.run.pair, each.run.seed) != ("kd", "vit_l_mixer_s", 1)]
    assert incomplete("kd", evidence_of(tmp_path / "one", *records)) == ""
    assert incomplete("kd", evidence_of(tmp_path / "two", *fewer)) == "5 of 6 runs"


def test_the_gain_table_gives_brackets_and_one_p(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, *graded({"kd": 1.0}, seeds=3))
    table = gain_table(evidence)
    [row] = table.data
    assert row["gain_points"] == pytest.approx(1)
    assert row["gain_low"] < 1 < row["gain_high"]
    assert (row["better_on"], row["verdict"], row["p"]) == (2, "better", row["p_holm"])
    assert "Holm-adjusted over 1 method, P < 0.05: * better." in table.caption
    assert "| 2 of 2 |" in " ".join(markdown(table).split())
    assert "Pairs like these:" not in table.caption  # of two pairs nothing is said of others
