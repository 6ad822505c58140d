"""The panels of accuracy versus budget: where marks, lines and names go."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, log10
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import canvas, words
from analysis.figures.budget_axis import ALIKE, Budget, Row, set_axis, set_ticks
from analysis.figures.canvas import DASHED, GREY, INK, LIGHT, ONE_COLUMN, SMALL, STEPS, TINY, TWO_COLUMNS
from analysis.figures.layout import Box, apart, clearest, lanes
from analysis.runs.metrics import TOP1, Metric
from analysis.style import CONTROL, TEACHER, Style, listing_order

CROWD = 60
"""More marks than this in a panel are drawn smaller."""

HIGH, UNDER = 1.75, 0.42
"""Inches of a panel, and of a budget's axis and label."""

MOST_NAMED = 3
"""Budgets of a panel whose marks are named beside them."""

NAME = 0.095
"""Inches from one such name to the next."""


def draw(rows: Sequence[Row], budgets: Sequence[Budget], look: Mapping[str, Style], metric: Metric = TOP1) -> Figure:
    """A panel for each budget. Rows are of one data set: the columns of BUDGETS, `method`, `pair`, `teacher`,
    `student`, `top1_percent`, `low` and `high` (the ends of its interval, or None), `state`, and `front_` before a
    budget's column: how probable it is that no cheaper one is better. Those of teachers draw their lines only.
    """
    students = [row for row in rows if row["method"] != TEACHER]
    teachers = sorted({(row["top1_percent"], row["teacher"]) for row in rows if row["method"] == TEACHER})
    across = min(len(budgets), 3 if len(budgets) in (3, 5, 6) and len(students) <= CROWD else 2)
    lines = ceil(len(budgets) / across)
    names = pair_names(students)
    handles = [*_legend(rows, look), *(words.line(text, linestyle="none") for text in _key(names, students))]
    sheet = TWO_COLUMNS if across > 1 else ONE_COLUMN
    figure = canvas.sheet(sheet, lines * (HIGH + UNDER) + words.legend_height(handles, sheet))
    panels = figure.subplots(lines, across, sharey=True, squeeze=False)
    for axes in panels.flat[len(budgets) :]:
        axes.set_axis_off()
    panels[0, 0].set_ylim(*_accuracy_range(rows))
    width = (sheet - 1.1) / across
    drawn = []
    for i, (axes, budget) in enumerate(zip(panels.flat, budgets, strict=False)):
        drawn.append(_draw_panel(axes, students, budget, look, width))
        _draw_front(axes, drawn[-1], metric.sign)
        _draw_teachers(axes, teachers, named=i % across == across - 1)
        if i % across == 0:
            axes.set_ylabel(metric.axis)
            axes.locator_params("y", nbins=6, steps=STEPS)
    words.legend(figure, handles)
    canvas.lay_out(figure)
    for axes, budget, places in zip(panels.flat, budgets, drawn, strict=False):
        if budget.deployment:
            _name_students(axes, places)
            _name_methods(axes, places, look)
        else:
            _name_pairs(axes, places, names)
    return figure


def _accuracy_range(rows: Sequence[Row]) -> tuple[float, float]:
    """Of all panels, with room for names along the bottom."""
    ends = [row[end] for row in rows for end in ("top1_percent", "low", "high") if row.get(end) is not None]
    height = max(ends) - min(ends) or 2.0
    return min(ends) - 0.18 * height, max(ends) + 0.05 * height


def _draw_panel(
    axes: Axes, rows: Sequence[Row], budget: Budget, look: Mapping[str, Style], width: float
) -> list[dict[str, Any]]:
    """Returns the rows that have this budget, each with its place on the axis (`x`) and `front`, its share of this."""
    known = [row for row in rows if row.get(budget.column)]
    divisor, label, text = budget.axis([float(row[budget.column]) for row in known])
    front = f"front_{budget.column}"
    placed = [{**row, "x": float(row[budget.column]) / divisor, "front": row[front]} for row in known]
    set_axis(axes, [row["x"] for row in placed], label, text, width)
    if budget.deployment and len(_clusters(placed)) <= MOST_NAMED:
        _make_room(axes, placed, look, width)
        set_ticks(axes, text, width)
    elif not budget.deployment:
        _draw_spokes(axes, placed)
    _draw_marks(axes, placed, look, intervals=not budget.deployment)
    return placed


def _draw_spokes(axes: Axes, rows: Sequence[Row]) -> None:
    """From the student alone to each method of its pair: what it costs more, and what it gains."""
    alone = {row["pair"]: row for row in reversed(rows) if row["method"] == CONTROL}
    for row in rows:
        start = alone.get(row["pair"], row)
        ends = [start["top1_percent"], row["top1_percent"]]
        axes.plot([start["x"], row["x"]], ends, color=LIGHT, linewidth=0.4, zorder=1)


