"""The panels of accuracy versus budget: where marks, lines and names go."""

from collections.abc import Mapping, Sequence
from math import ceil, log10
from statistics import median

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import canvas, words
from analysis.figures.budget_axis import BUDGETS, Budget, set_axes
from analysis.figures.budget_places import SLOT, Row, Spot, beside, name_below, name_starts, pair_names, swarmed
from analysis.figures.canvas import DASHED, DOTTED, GREY, INK, LIGHT, SMALL, TALLEST, TWO_COLUMNS
from analysis.figures.layout import apart
from analysis.statistics.basic import pareto
from analysis.style import CONTROL, TEACHER, Style, listing_order

MOST_NARROW = 15
"""Marks that stand beside each other in a third of the sheet."""

CROWD = 60
"""More marks than this in a panel are drawn smaller."""

LEAST_MARGIN = 0.01
"""On either side of the logarithms of budgets, so that budgets that hardly differ do not look as if they did."""

LEFT, GUTTER, UNDER = 0.52, 0.14, 0.42
"""Inches for the accuracy axis, between panels, and for a budget's axis and label."""
PANEL_HEIGHT, NAME_HEIGHT = 1.9, 0.17


def draw(rows: Sequence[Row], look: Mapping[str, Style]) -> Figure:
    """A panel for each budget that any student's row has. Rows are of one data set: the columns of BUDGETS, `method`,
    `pair`, `teacher`, `student`, `top1_percent`, `low` and `high` (the ends of its interval, or None) and `state`;
    those of teachers draw their lines only.
    """
    students = [row for row in rows if row["method"] != TEACHER]
    budgets = [budget for budget in BUDGETS if any(row.get(budget.column) for row in students)]
    teachers = sorted({(row["top1_percent"], row["teacher"]) for row in rows if row["method"] == TEACHER})
    across = _columns(len(budgets), len(students))
    right = max((words.text_width(_teacher_name(*teacher), SMALL) + 0.1 for teacher in teachers), default=0.1)
    width = (TWO_COLUMNS - LEFT - right - GUTTER * (across - 1)) / across
    names, key = pair_names(students, width)
    legend = words.legend_lines([*_legend(rows, look), *key], TWO_COLUMNS - 0.1)
    lines = ceil(len(budgets) / across)
    tallest = (TALLEST - 0.14 - len(legend) * words.LINE) / lines - UNDER
    height = min(PANEL_HEIGHT * (1.25 if len(students) > CROWD else 1.0), tallest)
    under = 0.08 + lines * (height + UNDER)
    figure = canvas.sheet(TWO_COLUMNS, under + len(legend) * words.LINE + 0.06)
    low, high = _accuracy_range(rows)
    for i, budget in enumerate(budgets):
        column, line = i % across, i // across
        axes = canvas.panel(figure, LEFT + column * (width + GUTTER), 0.08 + line * (height + UNDER), width, height)
        axes.set_ylim(low - (high - low) * NAME_HEIGHT / (height - NAME_HEIGHT), high)
        _draw_panel(axes, students, budget, look, names)
        _draw_teachers(axes, teachers, named=column == across - 1 or i == len(budgets) - 1)
        axes.tick_params(labelleft=column == 0)
        if column == 0:
            axes.set_ylabel("Test top-1 (%)")
    words.draw_legend(figure, legend, 0.08, under)
    return figure


def _columns(panels: int, marks: int) -> int:
    """Panels side by side: two where the marks need width, else up to three, as evenly filled as can be."""
    return min(panels, 2 if marks > MOST_NARROW or panels == 4 else 3)


def _accuracy_range(rows: Sequence[Row]) -> tuple[float, float]:
    ends = [row[end] for row in rows for end in ("top1_percent", "low", "high") if row.get(end) is not None]
    margin = 0.05 * (max(ends) - min(ends)) or 1.0
    return min(ends) - margin, max(ends) + margin


def _draw_panel(
    axes: Axes, rows: Sequence[Row], budget: Budget, look: Mapping[str, Style], names: Mapping[str, str]
) -> None:
    known = [row for row in rows if row.get(budget.column)]
    values = [log10(row[budget.column]) for row in known]
    margin = max(0.09 * (max(values) - min(values)), LEAST_MARGIN)
    axes.set_xlim(min(values) - margin, max(values) + margin)
    marks = 3.6 if len(known) > CROWD else 4.8
    side_by_side = budget.deployment and len(known) * SLOT < 0.85 * canvas.size(axes)[0]
    spots = beside(axes, known, values) if side_by_side else swarmed(axes, known, values, (marks + 0.5) / 72)
    pairs = [[spot for spot in spots if spot.row["pair"] == pair] for pair in names]
    for members in filter(None, pairs):
        (_draw_band if side_by_side else _draw_stem if budget.deployment else _draw_thread)(axes, members)
    front = _draw_front(axes, spots)
    _draw_spots(axes, spots, look, marks)
    if budget.deployment:
        name_below(axes, spots, names)
    else:
        name_starts(axes, spots, names, front, crowded=len(spots) > CROWD)
    set_axes(axes, values, budget)


