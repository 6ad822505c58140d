"""The documentation's notebook draws its figure, from the committed results; no kernel is needed to run its code."""

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

NOTEBOOK = Path(__file__).parents[1] / "docs" / "own_figure.ipynb"


def test_the_notebook_draws_its_figure() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec("".join(cell["source"]), names)
    figure = names["figure"]
    assert isinstance(figure, Figure)
    [axes] = figure.axes
    drawn = [line for line in axes.lines if line.get_label() in {"KD", "SP", "MHGD"}]
    assert len(drawn) == 3
    assert all(len(line.get_xdata()) == 2 for line in drawn)
