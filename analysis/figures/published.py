"""Published accuracy against reproduced."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import canvas, words
from analysis.figures.canvas import DASHED, GREY, INK, LIGHT, ONE_COLUMN, TINY, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.figures.layout import Box, clearest
from analysis.statistics.published import Match, account
from analysis.style import Style, listing_order

Row = Mapping[str, Any]

LEFT, RIGHT, TOP, UNDER, GUTTER = 0.48, 0.1, 0.2, 0.38, 0.5
MOST_NAMED = 12
FAR = 1.0
"""Percentage points from the line at which a mark's pair is named."""
CROWD = 40
"""More marks than this are drawn smaller."""


def drawings(matches: Sequence[Match], look: Mapping[str, Style]) -> list[Drawing]:
    """One figure for all data sets. Raises NotDrawnError without matches."""
    rows = [_row(match) for match in matches]
    figure = draw(rows, look)
    named = any(_names_tell([row for row in rows if row["dataset"] == dataset]) for dataset in _datasets(rows))
    gaps = sorted(float(row["reproduced"] - row["published"]) for row in rows)
    caption = (
        f"Published against reproduced test top-1 accuracy in {len(rows)} cells, with the standard deviations over "
        "seeds that each side reports; dashed where they are equal. "
        f"{account(matches)}{' Pairs of marks far off are named where there is room.' if named else ''}"
    )
    alt = (
        f"Scatter of reproduced against published accuracy, {len(rows)} cells. Reproduced less published is between "
        f"{gaps[0]:+.2f} and {gaps[-1]:+.2f} points, median {median(gaps):+.2f}."
    )
    data = {"": [dict(row) for row in rows]}
    return [Drawing("published_vs_reproduced", "Published and reproduced", caption, alt, data, figure)]


def _row(match: Match) -> dict[str, Any]:
    return {
        **match.cell.row("n"),
        "paper": match.published.paper,
        "source": match.published.source,
        "published": match.published.value,
        "published_std": match.published.std,
        "reproduced": match.cell.top1_percent,
        "reproduced_std": match.cell.std_percent,
    }


def draw(rows: Sequence[Row], look: Mapping[str, Style]) -> Figure:
    """A square panel for each data set. Rows have `dataset`, `teacher`, `student`, `method`, `published` and
    `reproduced` (percent), `published_std` and `reproduced_std` (or None). Raises NotDrawnError without rows.
    """
    if not rows:
        raise NotDrawnError("no published number is of a data set, pair and method that was run here")
    datasets = _datasets(rows)
    across = min(len(datasets), 3)
    sheet = ONE_COLUMN if across == 1 else TWO_COLUMNS
    side = min(2.65, (sheet - LEFT - RIGHT - (across - 1) * GUTTER) / across)
    methods = sorted({str(row["method"]) for row in rows}, key=listing_order)
    handles = [*(words.mark(look[method]) for method in methods), words.line("Equal", linestyle=DASHED)]
    legend = words.legend_lines(handles, sheet - 0.1)
    lines = -(-len(datasets) // across)
    under = lines * (TOP + side + UNDER)
    figure = canvas.sheet(sheet, under + len(legend) * words.LINE + 0.06)
    for i, dataset in enumerate(datasets):
        top = TOP + i // across * (TOP + side + UNDER)
        axes = canvas.panel(figure, LEFT + i % across * (side + GUTTER), top, side, side)
        _draw_panel(axes, [row for row in rows if row["dataset"] == dataset], look)
        axes.set_title(words.shortened(dataset, side), pad=3)
        axes.set_xlabel("Published top-1 (%)")
        if i % across == 0:
            axes.set_ylabel("Reproduced top-1 (%)")
    words.draw_legend(figure, legend, 0.06, under)
    return figure


def _datasets(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(str(row["dataset"]) for row in rows))


def _draw_panel(axes: Axes, rows: Sequence[Row], look: Mapping[str, Style]) -> None:
    ends = [
        row[name] + sign * (row[f"{name}_std"] or 0.0)
        for row in rows
        for name in ("published", "reproduced")
        for sign in (-1, 1)
    ]
    margin = 0.06 * (max(ends) - min(ends)) or 1.0
    low, high = min(ends) - margin, max(ends) + margin
    axes.set(xlim=(low, high), ylim=(low, high))
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.7, linestyle=DASHED, zorder=1)
    x, y = [row["published"] for row in rows], [row["reproduced"] for row in rows]
    across, up = [row["published_std"] or 0.0 for row in rows], [row["reproduced_std"] or 0.0 for row in rows]
    axes.hlines(y, np.subtract(x, across), np.add(x, across), colors=LIGHT, linewidth=0.7, zorder=1.5)
    axes.vlines(x, np.subtract(y, up), np.add(y, up), colors=LIGHT, linewidth=0.7, zorder=1.5)
    styles = [look[str(row["method"])] for row in rows]
    form = canvas.MARK if len(rows) <= CROWD else canvas.SMALL_MARK
    canvas.draw_marks(axes, zip(x, y, styles, strict=True), form)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    if _names_tell(rows):
        _name_far(axes, rows)


def _names_tell(rows: Sequence[Row]) -> bool:
    """Whether marks of a panel are far off, and of several pairs."""
    return len({row["pair"] for row in rows}) > 1 and any(
        abs(row["reproduced"] - row["published"]) > FAR for row in rows
    )


def _name_far(axes: Axes, rows: Sequence[Row]) -> None:
    """The pairs of marks far from the line, where there is room for their names."""
    side = canvas.size(axes)[0]
    low, high = axes.get_xlim()
    scale = side / (high - low)
    spots = [((row["published"] - low) * scale, (row["reproduced"] - low) * scale) for row in rows]
    taken = [Box(x - 0.04, y - 0.04, x + 0.04, y + 0.04) for x, y in spots]
    taken += [Box(t / 40 * side, t / 40 * side, (t + 1) / 40 * side, (t + 1) / 40 * side) for t in range(40)]
    taken += [Box(-9, -9, 0, 9), Box(side, -9, 9, 9), Box(-9, -9, 9, 0), Box(-9, side, 9, 9)]
    order = sorted(range(len(rows)), key=lambda i: -abs(rows[i]["reproduced"] - rows[i]["published"]))
    for i in order[:MOST_NAMED]:
        row, (x, y) = rows[i], spots[i]
        if abs(row["reproduced"] - row["published"]) <= FAR:
            break
        name = words.shortened(words.printable(f"{row['teacher']} → {row['student']}"), 1.3, TINY)
        wide = words.text_width(name, TINY)
        centres = [(x + sign * (wide / 2 + 0.06), y + rise) for rise in (0.0, 0.08, -0.08) for sign in (1, -1)]
        centres += [(x, y + rise) for rise in (0.1, -0.1)]
        box = clearest([Box(a - wide / 2, b - 0.045, a + wide / 2, b + 0.045) for a, b in centres], taken)
        if any(box.overlap(other) for other in taken):
            continue
        taken.append(box)
        middle = ((box.left + box.right) / 2 / side, (box.bottom + box.top) / 2 / side)
        axes.text(*middle, name, fontsize=TINY, color=INK, ha="center", va="center_baseline", transform=axes.transAxes)
