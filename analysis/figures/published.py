"""Published gains against reproduced ones."""

from collections.abc import Mapping, Sequence
from math import ceil
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import canvas, words
from analysis.figures.canvas import DASHED, GREY, LIGHT, ONE_COLUMN, SMALL, STEPS, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.statistics.basic import ends
from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import CellGain
from analysis.statistics.places import Place
from analysis.statistics.published import Match
from analysis.style import CONTROL, Style, listing_order, spanned

Row = Mapping[str, Any]

LEAST_SHARE = 1 / 20
"""Of the published epochs: gains of a shorter training are another question."""

SIDE, AROUND = 2.0, 0.6
"""Inches of a panel, and of its title and label."""
CROWD = 40
"""More marks than this are drawn smaller."""


def drawings(evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """One figure for all data sets. Raises NotDrawnError without matches that may be compared."""
    rows = [row for match in evidence.matches if (row := _row(match, evidence.gains))]
    if not rows:
        raise NotDrawnError(_why(evidence.matches))
    figure = draw(rows, look)
    gaps = sorted(float(row["reproduced"] - row["published"]) for row in rows)
    caption = (
        f"Published and reproduced gains over the student alone in {len(rows)} cells (percentage points), trained for "
        f"{_shares(rows)} of the published epochs. Bars: 95 % intervals over seeds of the reproduced gain; the "
        "published one's own error is not known. Dashed: equal."
    )
    alt = (
        f"Scatter of reproduced against published gains, {len(rows)} cells. Reproduced less published is between "
        f"{gaps[0]:+.2f} and {gaps[-1]:+.2f} points, median {median(gaps):+.2f}."
    )
    data = {"": [dict(row) for row in rows]}
    return [Drawing("published_vs_reproduced", "Published and reproduced gains", caption, alt, data, figure)]


def _row(match: Match, gains: Mapping[Place, CellGain]) -> dict[str, Any] | None:
    """None where there are not two gains, or ours was trained for too small a share of the published epochs."""
    cell, published = match.cell, match.published
    if cell.method == CONTROL or match.published_gain is None or match.reproduced_gain is None:
        return None
    if not cell.epochs or not published.epochs or cell.epochs < LEAST_SHARE * published.epochs:
        return None
    return {
        **cell.row("n"),
        "paper": published.paper,
        "source": published.source,
        "published": match.published_gain,
        "reproduced": match.reproduced_gain,
        **ends(gains[cell.place].interval),
        "epochs_share": cell.epochs / published.epochs,
    }


def _why(matches: Sequence[Match]) -> str:
    if not matches:
        return "no published number is of a data set, pair and method that was run here"
    return f"no published gain over the student alone is of a cell trained for {LEAST_SHARE:.0%} of its epochs or more"


def _shares(rows: Sequence[Row]) -> str:
    """`5 %`, or `5 to 100 %`."""
    shares = {f"{100 * row['epochs_share']:.3g}" for row in rows}
    return f"{spanned(sorted(shares, key=float))} %"


def draw(rows: Sequence[Row], look: Mapping[str, Style]) -> Figure:
    """A square panel for each data set. Rows have `dataset`, `method`, `published` and `reproduced` (percentage
    points), `low` and `high` (or None) and `epochs_share`.
    """
    datasets = list(dict.fromkeys(str(row["dataset"]) for row in rows))
    across = min(len(datasets), 3)
    lines = ceil(len(datasets) / across)
    sheet = ONE_COLUMN if across == 1 else TWO_COLUMNS
    methods = sorted({str(row["method"]) for row in rows}, key=listing_order)
    handles = [*(words.mark(look[method]) for method in methods), words.line("Equal", linestyle=DASHED)]
    figure = canvas.sheet(sheet, lines * (SIDE + AROUND) + words.legend_height(handles, sheet))
    panels = figure.subplots(lines, across, squeeze=False)
    for axes, dataset in zip(panels.flat, datasets, strict=False):
        members = [row for row in rows if row["dataset"] == dataset]
        _draw_panel(axes, members, look)
        name = words.shortened(words.printable(dataset), SIDE, SMALL)
        axes.set_title(f"{name}\n{_shares(members)} of the published epochs", fontsize=SMALL)
        axes.set_xlabel("Published gain (points)", fontsize=SMALL)
    for axes in panels[:, 0]:
        axes.set_ylabel("Reproduced gain (points)", fontsize=SMALL)
    for axes in panels.flat[len(datasets) :]:
        axes.set_axis_off()
    words.legend(figure, handles)
    return figure


def _draw_panel(axes: Axes, rows: Sequence[Row], look: Mapping[str, Style]) -> None:
    values = [row[name] for row in rows for name in ("published", "reproduced", "low", "high") if row[name] is not None]
    margin = 0.06 * float(np.ptp(values)) or 1.0
    low, high = min(values) - margin, max(values) + margin
    axes.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
    axes.axline((0, 0), slope=1, color=GREY, linewidth=0.7, linestyle=DASHED, zorder=1)
    for row in rows:
        if row["low"] is not None:
            axes.vlines(row["published"], row["low"], row["high"], colors=LIGHT, linewidth=0.7, zorder=1.5)
    marks = ((row["published"], row["reproduced"], look[str(row["method"])]) for row in rows)
    canvas.draw_marks(axes, marks, canvas.MARK if len(rows) <= CROWD else canvas.SMALL_MARK)
    axes.locator_params(nbins=5, steps=STEPS)
