"""Budget saved: methods beside the student alone of every size, and how many times fewer MACs they take for as much."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import inf
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from analysis.figures import canvas, words
from analysis.figures.budget import displayed
from analysis.figures.budget_axis import BUDGETS, set_axis
from analysis.figures.canvas import BAND, DOTTED, GREY, INK, SMALL, STEPS, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.runs.metrics import Metric
from analysis.statistics.evidence import Evidence
from analysis.statistics.ladder import Ladder, Reading, ladders, on_ladder, rising
from analysis.style import CONTROL, Style, count

HIGH, AROUND = 2.2, 0.55
"""Inches of a ladder's panels, and of the labels below them."""

SPAN = 0.62
"""Of a rung's place, what its methods are spread over."""

MACS = BUDGETS[0]


def drawings(evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """One figure for all ladders. Raises NotDrawnError where there is none."""
    found = [ladder for ladder in ladders(evidence) if ladder.readings]
    if not found:
        raise NotDrawnError("no teacher has a ladder of students with methods to read on it")
    figure = draw(found, evidence, look)
    data = [row for ladder in found for row in _rows(ladder)]
    return [Drawing("budget_saved", "Budget saved", _caption(evidence.metric), _alt(found), {"": data}, figure)]


def draw(found: Sequence[Ladder], evidence: Evidence, look: Mapping[str, Style]) -> Figure:
    """A row for each ladder: accuracy against MACs, and what is read from it."""
    methods = dict.fromkeys(each.cell.method for ladder in found for each in ladder.readings)
    handles = [words.mark(look[CONTROL]), *(words.mark(look[method]) for method in methods)]
    handles += [words.line("Read along the line", linestyle=DOTTED)]
    figure = canvas.sheet(TWO_COLUMNS, len(found) * (HIGH + AROUND) + words.legend_height(handles, TWO_COLUMNS))
    for (left, right), ladder in zip(figure.subplots(len(found), 2, squeeze=False), found, strict=True):
        _draw_accuracies(left, ladder, evidence, look)
        _draw_times(right, ladder, look)
        if len(found) > 1:
            left.set_title(words.printable(f"{ladder.dataset}: under {ladder.teacher}"), loc="left", fontsize=SMALL)
    words.legend(figure, handles)
    canvas.lay_out(figure)
    return figure


def _draw_accuracies(axes: Axes, ladder: Ladder, evidence: Evidence, look: Mapping[str, Style]) -> None:
    """The line that is read from, the student alone at its rungs with intervals, and methods, each led to the line."""
    sizes = np.array([cell.macs for cell in ladder.rungs], dtype=float)
    _, label, text = MACS.axis(list(sizes))
    set_axis(axes, list(sizes), label, text, TWO_COLUMNS / 2 - 0.6)
    sign = evidence.metric.sign
    line = sign * rising(sign * np.array([[cell.top1_percent] for cell in ladder.rungs], dtype=float))
    axes.plot(sizes, line[:, 0], color=INK, linewidth=1.0, zorder=2)
    for size, cell in zip(sizes, ladder.rungs, strict=True):
        mean = evidence.accuracy(cell.place)
        low, high = displayed(mean.interval() if mean else None, evidence.metric)
        if low is not None and high is not None:
            axes.vlines(size, low, high, colors=GREY, linewidth=0.8, zorder=1.5)
    for each in ladder.readings:
        if each.inside:
            height = [each.cell.top1_percent or 0.0] * 2
            colour = look[each.cell.method].colour
            axes.plot([each.macs, each.equal], height, color=colour, linewidth=0.7, linestyle=DOTTED, zorder=1)
    cells = [*ladder.rungs, *(each.cell for each in ladder.readings)]
    canvas.draw_marks(axes, [(cell.macs or 0.0, cell.top1_percent or 0.0, look[cell.method]) for cell in cells])
    axes.set_ylabel(evidence.metric.axis)
    axes.locator_params("y", nbins=6, steps=STEPS)


def _draw_times(axes: Axes, ladder: Ladder, look: Mapping[str, Style]) -> None:
    """At every rung each method's reading and interval; grey is beyond the ladder's ends, where marks are bounds."""
    seen = [1.0]
    places = {cell.pair: i for i, cell in enumerate(ladder.rungs)}
    for pair, members in groupby(ladder.readings, key=lambda each: each.cell.pair):
        own = list(members)
        for j, each in enumerate(own):
            x = places[pair] + SPAN * ((j + 0.5) / len(own) - 0.5)
            seen += _draw_reading(axes, x, each, ladder, look[each.cell.method])
    bottom, top = min(seen) / 1.12, max(seen) * 1.12
    for pair, i in places.items():
        macs = next(cell.macs or 1.0 for cell in ladder.rungs if cell.pair == pair)
        for low, high in ((bottom, ladder.held(0.0) / macs), (ladder.held(inf) / macs, top)):
            if low < high:
                axes.fill_between([i - 0.5, i + 0.5], low, high, color=BAND, linewidth=0, zorder=0)
    axes.axhline(1.0, color=INK, linewidth=0.7, zorder=1)
    axes.set(yscale="log", ylim=(bottom, top), xlim=(-0.5, len(places) - 0.5), ylabel="Times fewer MACs")
    _set_ticks(axes, ladder)


def _draw_reading(axes: Axes, x: float, each: Reading, ladder: Ladder, style: Style) -> list[float]:
    """Returns the ends of what is drawn."""
    at, *interval = (ladder.held(end) / each.macs for end in (each.equal, each.low, each.high) if end is not None)
    axes.plot([x] * len(interval), interval, color=style.colour, linewidth=0.9, zorder=2)
    bound: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": style.colour}
    form: dict[str, Any] = canvas.MARK | ({} if each.inside else bound)
    axes.plot(x, at, marker=style.marker, color=style.colour, zorder=3, **form)
    return interval or [at]


def _set_ticks(axes: Axes, ladder: Ladder) -> None:
    low, high = axes.get_ylim()
    values = [value for value in (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50) if low <= value <= high]
    axes.yaxis.set_major_locator(FixedLocator(values if len(values) > 1 else [low, 1.0, high]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    width = (TWO_COLUMNS / 2 - 0.7) / len(ladder.rungs) - 0.05
    numbers = [cell.student.removeprefix(ladder.stem) for cell in ladder.rungs]
    axes.set_xticks(range(len(numbers)), [words.shortened(each, width, SMALL) for each in numbers])
    axes.set_xlabel(words.shortened(f"Taught student ({words.printable(ladder.stem)}…)", TWO_COLUMNS / 2 - 0.7))


def _rows(ladder: Ladder) -> list[dict[str, Any]]:
    """Of the CSV file: the student alone and methods, with the ends of what the tables' CSV gives in full."""
    alone = [cell.row("n", "top1_percent", "macs") | _read(None) for cell in ladder.rungs]
    return alone + [each.cell.row("n", "top1_percent", "macs") | _read(each) for each in ladder.readings]


def _read(each: Reading | None) -> dict[str, float | None]:
    found = {"equal_macs": each.equal, "low": each.low, "high": each.high} if each else {}
    return {name: on_ladder(found.get(name, 0.0)) for name in ("equal_macs", "low", "high")}


def _caption(metric: Metric) -> str:
    return (
        f"{metric.title} against MACs (left; bars: 95 % intervals of the student alone, moderated t), and how many "
        "times a method's MACs the student alone needs for as much (right; 95 % intervals by draws, not corrected for "
        "their number), read linearly in log MACs. Grey and open marks: bounds, beyond the ladder's ends."
    )


def _alt(found: Sequence[Ladder]) -> str:
    inside = [(each, ladder) for ladder in found for each in ladder.readings if each.inside]
    start = f"{count(sum(len(ladder.readings) for ladder in found), 'reading')} on {count(len(found), 'ladder')}."
    if not inside:
        return f"{start} All lie beyond the ladder's ends."
    reading, ladder = max(inside, key=lambda pair: pair[0].equal / pair[0].macs)
    return f"{start} The largest: {ladder.sentence(reading)}."
