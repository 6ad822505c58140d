"""Figures, each as PDF and PNG."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import log10
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, MaxNLocator
from scipy.optimize import isotonic_regression

from analysis.cells import Cell
from analysis.style import CONTROL, FIGURE_SETTINGS, TEACHER, TWO_COLUMNS, Style, listing_order, styles
from benchmark.records import atomic

BUDGETS = {
    "parameters": "Student parameters",
    "macs": "MACs of one inference",
    "training_flops": "Training FLOPs,\nteacher forward included",
}
ROW_HEIGHT = 2.5
"""Inches of one data set's panels, which grow where many pairs have to be named."""

MOST_UPRIGHT = 3
"""Pairs whose names have room side by side; those of more are turned and leave the teacher out."""

ONE_BUDGET_GAP = 0.04
"""Between methods, in decades, where all share one budget and any gap would do."""
LEAST_GAP = 0.022
"""Between methods, as a share of the axis, however close their budgets are."""

GREY = "#777777"
TEXT = "#333333"
BAND = "#F3F3F3"
DASHED = (0, (5, 2))
DOTTED = (0, (1, 1.5))
FILLED: dict[str, Any] = {"markersize": 4.8, "markeredgecolor": "black", "markeredgewidth": 0.4}
LEGEND: dict[str, Any] = {"frameon": False, "handletextpad": 0.4, "columnspacing": 1.4}
HALF_FILLED = {**FILLED, "fillstyle": "bottom", "markerfacecoloralt": "white"}


@dataclass(frozen=True)
class Point:
    """A cell, the decimal logarithm of its budget, where on that axis it is drawn, and its accuracy in percent."""

    cell: Cell
    budget: float
    place: float
    accuracy: float


def accuracy_vs_budget(cells: Sequence[Cell], path: Path) -> None:
    """A row of panels for each data set with a finished student, one panel for each budget; written as `path`.pdf and
    `path`.png.
    """
    finished = {cell.dataset for cell in cells if cell.n and cell.method != TEACHER}
    drawn = [cell for cell in cells if cell.n and cell.dataset in finished]
    look = styles(cell.method for cell in drawn)
    datasets = [(name, list(members)) for name, members in groupby(drawn, key=lambda cell: cell.dataset)]
    with matplotlib.rc_context(FIGURE_SETTINGS), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; the tables have it in full.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        heights = [ROW_HEIGHT + 0.12 * max(0, len(_pairs(members)) - MOST_UPRIGHT) for _, members in datasets]
        figure = Figure(figsize=(TWO_COLUMNS, sum(heights)), layout="constrained")
        axes = figure.subplots(len(datasets), len(BUDGETS), sharey="row", squeeze=False, height_ratios=heights)
        layouts = []
        for row, (dataset, members) in zip(axes, datasets, strict=True):
            names = [_draw_panel(panel, members, budget, look) for panel, budget in zip(row, BUDGETS, strict=True)]
            teachers = _draw_teachers(row, members)
            for panel, title in zip(row, BUDGETS.values(), strict=True):
                panel.set_xlabel(title)
            row[0].set_ylabel(_accuracy_label(members, dataset if len(datasets) > 1 else ""))
            layouts.append((row, names, teachers))
        _draw_legend(figure, drawn, look)
        figure.draw_without_rendering()
        for row, names, teachers in layouts:
            _stack_names(row, names)
            _separate(row[-1], teachers)
        for suffix, metadata in ((".pdf", {"CreationDate": None}), (".png", {"Software": None})):
            with atomic(path.with_suffix(suffix)) as temporary:
                # Without dates and versions the bytes depend on the numbers alone.
                figure.savefig(temporary, format=suffix[1:], metadata=metadata)


