"""The table of runs for people's own analyses: the same columns always, each described once."""

from pathlib import Path

import fake_results as fake
import pytest

from analysis import load_results
from analysis.runs.columns import columns, markdown
from analysis.runs.load import load
from benchmark.ground.errors import UsageError

DOCS = Path(__file__).parents[3] / "docs" / "results.md"


def test_every_column_is_described_and_there_whatever_was_measured(tmp_path: Path) -> None:
    folder = fake.full_grid(tmp_path / "grid")
    before = load_results(folder)
    fake.measure(folder)
    assert list(before) == list(load_results(str(folder))) == list(columns())
    assert set(load([folder]).runs) <= set(columns())
    assert len(before) == 48
    assert before.latency_seconds.isna().all()
    assert before.query("pooled").groupby("method").top1.mean().idxmax() == "gkd"


def test_the_documentation_says_the_same() -> None:
    assert markdown() in DOCS.read_text(encoding="utf-8")


def test_no_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load_results(tmp_path / "nothing")
    with pytest.raises(UsageError, match="no results folder"):
        load_results()
