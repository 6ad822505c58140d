"""All figures of results: each a module that turns runs into rows and rows into a drawing."""

import os
from collections.abc import Callable
from dataclasses import replace

os.environ["MPLBACKEND"] = "agg"  # files alone are drawn: a notebook's backend, or a screen's, must not be looked for

from analysis.figures import budget, fidelity, first, gains, ladder, learning, published, ranks, relation, strangers
from analysis.figures.canvas import Drawing, NotDrawnError, settings
from analysis.runs.load import Results
from analysis.runs.metrics import renamed
from analysis.statistics.evidence import Evidence
from analysis.statistics.ladder import ladders
from analysis.statistics.transfer import Transfer
from analysis.style import styles

__all__ = ["Drawing", "NotDrawnError", "draw_figures"]


def draw_figures(
    results: Results, evidence: Evidence, told: Transfer | None = None, *, figure1: bool = False
) -> tuple[list[Drawing], list[str]]:
    """Every figure that the results allow, and for each of the others why it is not drawn. `evidence` is theirs, `told`
    what predictions add to it; `figure1`: also the one for a paper's first page, as the first.
    """
    told = told or Transfer()
    look = styles(cell.method for cell in evidence.cells)
    kinds: dict[str, Callable[[], list[Drawing]]] = {
        **({"overview": lambda: first.drawings(evidence, look)} if figure1 else {}),
        "accuracy versus budget": lambda: budget.drawings(evidence, look),
        "gains": lambda: gains.drawings(evidence, look),
        **({"budget saved": lambda: ladder.drawings(evidence, look)} if ladders(evidence) else {}),
        **({"fidelity": lambda: fidelity.drawings(told.fidelity, evidence, look)} if told.fidelity else {}),
        **({"strangers": lambda: strangers.drawings(told.strangers, evidence, look)} if told.strangers else {}),
        "ranks": lambda: ranks.drawings(evidence, look),
        "learning curves": lambda: learning.drawings(results.runs, list(results.records), look),
        "relation versus gain": lambda: relation.drawings(evidence, look),
        "published versus reproduced": lambda: published.drawings(evidence, look),
    }
    drawn: list[Drawing] = []
    notes: list[str] = []
    with settings():
        for kind, make in kinds.items():
            try:
                drawn += make()
            except NotDrawnError as reason:
                notes.append(f"figure of {kind} not drawn: {reason}")
    metric = evidence.metric
    return [
        replace(each, data={end: renamed(rows, metric) for end, rows in each.data.items()}) for each in drawn
    ], notes
