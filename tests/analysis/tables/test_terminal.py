"""Tables for the terminal."""

from io import StringIO
from pathlib import Path

import fake_results as fake
import pytest
from rich.console import Console

from analysis.runs.load import load
from analysis.statistics.evidence import weigh
from analysis.tables.main import main_table
from analysis.tables.terminal import terminal


@pytest.mark.parametrize(("width", "tables"), [(120, 1), (60, 2), (40, 4)])
def test_the_terminal_table_says_the_same_in_as_many_parts_as_it_takes(tmp_path: Path, width: int, tables: int) -> None:
    table = main_table(weigh(load([fake.full_grid(tmp_path / "grid")]).runs))
    console = Console(width=width, record=True, file=StringIO())
    parts = list(terminal(table, width))
    console.print(*parts, sep="\n")
    text = console.export_text()
    assert len(parts) == tables
    assert "93.27" in text
    assert text.count("divisor") == 1
    assert "…" not in text
