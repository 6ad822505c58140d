"""The panels of accuracy versus budget: where marks, lines and names go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log10
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import canvas, words
from analysis.figures.budget_axis import BUDGETS, Budget, set_axes
from analysis.figures.canvas import DASHED, DOTTED, GREY, INK, LIGHT, SMALL, TWO_COLUMNS
from analysis.figures.layout import Box, apart, clearest, swarm
from analysis.statistics import pareto
from analysis.style import CONTROL, TEACHER, Style, listing_order

Row = Mapping[str, Any]

SLOT = 0.092
"""Inches that a mark with its interval takes beside others of its pair."""

CROWD = 60
"""More marks than this in a panel are drawn smaller."""

LEFT, GUTTER, UNDER = 0.52, 0.14, 0.42
"""Inches for the accuracy axis, between panels, and for a budget's axis and label."""
PANEL_HEIGHT, NAME_HEIGHT = 1.9, 0.17


@dataclass(frozen=True)
class Spot:
    """A row, and where on the logarithm of its budget it belongs and is drawn."""

    row: Row
    budget: float
    place: float

    @property
    def accuracy(self) -> float:
        return float(self.row["top1_percent"])

    @property
    def low(self) -> float:
        return self.accuracy if self.row.get("low") is None else float(self.row["low"])

    @property
    def high(self) -> float:
        return self.accuracy if self.row.get("high") is None else float(self.row["high"])


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
    height = PANEL_HEIGHT * (1.25 if len(students) > CROWD else 1.0)
    names, key = _pair_names(students, width)
    legend = words.legend_lines([*_legend(rows, look), *key], TWO_COLUMNS - 0.1)
    lines = ceil(len(budgets) / across)
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
    """Panels side by side: two where many marks need width, else up to three, as evenly filled as can be."""
    return min(panels, 2 if marks > 40 or panels == 4 else 3)


def _pair_names(rows: Sequence[Row], width: float) -> tuple[dict[str, str], list[Line2D]]:
    """Pairs by their students' names, with the teachers' where several have the same student; where these have no room
    side by side in a panel, numbers, and a key to them for the legend.
    """
    order = sorted(rows, key=lambda row: (row.get("parameters") or 0, row["pair"]))
    students = {row["pair"]: (row["student"], row["teacher"]) for row in order}
    shared = [student for student, _ in students.values()]
    names = {
        pair: words.printable(f"{student} ← {teacher}" if shared.count(student) > 1 else student)
        for pair, (student, teacher) in students.items()
    }
    if sum(words.text_width(name, SMALL) + 0.1 for name in names.values()) <= width:
        return names, []
    numbers = {pair: str(number) for number, pair in enumerate(names, start=1)}
    key = [words.note(f"{number}: {names[pair]}") for pair, number in numbers.items()]
    return numbers, key


def _accuracy_range(rows: Sequence[Row]) -> tuple[float, float]:
    ends = [row[end] for row in rows for end in ("top1_percent", "low", "high") if row.get(end) is not None]
    margin = 0.05 * (max(ends) - min(ends)) or 1.0
    return min(ends) - margin, max(ends) + margin


def _draw_panel(
    axes: Axes, rows: Sequence[Row], budget: Budget, look: Mapping[str, Style], names: Mapping[str, str]
) -> None:
    known = [row for row in rows if row.get(budget.column)]
    values = [log10(row[budget.column]) for row in known]
    margin = 0.09 * (max(values) - min(values)) or 0.1
    axes.set_xlim(min(values) - margin, max(values) + margin)
    marks = 3.6 if len(known) > CROWD else 4.8
    side_by_side = budget.deployment and len(known) * SLOT < 0.85 * canvas.size(axes)[0]
    spots = _side_by_side(axes, known, values) if side_by_side else _swarm(axes, known, values, (marks + 0.5) / 72)
    pairs = [[spot for spot in spots if spot.row["pair"] == pair] for pair in names]
    for members in filter(None, pairs):
        (_draw_band if side_by_side else _draw_stem if budget.deployment else _draw_thread)(axes, members)
    front = _draw_front(axes, spots)
    for spot in spots:
        _draw_spot(axes, spot, look[spot.row["method"]], marks)
    if budget.deployment:
        _draw_names(axes, spots, names)
    else:
        _name_starts(axes, spots, names, front)
    set_axes(axes, values, budget)


def _side_by_side(axes: Axes, rows: Sequence[Row], values: Sequence[float]) -> list[Spot]:
    """Marks of a pair stand beside each other around the budget they share, in listing order."""
    middles = {row["pair"]: _middle(row, rows, values) for row in rows}
    order = sorted(
        zip(values, rows, strict=True),
        key=lambda item: (middles[item[1]["pair"]], item[1]["pair"], listing_order(item[1]["method"])),
    )
    low, high = axes.get_xlim()
    unit = (high - low) / canvas.size(axes)[0]
    gaps = [SLOT * unit * (1 if a["pair"] == b["pair"] else 1.9) for (_, a), (_, b) in pairwise(order)]
    wanted = [middles[row["pair"]] for _, row in order]
    places = apart(wanted, gaps, low + 0.12 * unit, high - 0.12 * unit)
    return [Spot(row, value, place) for (value, row), place in zip(order, places, strict=True)]