def _draw_front(axes: Axes, rows: Sequence[Row], sign: int) -> None:
    """Through the means that no other of the same budget, within 2 %, or a lower one beats."""

    def beaten(row: Row) -> bool:
        rivals = [other for other in rows if other["x"] <= ALIKE * row["x"]]
        return max(sign * other["top1_percent"] for other in rivals) > sign * row["top1_percent"]

    best = [(row["x"], sign * row["top1_percent"]) for row in rows if not beaten(row)]
    x, y = zip(*sorted(best), strict=True)
    heights = [sign * each for each in (*y, y[-1])]
    axes.step([*x, axes.get_xlim()[1]], heights, where="post", color=INK, linewidth=0.8, zorder=2)


def _draw_marks(axes: Axes, rows: Sequence[Row], look: Mapping[str, Style], *, intervals: bool) -> None:
    """Filled as far as they are on the front; those likelier to be lie above the others."""
    points = 3.4 if len(rows) > CROWD else 4.8
    for row in sorted(rows, key=lambda row: row["front"] or 0.0):
        style, place = look[row["method"]], (row["x"], row["top1_percent"])
        if row.get("low") is not None and intervals:
            axes.vlines(row["x"], row["low"], row["high"], colors=GREY, linewidth=0.6, zorder=1.5)
        form: dict[str, Any] = {"marker": style.marker, "color": style.colour, "linestyle": "none"}
        form |= {"markersize": points, "markerfacecolor": _faded(style.colour, row["front"]), "markeredgewidth": 0.8}
        axes.plot(*place, zorder=3, **form)
        if row["state"] != "done":
            ring: dict[str, Any] = {"markersize": points + 3.5, "markeredgecolor": GREY, "markeredgewidth": 0.5}
            axes.plot(*place, "o", markerfacecolor="none", zorder=2.5, **ring)


def _faded(colour: str, share: float | None) -> tuple[float, ...]:
    """White for none of it."""
    kept = 1.0 if share is None else share
    return tuple(1 - kept * (1 - part) for part in to_rgb(colour))


