"""Fidelity: how often students answer as their teacher does where it is right and where it is wrong, and how often with
its second choice, each beside what students alone of the same accuracy would."""

from collections.abc import Mapping, Sequence, Set
from itertools import groupby
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import canvas, words
from analysis.figures.canvas import GREY, INK, SMALL, STEPS, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.statistics.basic import Interval
from analysis.statistics.evidence import Evidence
from analysis.statistics.fidelity import FAR, MEASURES, Fidelity
from analysis.statistics.places import by_block
from analysis.style import BETTER, CONTROL, WORSE, Style, count, signed, spanned
from benchmark.metrics import METRICS

ROW, AROUND = 0.145, 0.4
"""Inches of a method, and of the labels below the panels."""

LONGEST = 2.0
"""Inches of a method's name at most."""

MOST = 50
"""Rows that a page holds, titles of pairs included."""

EXPECTED: dict[str, Any] = {"marker": "|", "color": INK, "markersize": 8.5, "markeredgewidth": 1.1, "linestyle": "none"}
"""Higher than a mark, behind which it may lie."""


def drawings(found: Sequence[Fidelity], evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """A figure for each data set, of the pairs with something to compare with. Raises NotDrawnError if there is none,
    or more than a page holds.
    """
    compared = {each.block for each in found if each.excess is not None}
    shown = [each for each in found if each.block in compared]
    shown = [each for each in shown if each.excess is not None or each.method == CONTROL]
    if not shown:
        raise NotDrawnError("no pair has a method and the student alone with predictions")
    datasets = {each.dataset for each in shown}
    made, reasons = [], []
    for dataset, own in groupby(shown, key=lambda each: each.dataset):
        members = list(own)
        try:
            figure = draw(members, evidence, look)
        except NotDrawnError as reason:
            reasons.append(f"{dataset}: {reason}")
            continue
        title = f"Fidelity to the teacher on {dataset}"
        data = {"": [each.row() for each in members]}
        name = canvas.stem("fidelity", dataset, datasets)
        made.append(Drawing(name, title, _caption(members), _alt(members, look), data, figure))
    if not made:
        raise NotDrawnError("; ".join(reasons))
    return made


def draw(found: Sequence[Fidelity], evidence: Evidence, look: Mapping[str, Style]) -> Figure:
    """Of one data set: a row for each method, below the name of its pair where there are several; a panel for each of
    MEASURES. Raises NotDrawnError where rows are more than a page holds.
    """
    rows = _rows(found, evidence)
    if len(rows) > MOST:
        raise NotDrawnError(f"{len(rows)} rows; a page holds {MOST}: --methods and --pairs choose")
    handles = _legend(found)
    figure = canvas.sheet(TWO_COLUMNS, ROW * len(rows) + AROUND + words.legend_height(handles, TWO_COLUMNS))
    panels = figure.subplots(1, len(MEASURES), sharey=True)
    for axes, measure in zip(panels, MEASURES, strict=True):
        own = {(each.pair, each.method): each for each in found if each.measure == measure}
        placed = [(y, own[row]) for y, row in enumerate(rows) if row in own]
        _set_limits(axes, [each for _, each in placed], evidence.otherwise)
        for y, each in placed:
            _draw_row(axes, y, each, look[each.method])
        axes.set_xlabel(f"{METRICS[measure].short} (%)", fontsize=SMALL)
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


def _rows(found: Sequence[Fidelity], evidence: Evidence) -> list[tuple[str, str]]:
    """Pair and method of each; where the data set has several pairs, the pair's students before its methods, and no
    method."""
    pairs = by_block(found)
    titles = {
        cell.pair: f"{cell.teacher} → {cell.student}" for cell in evidence.cells if cell.dataset == found[0].dataset
    }
    rows = []
    for own in pairs:
        rows += [(titles[own[0].pair], "")] if len(titles) > 1 else []
        rows += [(own[0].pair, method) for method in dict.fromkeys(each.method for each in own)]
    return rows


def _shown(each: Fidelity) -> tuple[float, float | None, Interval | None]:
    """What is observed, what is expected, and the interval of their difference from there on."""
    assert each.observed.mean is not None
    expected = each.expected.mean if each.expected else None
    interval = each.estimate.interval() if each.estimate else None
    if interval is None or expected is None:
        return each.observed.mean, expected, None
    return each.observed.mean, expected, Interval(expected + interval.low, expected + interval.high)


def _set_limits(axes: Axes, found: Sequence[Fidelity], otherwise: Set[str]) -> None:
    """Around what competes with the student alone, or all, where nothing does."""
    scaled = [each for each in found if each.method not in otherwise] or found
    values = []
    for observed, expected, interval in map(_shown, scaled):
        values += [observed] if expected is None else [observed, expected]
        values += [interval.low, interval.high] if interval else []
    low, high = max(min(values, default=0.0), 0.0), min(max(values, default=100.0), 100.0)
    margin = 0.08 * (high - low) or 0.5
    axes.set_xlim(low - margin, high + margin)
    axes.locator_params("x", nbins=5, steps=STEPS)


def _draw_row(axes: Axes, y: int, each: Fidelity, style: Style) -> None:
    """Beyond the edge an arrow with the number."""
    observed, expected, interval = _shown(each)
    low, high = axes.get_xlim()
    axes.axhline(y + 0.5, color=canvas.GRID, linewidth=0.4, zorder=0)
    if not low <= observed <= high:
        canvas.point_beyond(axes, observed, y, f"{observed:.0f}")
        return
    if interval:
        axes.hlines(y, max(interval.low, low), min(interval.high, high), colors=style.colour, linewidth=1.0, zorder=2)
    if expected is not None and low <= expected <= high:
        axes.plot(expected, y, zorder=2.5, **EXPECTED)
    hollow = {"markerfacecolor": "white", "markeredgecolor": style.colour} if _far(each) else {}
    axes.plot(observed, y, color=style.colour, marker=style.marker, zorder=3, clip_on=False, **canvas.MARK | hollow)
    if each.mark and interval:
        beside = min(interval.high, high), y
        axes.annotate(each.mark, beside, (1, 0), textcoords="offset points", fontsize=SMALL, va="center")


def _far(each: Fidelity) -> bool:
    return each.moved is not None and abs(each.moved) > FAR


def _legend(found: Sequence[Fidelity]) -> list[Line2D]:
    handles = [Line2D([], [], label="Expected of students alone as accurate", **EXPECTED)]
    if any(_shown(each)[2] for each in found):
        handles.append(words.line("95 % interval of the difference", linewidth=1.0))
    if any(map(_far, found)):
        hollow = {**canvas.MARK, "markerfacecolor": "white", "markeredgecolor": GREY, "marker": "o"}
        handles.append(Line2D([], [], label=f"Not tested: more than {FAR:g} point of accuracy apart", **hollow))
    return handles


def _caption(found: Sequence[Fidelity]) -> str:
    marks = {each.mark for each in found if each.mark}
    said = [f"{mark} {word}" for mark, word in ((BETTER, "above"), (WORSE, "below")) if mark in marks]
    tested = sum(each.p_holm is not None for each in found if each.measure == MEASURES[0])
    seeds = sorted({each.observed.n for each in found})
    established = ", ".join(said) if said else "no difference established"
    test = f"; {established} (moderated t-test, Holm-adjusted over cells, P < 0.05)" if tested else ""
    return (
        "Share of test images that student and teacher give one class, where the teacher is right and where it is "
        "wrong, and of the student's other answers that are the teacher's second choice, beside what students alone of "
        f"that accuracy would show; means over {spanned(seeds)} seeds{test}."
    )


def _alt(found: Sequence[Fidelity], look: Mapping[str, Style]) -> str:
    """With means over pairs."""
    wrong: dict[str, list[float]] = {}
    for each in found:
        if each.measure == "agreement_wrong" and each.excess is not None:
            wrong.setdefault(each.method, []).append(each.excess)
    listed = ", ".join(f"{look[method].name} {signed(fmean(own), 1)}" for method, own in wrong.items())
    return (
        f"Agreement with the teacher by method, {count(len({each.pair for each in found}), 'pair')}. Points more than "
        f"expected where the teacher is wrong: {listed or 'none'}."
    )