def _draw_panel(panel: Axes, cells: Sequence[Cell], budget: str, look: Mapping[str, Style]) -> list[Text]:
    """Points, the baseline of the control, and the pairs' names, which are returned to be stacked later."""
    points = _points(cells, budget)
    places = [point.place for point in points]
    low, high = ([p.accuracy + sign * (p.cell.std_percent or 0.0) for p in points] for sign in (-1, 1))
    panel.vlines(places, low, high, colors=GREY, linewidth=0.9)
    for point in points:
        style, filling = look[point.cell.method], FILLED if point.cell.state == "done" else HALF_FILLED
        panel.plot(point.place, point.accuracy, color=style.colour, marker=style.marker, zorder=3, **filling)
    _set_budget_axis(panel, [point.budget for point in points], places)
    panel.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    panel.grid(axis="y", color="#E6E6E6", linewidth=0.5)
    pairs = _pairs(cells)
    turned = len(pairs) > MOST_UPRIGHT
    by_pair = [[point for point in points if point.cell.pair == pair] for pair in pairs]
    return [_draw_pair(panel, members, turned=turned) for members in by_pair if members]


def _pairs(cells: Iterable[Cell]) -> list[str]:
    return sorted({cell.pair for cell in cells})


def _points(cells: Sequence[Cell], budget: str) -> list[Point]:
    """Methods of a pair share a budget: their points stand side by side around it, pairs a little further apart."""
    known = [(log10(value), cell) for cell in cells if cell.method != TEACHER and (value := getattr(cell, budget))]
    if not known:
        return []
    known.sort(key=lambda item: (item[0], item[1].pair, listing_order(item[1].method)))
    gap = _gap(known)
    gaps = [gap if before.pair == after.pair else 1.8 * gap for (_, before), (_, after) in pairwise(known)]
    places = _apart([value for value, _ in known], gaps)
    return [
        Point(cell, value, place, cell.top1_percent)
        for (value, cell), place in zip(known, places, strict=True)
        if cell.top1_percent is not None
    ]


def _gap(known: Sequence[tuple[float, Cell]]) -> float:
    """Between neighbours of a pair: as wide as lets the nearest pairs keep their places, within what can be seen."""
    by_pair = [[value for value, cell in known if cell.pair == pair] for pair in _pairs(cell for _, cell in known)]
    centres = sorted({median(values) for values in by_pair})
    if len(centres) == 1:
        return ONE_BUDGET_GAP
    nearest = min(high - low for low, high in pairwise(centres))
    return max(0.9 * nearest / (max(map(len, by_pair)) + 1), LEAST_GAP * (known[-1][0] - known[0][0]))


def _draw_pair(panel: Axes, points: Sequence[Point], *, turned: bool) -> Text:
    """What belongs to a pair: a band behind points that share a budget, its baseline and its name at the bottom."""
    groups = [list(members) for _, members in groupby(points, key=lambda point: point.budget)]
    for members in groups:
        if len(members) > 1:
            margin = (members[1].place - members[0].place) * 0.6
            panel.axvspan(members[0].place - margin, members[-1].place + margin, color=BAND, linewidth=0, zorder=0)
    for control in (point for point in points if point.cell.method == CONTROL):
        ends = (control.place, points[-1].place)
        panel.plot(ends, [control.accuracy] * 2, color="black", linewidth=0.7, linestyle=DOTTED, zorder=2)
    widest = max(reversed(groups), key=len)
    cell = points[0].cell
    return panel.text(
        (widest[0].place + widest[-1].place) / 2,
        0,
        cell.student if turned else f"{cell.student}\n(from {cell.teacher})",
        transform=panel.get_xaxis_transform(),
        rotation="vertical" if turned else "horizontal",
        horizontalalignment="center",
        verticalalignment="bottom",
        fontsize=7,
        color=TEXT,
        linespacing=1.05,
    )


def _set_budget_axis(panel: Axes, budgets: Sequence[float], places: Sequence[float]) -> None:
    """A logarithmic axis around all points. Its ticks are the budgets that occur, because points stand beside theirs;
    those that would print over each other have no number.
    """
    low, high = (min(places), max(places)) if places else (0.0, 1.0)
    margin = 0.1 * (high - low) or 0.1
    panel.set_xlim(low - margin, high + margin)
    numbered: list[float] = []
    for budget in sorted(set(budgets)):
        if not numbered or budget - numbered[-1] > 0.2 * (high - low + 2 * margin):
            numbered.append(budget)
    panel.xaxis.set_major_locator(FixedLocator(numbered))
    panel.xaxis.set_minor_locator(FixedLocator(sorted(set(budgets) - set(numbered))))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _with_prefix(10**value)))