def _clusters(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one budget within 2 %, the smallest budget first."""
    found: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: float(row["x"])):
        if found and row["x"] <= ALIKE * found[-1][0]["x"]:
            found[-1].append(row)
        else:
            found.append([row])
    return found


BESIDE = 0.28
"""Inches from a mark to its name."""
PLATE: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.3}
"""Behind a name, which a line may cross."""


def _named_width(rows: Sequence[Row], look: Mapping[str, Style]) -> float:
    return BESIDE + max(words.text_width(words.printable(look[row["method"]].name), TINY) for row in rows) + 0.05


def _make_room(axes: Axes, rows: Sequence[Row], look: Mapping[str, Style], width: float) -> None:
    """To the right of the last marks for their names, where all marks will have them."""
    share = min(0.6, 1.15 * _named_width(rows, look) / width)
    low, high = axes.get_xlim()
    axes.set_xlim(low, low * 10 ** (log10(max(row["x"] for row in rows) / low) / (1 - share)))
    if not _roomy(axes, rows, look, width):
        axes.set_xlim(low, high)


def _roomy(axes: Axes, rows: Sequence[Row], look: Mapping[str, Style], width: float) -> bool:
    """Whether names fit between each two budgets, and behind the last."""
    left, right = axes.get_xlim()
    starts = [members[0]["x"] for members in _clusters(rows)]
    gaps = [log10(b / a) / log10(right / left) * width for a, b in pairwise([*starts, right])]
    return min(gaps) > _named_width(rows, look)


def _name_methods(axes: Axes, rows: Sequence[Row], look: Mapping[str, Style]) -> None:
    """Beside marks that share a budget, each with a line to its mark, where the panel has room for all of them."""
    clusters = _clusters(rows)
    width, height = canvas.size(axes)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    unit = log10(right / left) / width
    roomy = _roomy(axes, rows, look, width)
    if len(clusters) > MOST_NAMED or not roomy or max(map(len, clusters)) * NAME > height - 0.25:
        return
    step = NAME * (high - low) / height
    for members in clusters:
        order = sorted(members, key=lambda row: float(row["top1_percent"]))
        wanted = [float(row["top1_percent"]) for row in order]
        put = apart(wanted, [step] * (len(order) - 1), low + 1.8 * step, high - step / 2)
        at = members[0]["x"] * 10 ** (BESIDE * unit)
        for row, y in zip(order, put, strict=True):
            style = look[row["method"]]
            line: dict[str, Any] = {"color": style.colour, "linewidth": 0.4, "zorder": 1}
            axes.plot([row["x"], at / 10 ** (0.03 * unit)], [row["top1_percent"], y], **line)
            axes.text(at, y, words.printable(style.name), fontsize=TINY, va="center_baseline", bbox=PLATE)


def _name_students(axes: Axes, rows: Sequence[Row]) -> None:
    """Along the bottom, below their marks, above each other where they would meet; a third line has no room."""
    width, height = canvas.size(axes)
    left, right = map(log10, axes.get_xlim())
    unit = (right - left) / width
    placed = []
    for members in _clusters(rows):
        name = words.printable(" / ".join(dict.fromkeys(str(row["student"]) for row in members)))
        name = words.shortened(name, 0.9 * width, SMALL)
        half = (words.text_width(name, SMALL) / 2 + 0.03) * unit
        middle = min(max(log10(members[0]["x"]), left + half), right - half)
        placed.append((middle - half, middle + half, name))
    placed.sort(key=lambda each: each[:2])
    found = lanes([start for start, _, _ in placed], [end for _, end, _ in placed])
    for (start, end, name), lane in zip(placed, found, strict=True):
        if lane < 2:
            at = 10 ** ((start + end) / 2), (0.01 + 0.11 * lane) / height
            axes.text(*at, name, fontsize=SMALL, ha="center", va="bottom", transform=axes.get_xaxis_transform())


def pair_names(rows: Sequence[Row]) -> dict[str, str]:
    """Pairs by their students, with the teachers where several have the same student; more than four by numbers."""
    order = sorted(rows, key=lambda row: (row.get("parameters") or 0, row["pair"]))
    students = {str(row["pair"]): (row["student"], row["teacher"]) for row in order}
    if len(students) > 4:
        return {pair: str(number) for number, pair in enumerate(students, start=1)}
    shared = [student for student, _ in students.values()]
    return {
        pair: words.printable(f"{student} ← {teacher}" if shared.count(student) > 1 else student)
        for pair, (student, teacher) in students.items()
    }


def _key(names: Mapping[str, str], rows: Sequence[Row]) -> list[str]:
    """What numbers mean."""
    titles = {row["pair"]: words.printable(f"{row['teacher']} → {row['student']}") for row in rows}
    return [f"{name}: {titles[pair]}" for pair, name in names.items() if name.isdecimal() and name != titles[pair]]


def _name_pairs(axes: Axes, rows: Sequence[Row], names: Mapping[str, str]) -> None:
    """Each beside its cheapest mark, the control as a rule, where it lies over no other and covers as little as can be;
    where every place is another's, it is left out.
    """
    width, height = canvas.size(axes)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()

    def spot(row: Row) -> tuple[float, float]:
        across, up = log10(row["x"] / left) / log10(right / left), (row["top1_percent"] - low) / (high - low)
        return across * width, up * height

    panel = Box(0, 0, width, height)
    marks = [Box.around(spot(row), 0.035, 0.035) for row in rows]
    taken: list[Box] = []
    for pair, name in names.items():
        members = [row for row in rows if row["pair"] == pair]
        if not members:
            continue
        x, y = spot(min(members, key=lambda row: (row["x"], row["top1_percent"])))
        half = words.text_width(name, TINY) / 2 + 0.01
        middle = min(max(x, half), width - half)
        centres = [(middle, y - 0.12), (middle, y + 0.12), (x + half + 0.06, y), (x - half - 0.06, y)]
        boxes = [Box.around(centre, half, 0.05) for centre in centres]
        free = [box for box in boxes if box in panel and not any(box.overlap(other) for other in taken)]
        if not free:
            continue
        box = clearest(free, marks)
        taken.append(box)
        at = (box.left + box.right) / 2 / width, (box.bottom + box.top) / 2 / height
        axes.text(*at, name, fontsize=TINY, ha="center", va="center_baseline", transform=axes.transAxes)


def _draw_teachers(axes: Axes, teachers: Sequence[tuple[float, str]], *, named: bool) -> None:
    """A dashed line at each teacher's accuracy, named beside the last panel of a row."""
    for accuracy in {accuracy for accuracy, _ in teachers}:
        axes.axhline(accuracy, color=GREY, linewidth=0.7, linestyle=DASHED, zorder=0.5)
    if not named:
        return
    low, high = axes.get_ylim()
    step = 0.115 * (high - low) / HIGH
    places = apart([accuracy for accuracy, _ in teachers], [step] * (len(teachers) - 1), high=high)
    for place, (accuracy, teacher) in zip(places, teachers, strict=True):
        name = f"{words.shortened(words.printable(teacher), 0.9, SMALL)} {accuracy:.1f}"
        axes.text(1.02, place, name, va="center", fontsize=SMALL, transform=axes.get_yaxis_transform())


def _legend(rows: Sequence[Row], look: Mapping[str, Style]) -> list[Line2D]:
    methods = sorted({row["method"] for row in rows} - {TEACHER}, key=listing_order)
    dot: dict[str, Any] = {"marker": "o", "linestyle": "none"}
    handles = [words.mark(look[method]) for method in methods]
    handles.append(words.line("Front of the means", color=INK))
    handles.append(words.line("Fill: P(on the front)", markerfacecolor="#BBBBBB", markersize=4.8, **dot))
    if any(row["method"] == TEACHER for row in rows):
        handles.append(words.line("Teacher", linestyle=DASHED))
    if any(row["state"] != "done" for row in rows):
        ring: dict[str, Any] = {"markerfacecolor": "none", "markersize": 8.0, "markeredgewidth": 0.5}
        handles.append(words.line("Lacks seeds", **dot, **ring))
    return handles
