"""All figures of results: each a module that turns runs into rows and rows into a drawing."""

import os
from collections.abc import Callable

os.environ["MPLBACKEND"] = "agg"  # files alone are drawn: a notebook's backend, or a screen's, must not be looked for

from analysis.figures import budget, gains, learning, published, ranks, relation
from analysis.figures.canvas import Drawing, NotDrawnError, settings
from analysis.runs.load import Results
from analysis.statistics.evidence import Evidence
from analysis.style import styles

__all__ = ["Drawing", "NotDrawnError", "draw_figures"]


def draw_figures(results: Results, evidence: Evidence) -> tuple[list[Drawing], list[str]]:
    """Every figure that the results allow, and for each of the others why it is not drawn. `evidence` is theirs."""
    runs, folders = results.runs, list(results.records)
    look = styles(cell.method for cell in evidence.cells)
    kinds: dict[str, Callable[[], list[Drawing]]] = {
        "accuracy versus budget": lambda: budget.drawings(runs, evidence.cells, look),
        "gains": lambda: gains.drawings(evidence, look),
        "ranks": lambda: ranks.drawings(evidence.ranking, look),
        "learning curves": lambda: learning.drawings(runs, folders, look),
        "relation versus gain": lambda: relation.drawings(evidence.run_gains, look),
        "published versus reproduced": lambda: published.drawings(evidence.matches, look),
    }
    drawn: list[Drawing] = []
    notes: list[str] = []
    with settings():
        for kind, make in kinds.items():
            try:
                drawn += make()
            except NotDrawnError as reason:
                notes.append(f"figure of {kind} not drawn: {reason}")
    return drawn, notes
