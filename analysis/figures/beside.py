"""A page of what students show of their teacher beside what is to be held against it: a row for each method, a panel
for each measure."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import canvas, words
from analysis.figures.canvas import INK, SMALL, STEPS, TWO_COLUMNS, NotDrawnError
from analysis.statistics.basic import Interval
from analysis.statistics.cells import networks
from analysis.statistics.evidence import Evidence
from analysis.statistics.places import OfPlace, by_block
from analysis.style import Style
from benchmark.metrics import METRICS
from benchmark.metrics.registry import Unit

ROW, AROUND = 0.145, 0.4
"""Inches of a method, and of the labels below the panels."""

LONGEST = 2.0
"""Inches of a method's name at most."""

MOST = 50
"""Rows that a page holds, titles of pairs included."""

TICK: dict[str, Any] = {"marker": "|", "color": INK, "markersize": 8.5, "markeredgewidth": 1.1, "linestyle": "none"}
"""Of what is held against a mark, higher than it, behind which it may lie."""


@dataclass(frozen=True)
class Beside(OfPlace):
    """What a method's students show, times 100, what is `held` against it, and the interval of their difference; a
    hollow mark is not tested."""

    dataset: str
    pair: str
    method: str
    measure: str
    shown: float
    held: float | None
    difference: Interval | None
    mark: str = ""
    hollow: bool = False

    @property
    def interval(self) -> Interval | None:
        """Of the difference, from what is held on."""
        if self.difference is None or self.held is None:
            return None
        return Interval(self.held + self.difference.low, self.held + self.difference.high)


AnyOfPlace = TypeVar("AnyOfPlace", bound=OfPlace)


def by_dataset(
    found: Sequence[AnyOfPlace], draw_one: Callable[[Sequence[AnyOfPlace]], canvas.Drawing]
) -> list[canvas.Drawing]:
    """A drawing of each data set's. Raises NotDrawnError where none can be made."""
    made, reasons = [], []
    for dataset, own in groupby(found, key=lambda each: each.dataset):
        try:
            made.append(draw_one(list(own)))
        except NotDrawnError as reason:
            reasons.append(f"{dataset}: {reason}")
    if not made:
        raise NotDrawnError("; ".join(reasons))
    return made


def draw(
    found: Sequence[Beside],
    measures: Sequence[str],
    handles: Sequence[Line2D],
    evidence: Evidence,
    look: Mapping[str, Style],
) -> Figure:
    """Of one data set: a row for each method, below the name of its pair where there are several; a panel for each
    measure. Raises NotDrawnError where rows are more than a page holds.
    """
    rows = _rows(found, evidence)
    if len(rows) > MOST:
        raise NotDrawnError(f"{len(rows)} rows; a page holds {MOST}: --methods and --pairs choose")
    figure = canvas.sheet(TWO_COLUMNS, ROW * len(rows) + AROUND + words.legend_height(handles, TWO_COLUMNS))
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for axes, measure in zip(panels, measures, strict=True):
        own = {(each.pair, each.method): each for each in found if each.measure == measure}
        placed = [(y, own[row]) for y, row in enumerate(rows) if row in own]
        _set_limits(axes, [each for _, each in placed], METRICS[measure].unit, evidence.otherwise)
        for y, each in placed:
            _draw_row(axes, y, each, look[each.method])
        axes.set_xlabel(f"{METRICS[measure].short} ({METRICS[measure].unit.symbol})", fontsize=SMALL)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    texts = [look[method].name if method else pair for pair, method in rows]
    panels[0].set_yticks(range(len(rows)), [words.shortened(words.printable(text), LONGEST) for text in texts])
    for label, (_, method) in zip(panels[0].get_yticklabels(), rows, strict=True):
        label.set_fontstyle("normal" if method else "italic")
    words.legend(figure, handles)
    canvas.lay_out(figure)
    return figure


def _rows(found: Sequence[Beside], evidence: Evidence) -> list[tuple[str, str]]:
    """Pair and method of each; where the data set has several pairs, the pair's students before its methods, and no
    method."""
    pairs = by_block(found)
    titles = {cell.pair: " → ".join(networks(cell)) for cell in evidence.cells if cell.dataset == found[0].dataset}
    rows = []
    for own in pairs:
        rows += [(titles[own[0].pair], "")] if len(titles) > 1 else []
        rows += [(own[0].pair, method) for method in dict.fromkeys(each.method for each in own)]
    return rows


def _set_limits(axes: Axes, found: Sequence[Beside], unit: Unit, otherwise: Set[str]) -> None:
    """Around what competes with the student alone, or all, where nothing does; within what the unit allows."""
    values = []
    for each in [each for each in found if each.method not in otherwise] or found:
        values += [each.shown] if each.held is None else [each.shown, each.held]
        values += [each.interval.low, each.interval.high] if each.interval else []
    values = values or [0.0, 100.0]
    low, high = max(min(values), 100 * unit.low), min(max(values), 100 * unit.high)
    margin = 0.08 * (high - low) or 0.5
    axes.set_xlim(low - margin, high + margin)
    axes.locator_params("x", nbins=5, steps=STEPS)


def _draw_row(axes: Axes, y: int, each: Beside, style: Style) -> None:
    """Beyond the edge an arrow with the number."""
    low, high = axes.get_xlim()
    axes.axhline(y + 0.5, color=canvas.GRID, linewidth=0.4, zorder=0)
    if not low <= each.shown <= high:
        canvas.point_beyond(axes, each.shown, y, f"{each.shown:.0f}")
        return
    if interval := each.interval:
        axes.hlines(y, max(interval.low, low), min(interval.high, high), colors=style.colour, linewidth=1.0, zorder=2)
    if each.held is not None and low <= each.held <= high:
        axes.plot(each.held, y, zorder=2.5, **TICK)
    hollow = {"markerfacecolor": "white", "markeredgecolor": style.colour} if each.hollow else {}
    axes.plot(each.shown, y, color=style.colour, marker=style.marker, zorder=3, clip_on=False, **canvas.MARK | hollow)
    if each.mark and interval and each.held is not None:
        beside = min(max(interval.high, each.held), high), y
        axes.annotate(each.mark, beside, (1, 0), textcoords="offset points", fontsize=SMALL, va="center")