def _middle(row: Row, rows: Sequence[Row], values: Sequence[float]) -> float:
    """Of a pair's budgets."""
    return median(value for value, other in zip(values, rows, strict=True) if other["pair"] == row["pair"])


def _swarm(axes: Axes, rows: Sequence[Row], values: Sequence[float], mark: float) -> list[Spot]:
    """Marks stay at their budgets, and give way sideways only where they would lie over each other."""
    width, height = canvas.size(axes)
    low, high = axes.get_ylim()
    up = [(row["top1_percent"] - low) / (high - low) * height for row in rows]
    # A wider axis packs marks more closely, which may move them out of it again.
    for _ in range(5):
        left, right = axes.get_xlim()
        scale = width / (right - left)
        places = [place / scale for place in swarm([value * scale for value in values], up, mark)]
        edge = mark / scale
        if left + edge <= min(places) and max(places) <= right - edge:
            break
        axes.set_xlim(min(left, min(places) - 2 * edge), max(right, max(places) + 2 * edge))
    return [Spot(row, value, place) for row, value, place in zip(rows, values, places, strict=True)]


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


def _draw_spot(axes: Axes, spot: Spot, style: Style, points: float) -> None:
    axes.vlines(spot.place, spot.low, spot.high, colors=GREY, linewidth=0.7, zorder=1.5)
    form = {**(canvas.MARK if spot.row["state"] == "done" else canvas.INCOMPLETE), "markersize": points}
    axes.plot(spot.place, spot.accuracy, color=style.colour, marker=style.marker, zorder=3, **form)


def _draw_names(axes: Axes, spots: Sequence[Spot], names: Mapping[str, str]) -> None:
    """The pairs' names along the bottom, each below its marks."""
    places = {pair: median(spot.place for spot in spots if spot.row["pair"] == pair) for pair in _pairs(spots)}
    order = sorted(places, key=lambda pair: (places[pair], pair))
    left, right = axes.get_xlim()
    unit = (right - left) / canvas.size(axes)[0]
    widths = [(words.text_width(names[pair], SMALL) + 0.05) * unit for pair in order]
    gaps = [(a + b) / 2 for a, b in pairwise(widths)]
    put = apart([places[pair] for pair in order], gaps, left + widths[0] / 2, right - widths[-1] / 2)
    for place, pair in zip(put, order, strict=True):
        axes.text(
            place, 0.01, names[pair], fontsize=SMALL, ha="center", va="bottom", transform=axes.get_xaxis_transform()
        )


def _pairs(spots: Sequence[Spot]) -> list[str]:
    return sorted({spot.row["pair"] for spot in spots})


def _name_starts(axes: Axes, spots: Sequence[Spot], names: Mapping[str, str], front: Sequence[Spot]) -> None:
    """The pairs' names, each beside its cheapest mark, the control as a rule, where nothing else is."""
    width, height = canvas.size(axes)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()

    def inches(spot: Spot, accuracy: float) -> tuple[float, float]:
        return (spot.place - left) / (right - left) * width, (accuracy - low) / (high - low) * height

    taken = [Box(-9, -9, 0, 9), Box(width, -9, width + 9, 9)]
    for spot in spots:
        x, y = inches(spot, spot.accuracy)
        taken += [Box(x - 0.04, y - 0.04, x + 0.04, y + 0.04)]
        taken += [Box(x - 0.01, inches(spot, spot.low)[1], x + 0.01, inches(spot, spot.high)[1])]
    for before, after in pairwise(front):
        (left_end, below), (right_end, above) = inches(before, before.accuracy), inches(after, after.accuracy)
        taken += [Box(left_end, below - 0.01, right_end, below + 0.01)]
        taken += [Box(right_end - 0.01, below, right_end + 0.01, above)]
    for pair in names:
        members = [spot for spot in spots if spot.row["pair"] == pair]
        if not members:
            continue
        start = min(members, key=lambda spot: (spot.budget, spot.accuracy))
        x, y = inches(start, start.accuracy)
        half, tall = words.text_width(names[pair], SMALL) / 2, 0.11
        beside, above, below = half + 0.05, inches(start, start.high)[1] + 0.09, inches(start, start.low)[1] - 0.09
        centres = [(min(max(x, half), width - half), below), (min(max(x, half), width - half), above)]
        centres += [(x + sign * beside, y + rise) for rise in (0, -0.1, 0.1, -0.2, 0.2) for sign in (1, -1)]
        boxes = [Box(a - half - 0.02, b - tall / 2, a + half + 0.02, b + tall / 2) for a, b in centres]
        box = clearest(boxes, taken)
        if len(spots) > CROWD and any(box.overlap(other) for other in taken):
            continue
        taken.append(box)
        axes.text(
            (box.left + box.right) / 2 / width,
            (box.bottom + box.top) / 2 / height,
            names[pair],
            fontsize=SMALL,
            ha="center",
            va="center_baseline",
            transform=axes.transAxes,
        )


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