def _with_prefix(value: float) -> str:
    """Three digits and an SI prefix: 943.8e9 is 944G."""
    return EngFormatter(sep="")(float(f"{value:.3g}"))


def _draw_teachers(row: Sequence[Axes], cells: Sequence[Cell]) -> list[Text]:
    """A dashed line at each teacher's accuracy, named beside the last panel."""
    teachers = sorted(
        {(cell.top1_percent, cell.teacher) for cell in cells if cell.method == TEACHER and cell.top1_percent}
    )
    for panel in row:
        for accuracy, _ in teachers:
            panel.axhline(accuracy, color=GREY, linewidth=0.8, linestyle=DASHED, zorder=1)
    beside = row[-1].get_yaxis_transform()
    return [
        row[-1].text(1.02, accuracy, f"{name} {accuracy:.1f}", va="center", fontsize=7, color=TEXT, transform=beside)
        for accuracy, name in teachers
    ]


def _draw_legend(figure: Figure, cells: Sequence[Cell], look: Mapping[str, Style]) -> None:
    """Below the panels, in as many columns as the width holds; the figure grows by its height."""
    handles = [
        Line2D([], [], color=style.colour, marker=style.marker, linestyle="none", label=style.name, **FILLED)
        for method, style in look.items()
        if method != TEACHER
    ]
    if CONTROL in look:
        handles.append(Line2D([], [], color="black", linewidth=0.7, linestyle=DOTTED, label="Baseline (student alone)"))
    if TEACHER in look:
        handles.append(Line2D([], [], color=GREY, linewidth=0.8, linestyle=DASHED, label="Teacher"))
    if any(cell.state == "incomplete" for cell in cells):
        handles.append(
            Line2D(
                [],
                [],
                color=GREY,
                marker="o",
                linestyle="none",
                label="Incomplete (see table)",
                **HALF_FILLED,
            )
        )
    for columns in range(7, 0, -1):
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns, **LEGEND)
        box = legend.get_window_extent()
        if box.width <= figure.bbox.width:
            figure.set_figheight(figure.get_figheight() + box.height / figure.dpi)
            return
        legend.remove()


def _accuracy_label(cells: Sequence[Cell], dataset: str) -> str:
    seeds = {cell.n for cell in cells if cell.method != TEACHER}
    over = f"{max(seeds)}" if len(seeds) == 1 else f"up to {max(seeds)}"
    spread = f"mean ± std over {over} seeds" if max(seeds) > 1 else "one seed"
    return "\n".join(filter(None, [dataset, "Test top-1 (%)", spread]))


def _stack_names(row: Sequence[Axes], names: Sequence[Sequence[Text]]) -> None:
    """Lay the pairs' names along the bottom, in as many lines as keep them apart, and make room below the data."""
    room = 0.0
    for panel, texts in zip(row, names, strict=True):
        frame = panel.get_window_extent()
        lines: list[float] = []
        for text in sorted(texts, key=lambda text: text.get_position()[0]):
            box = text.get_window_extent()
            left = min(max(box.x0, frame.x0), frame.x1 - box.width)
            line = next((i for i, end in enumerate(lines) if left > end), len(lines))
            lines[line : line + 1] = [left + box.width + 4]
            height = (box.height + 3) / frame.height
            text.set_x(panel.transData.inverted().transform((left + box.width / 2, 0))[0])
            text.set_y(0.01 + line * height)
            room = max(room, 0.04 + (line + 1) * height)
    room = min(room, 0.5)
    low, high = row[0].get_ylim()
    row[0].set_ylim(low - (high - low) * room / (1 - room), high)


def _separate(panel: Axes, texts: Sequence[Text]) -> None:
    """Move names beside a panel up and down until none overlaps another; they come lowest first."""
    if texts:
        gap = texts[0].get_window_extent().height * np.ptp(panel.get_ylim()) / panel.get_window_extent().height
        places = _apart([text.get_position()[1] for text in texts], [gap] * (len(texts) - 1))
        for text, place in zip(texts, places, strict=True):
            text.set_y(place)


def _apart(values: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Ascending values, moved as little as keeps each the gap from the one before (least squares)."""
    steps = np.concatenate([[0.0], np.cumsum(gaps)])
    return [float(place) for place in isotonic_regression(np.array(values) - steps).x + steps]