def _draw_band(axes: Axes, spots: Sequence[Spot]) -> None:
    """Behind the marks of a pair, and its control's accuracy through them."""
    unit = np.ptp(axes.get_xlim()) / canvas.size(axes)[0]
    first, last = spots[0].place - 0.6 * SLOT * unit, spots[-1].place + 0.6 * SLOT * unit
    axes.axvspan(first, last, color=canvas.BAND, linewidth=0, zorder=0)
    for spot in spots:
        if spot.row["method"] == CONTROL:
            axes.plot([first, last], [spot.accuracy] * 2, color=INK, linewidth=0.7, linestyle=DOTTED)


def _draw_stem(axes: Axes, spots: Sequence[Spot]) -> None:
    """An upright line at a pair's budget, from its worst to its best."""
    accuracies = [spot.accuracy for spot in spots]
    axes.vlines(
        median(s.budget for s in spots), min(accuracies), max(accuracies), colors=LIGHT, linewidth=0.5, zorder=1
    )


def _draw_thread(axes: Axes, spots: Sequence[Spot]) -> None:
    """A thin line through the marks of a pair, in the order of their budgets."""
    order = sorted(spots, key=lambda spot: (spot.place, spot.accuracy))
    axes.plot([spot.place for spot in order], [spot.accuracy for spot in order], color=LIGHT, linewidth=0.5, zorder=1)


def _draw_front(axes: Axes, spots: Sequence[Spot]) -> list[Spot]:
    """Through the marks, which it returns, that no other beats at the same budget or a lower one."""
    kept = pareto([(spot.budget, spot.accuracy) for spot in spots])
    best = sorted((spot for spot, keep in zip(spots, kept, strict=True) if keep), key=lambda spot: spot.budget)
    x = [spot.place for spot in best] + [axes.get_xlim()[1]]
    axes.step(
        x, [*(spot.accuracy for spot in best), best[-1].accuracy], where="post", color=INK, linewidth=0.8, zorder=2
    )
    return best


def _draw_spots(axes: Axes, spots: Sequence[Spot], look: Mapping[str, Style], points: float) -> None:
    places = [spot.place for spot in spots]
    ends = [spot.low for spot in spots], [spot.high for spot in spots]
    axes.vlines(places, *ends, colors=GREY, linewidth=0.7, zorder=1.5)
    for form, complete in ((canvas.MARK, True), (canvas.INCOMPLETE, False)):
        members = [spot for spot in spots if (spot.row["state"] == "done") == complete]
        marks = [(spot.place, spot.accuracy, look[spot.row["method"]]) for spot in members]
        canvas.draw_marks(axes, marks, {**form, "markersize": points})


def _teacher_name(accuracy: float, name: str) -> str:
    return f"{words.shortened(words.printable(name), 0.9, SMALL)} {accuracy:.1f}"


def _draw_teachers(axes: Axes, teachers: Sequence[tuple[float, str]], *, named: bool) -> None:
    """A dashed line at each teacher's accuracy, named beside the last panel of a row."""
    for accuracy in {accuracy for accuracy, _ in teachers}:
        axes.axhline(accuracy, color=GREY, linewidth=0.7, linestyle=DASHED, zorder=0.5)
    if not named:
        return
    low, high = axes.get_ylim()
    step = 0.11 * (high - low) / canvas.size(axes)[1]
    places = apart([accuracy for accuracy, _ in teachers], [step] * (len(teachers) - 1), high=high)
    beside = axes.get_yaxis_transform()
    for place, teacher in zip(places, teachers, strict=True):
        axes.text(1.02, place, _teacher_name(*teacher), va="center", fontsize=SMALL, transform=beside)


def _legend(rows: Sequence[Row], look: Mapping[str, Style]) -> list[Line2D]:
    methods = sorted({row["method"] for row in rows} - {TEACHER}, key=listing_order)
    handles = [words.mark(look[method]) for method in methods]
    handles.append(words.line("Pareto front", color=INK))
    if any(row["method"] == TEACHER for row in rows):
        handles.append(words.line("Teacher", linestyle=DASHED))
    if any(row["state"] != "done" for row in rows):
        handles.append(Line2D([], [], color=GREY, marker="o", label="Incomplete (see table)", **canvas.INCOMPLETE))
    return handles
