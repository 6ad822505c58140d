"""The panels of accuracy versus budget: where marks, lines and names go."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, log10
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures import canvas, words
from analysis.figures.budget_axis import ALIKE, Budget, Row, set_axis, set_ticks
from analysis.figures.canvas import DASHED, GREY, INK, LIGHT, ONE_COLUMN, SMALL, TINY, TWO_COLUMNS
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
        _draw_front(axes, students, drawn[-1], metric.sign)
        _draw_teachers(axes, teachers, named=i % across == across - 1)
        if i % across == 0:
            axes.set_ylabel(metric.axis)
            axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    words.legend(figure, handles)
    canvas.lay_out(figure)
    for axes, budget, places in zip(panels.flat, budgets, drawn, strict=False):
        if budget.deployment:
            _name_students(axes, students, places)
            _name_methods(axes, students, places, look)
        else:
            _name_pairs(axes, students, places, names)
    return figure


def _accuracy_range(rows: Sequence[Row]) -> tuple[float, float]:
    """Of all panels, with room for names along the bottom."""
    ends = [row[end] for row in rows for end in ("top1_percent", "low", "high") if row.get(end) is not None]
    height = max(ends) - min(ends) or 2.0
    return min(ends) - 0.18 * height, max(ends) + 0.05 * height


def _draw_panel(
    axes: Axes, rows: Sequence[Row], budget: Budget, look: Mapping[str, Style], width: float
) -> dict[int, float]:
    """Returns where on the axis each row is, by its number; rows without this budget are nowhere."""
    known = {i: float(row[budget.column]) for i, row in enumerate(rows) if row.get(budget.column)}
    divisor, label, text = budget.axis(list(known.values()))
    places = {i: value / divisor for i, value in known.items()}
    set_axis(axes, list(places.values()), label, text, width)
    if budget.deployment and len(_clusters(places)) <= MOST_NAMED:
        _make_room(axes, rows, places, look, width)
        set_ticks(axes, text, width)
    elif not budget.deployment:
        _draw_spokes(axes, rows, places)
    _draw_marks(axes, rows, places, budget, look)
    return places


def _draw_spokes(axes: Axes, rows: Sequence[Row], places: Mapping[int, float]) -> None:
    """From the student alone to each method of its pair: what it costs more, and what it gains."""
    for i in places:
        start = next((j for j in places if _pair(rows[j]) == _pair(rows[i]) and rows[j]["method"] == CONTROL), i)
        ends = [rows[start]["top1_percent"], rows[i]["top1_percent"]]
        axes.plot([places[start], places[i]], ends, color=LIGHT, linewidth=0.4, zorder=1)


def _pair(row: Row) -> str:
    return str(row["pair"])


def _draw_front(axes: Axes, rows: Sequence[Row], places: Mapping[int, float], sign: int) -> None:
    """Through the means that no other of the same budget, within 2 %, or a lower one beats."""
    found = {i: sign * float(rows[i]["top1_percent"]) for i in places}
    best = [i for i in places if all(places[j] > ALIKE * places[i] or found[j] <= found[i] for j in places)]
    best.sort(key=lambda i: (places[i], found[i]))
    x = [*(places[i] for i in best), axes.get_xlim()[1]]
    y = [sign * found[i] for i in [*best, best[-1]]]
    axes.step(x, y, where="post", color=INK, linewidth=0.8, zorder=2)


def _draw_marks(
    axes: Axes, rows: Sequence[Row], places: Mapping[int, float], budget: Budget, look: Mapping[str, Style]
) -> None:
    """Filled as far as they are on the front; those likelier to be lie above the others."""
    points = 3.4 if len(places) > CROWD else 4.8
    for i in sorted(places, key=lambda i: rows[i][f"front_{budget.column}"] or 0.0):
        row, style = rows[i], look[rows[i]["method"]]
        if row.get("low") is not None and not budget.deployment:
            axes.vlines(places[i], row["low"], row["high"], colors=GREY, linewidth=0.6, zorder=1.5)
        face = _faded(style.colour, row[f"front_{budget.column}"])
        form: dict[str, Any] = {"markersize": points, "markeredgecolor": style.colour, "markeredgewidth": 0.8}
        axes.plot(
            places[i], row["top1_percent"], style.marker, markerfacecolor=face, color=style.colour, zorder=3, **form
        )
        if row["state"] != "done":
            ring: dict[str, Any] = {"markersize": points + 3.5, "markeredgecolor": GREY, "markeredgewidth": 0.5}
            axes.plot(places[i], row["top1_percent"], "o", markerfacecolor="none", zorder=2.5, **ring)


def _faded(colour: str, share: float | None) -> tuple[float, ...]:
    """White for none of it."""
    kept = 1.0 if share is None else share
    return tuple(1 - kept * (1 - part) for part in to_rgb(colour))


def _clusters(places: Mapping[int, float]) -> list[list[int]]:
    """Rows of one budget within 2 %, the smallest budget first."""
    found: list[list[int]] = []
    for i in sorted(places, key=lambda i: (places[i], i)):
        if found and places[i] <= ALIKE * places[found[-1][0]]:
            found[-1].append(i)
        else:
            found.append([i])
    return found


BESIDE = 0.28
"""Inches from a mark to its name."""
PLATE: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.3}
"""Behind a name, which a line may cross."""


def _named_width(rows: Sequence[Row], places: Mapping[int, float], look: Mapping[str, Style]) -> float:
    return BESIDE + max(words.text_width(words.printable(look[rows[i]["method"]].name), TINY) for i in places) + 0.05


def _make_room(
    axes: Axes, rows: Sequence[Row], places: Mapping[int, float], look: Mapping[str, Style], width: float
) -> None:
    """To the right of the last marks for their names, where all marks will have them."""
    share = min(0.6, 1.15 * _named_width(rows, places, look) / width)
    low, high = axes.get_xlim()
    axes.set_xlim(low, low * 10 ** (log10(max(places.values()) / low) / (1 - share)))
    if not _roomy(axes, rows, places, look, width):
        axes.set_xlim(low, high)


def _roomy(
    axes: Axes, rows: Sequence[Row], places: Mapping[int, float], look: Mapping[str, Style], width: float
) -> bool:
    """Whether names fit between each two budgets, and behind the last."""
    left, right = axes.get_xlim()
    starts = [places[members[0]] for members in _clusters(places)]
    gaps = [log10(b / a) / log10(right / left) * width for a, b in pairwise([*starts, right])]
    return min(gaps) > _named_width(rows, places, look)


def _name_methods(axes: Axes, rows: Sequence[Row], places: Mapping[int, float], look: Mapping[str, Style]) -> None:
    """Beside marks that share a budget, each with a line to its mark, where the panel has room for all of them."""
    clusters = _clusters(places)
    width, height = canvas.size(axes)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    unit = log10(right / left) / width
    roomy = _roomy(axes, rows, places, look, width)
    if len(clusters) > MOST_NAMED or not roomy or max(map(len, clusters)) * NAME > height - 0.25:
        return
    step = NAME * (high - low) / height
    for members in clusters:
        order = sorted(members, key=lambda i: rows[i]["top1_percent"])
        wanted = [float(rows[i]["top1_percent"]) for i in order]
        put = apart(wanted, [step] * (len(order) - 1), low + 1.8 * step, high - step / 2)
        at = places[members[0]] * 10 ** (BESIDE * unit)
        for i, y in zip(order, put, strict=True):
            style = look[rows[i]["method"]]
            line: dict[str, Any] = {"color": style.colour, "linewidth": 0.4, "zorder": 1}
            axes.plot([places[i], at / 10 ** (0.03 * unit)], [rows[i]["top1_percent"], y], **line)
            name = words.printable(style.name)
            axes.text(at, y, name, fontsize=TINY, va="center_baseline", bbox=PLATE)


def _name_students(axes: Axes, rows: Sequence[Row], places: Mapping[int, float]) -> None:
    """Along the bottom, below their marks, above each other where they would meet; a third line has no room."""
    width, height = canvas.size(axes)
    left, right = map(log10, axes.get_xlim())
    unit = (right - left) / width
    names, spans = [], []
    for members in _clusters(places):
        name = words.printable(" / ".join(dict.fromkeys(str(rows[i]["student"]) for i in members)))
        names.append(words.shortened(name, 0.9 * width, SMALL))
        half = (words.text_width(names[-1], SMALL) / 2 + 0.03) * unit
        middle = min(max(log10(places[members[0]]), left + half), right - half)
        spans.append((middle - half, middle + half))
    order = sorted(range(len(names)), key=lambda i: spans[i])
    found = lanes([spans[i][0] for i in order], [spans[i][1] for i in order])
    for i, lane in zip(order, found, strict=True):
        if lane < 2:
            at = 10 ** (sum(spans[i]) / 2), (0.01 + 0.11 * lane) / height
            axes.text(*at, names[i], fontsize=SMALL, ha="center", va="bottom", transform=axes.get_xaxis_transform())


def pair_names(rows: Sequence[Row]) -> dict[str, str]:
    """Pairs by their students, with the teachers where several have the same student; more than four by numbers."""
    order = sorted(rows, key=lambda row: (row.get("parameters") or 0, row["pair"]))
    students = {_pair(row): (row["student"], row["teacher"]) for row in order}
    if len(students) > 4:
        return {pair: str(number) for number, pair in enumerate(students, start=1)}
    shared = [student for student, _ in students.values()]
    return {
        pair: words.printable(f"{student} ← {teacher}" if shared.count(student) > 1 else student)
        for pair, (student, teacher) in students.items()
    }


def _key(names: Mapping[str, str], rows: Sequence[Row]) -> list[str]:
    """What numbers mean."""
    titles = {_pair(row): words.printable(f"{row['teacher']} → {row['student']}") for row in rows}
    return [f"{name}: {titles[pair]}" for pair, name in names.items() if name.isdecimal() and name != titles[pair]]


def _name_pairs(axes: Axes, rows: Sequence[Row], places: Mapping[int, float], names: Mapping[str, str]) -> None:
    """Each beside its cheapest mark, the control as a rule, where it lies over no other and covers as little as can be;
    where every place is another's, it is left out.
    """
    width, height = canvas.size(axes)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    spots = {
        i: (log10(x / left) / log10(right / left) * width, (rows[i]["top1_percent"] - low) / (high - low) * height)
        for i, x in places.items()
    }
    marks = [Box(x - 0.035, y - 0.035, x + 0.035, y + 0.035) for x, y in spots.values()]
    taken: list[Box] = []
    for pair, name in names.items():
        members = [i for i in places if _pair(rows[i]) == pair]
        if not members:
            continue
        x, y = spots[min(members, key=lambda i: (places[i], rows[i]["top1_percent"]))]
        half = words.text_width(name, TINY) / 2 + 0.01
        middle = min(max(x, half), width - half)
        centres = [(middle, y - 0.12), (middle, y + 0.12), (x + half + 0.06, y), (x - half - 0.06, y)]
        boxes = [Box(a - half, b - 0.05, a + half, b + 0.05) for a, b in centres]
        free = [box for box in boxes if not any(box.overlap(other) for other in taken) and _inside(box, width, height)]
        if not free:
            continue
        box = clearest(free, marks)
        taken.append(box)
        at = (box.left + box.right) / 2 / width, (box.bottom + box.top) / 2 / height
        axes.text(*at, name, fontsize=TINY, ha="center", va="center_baseline", transform=axes.transAxes)


def _inside(box: Box, width: float, height: float) -> bool:
    return box.left >= 0 and box.right <= width and box.bottom >= 0 and box.top <= height


def _teacher_name(accuracy: float, name: str) -> str:
    return f"{words.shortened(words.printable(name), 0.9, SMALL)} {accuracy:.1f}"


def _draw_teachers(axes: Axes, teachers: Sequence[tuple[float, str]], *, named: bool) -> None:
    """A dashed line at each teacher's accuracy, named beside the last panel of a row."""
    for accuracy in {accuracy for accuracy, _ in teachers}:
        axes.axhline(accuracy, color=GREY, linewidth=0.7, linestyle=DASHED, zorder=0.5)
    if not named:
        return
    low, high = axes.get_ylim()
    step = 0.115 * (high - low) / HIGH
    places = apart([accuracy for accuracy, _ in teachers], [step] * (len(teachers) - 1), high=high)
    beside = axes.get_yaxis_transform()
    for place, teacher in zip(places, teachers, strict=True):
        axes.text(1.02, place, _teacher_name(*teacher), va="center", fontsize=SMALL, transform=beside)


def _legend(rows: Sequence[Row], look: Mapping[str, Style]) -> list[Line2D]:
    methods = sorted({row["method"] for row in rows} - {TEACHER}, key=listing_order)
    handles = [words.mark(look[method]) for method in methods]
    handles.append(words.line("Front of the means", color=INK))
    half: dict[str, Any] = {"color": GREY, "marker": "o", "markersize": 4.8, "linestyle": "none"}
    handles.append(Line2D([], [], label="Fill: P(on the front)", markerfacecolor="#BBBBBB", **half))
    if any(row["method"] == TEACHER for row in rows):
        handles.append(words.line("Teacher", linestyle=DASHED))
    if any(row["state"] != "done" for row in rows):
        ring: dict[str, Any] = {**half, "markersize": 8.0, "markeredgewidth": 0.5}
        handles.append(Line2D([], [], label="Lacks seeds", markerfacecolor="none", **ring))
    return handles
