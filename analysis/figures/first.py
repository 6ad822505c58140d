"""One figure for a paper's first page: what each method gains, how sure that is, and what it costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import canvas, words
from analysis.figures.budget_axis import set_axis, set_ticks
from analysis.figures.canvas import INK, LIGHT, SMALL, STEPS, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.figures.layout import apart, in_reach
from analysis.statistics.evidence import Evidence
from analysis.statistics.overview import Line, overview
from analysis.style import Style, count, enumerated, signed

ROW, LEAST_ROW, AROUND = 0.19, 0.075, 0.5
"""Inches of a method, at most and at least, and of axis and label."""
MOST = 2.25
"""Inches that methods take together, as long as they can: a first page also holds text and a table."""
LOW = 0.11
"""Inches of a method below which names and marks are small."""
NAME, WIDE = 0.11, 2.9
"""Inches from one name in the right panel to the next, and the panel's width."""
LONGEST = 1.6
"""Inches of a name at most, left."""
AGAIN, MOST_AGAIN = 0.8, 12
"""Inches, and how many, of names that are given right as well; of longer and more, marks say which is which."""

COLUMNS = ("method", "pairs", "gain", "low", "high", "elsewhere_low", "elsewhere_high", "p_holm", "verdict")
"""Of the CSV file, before the cost."""


def drawings(evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """Raises NotDrawnError without gains."""
    lines = [line for line in overview(evidence) if line.compared.method not in evidence.otherwise]
    if not lines:
        raise NotDrawnError("no run has a finished student alone of the same pair to be compared with")
    pairs = len({place[:2] for place in evidence.gains})
    like = ", thin: for pairs like these" if any(line.compared.elsewhere for line in lines) else ""
    ticks = ", ticks single pairs" if pairs > 1 else ""
    costed = any(line.cost for line in lines)
    right = " Right: the same means against training FLOPs, teacher's forward included." if costed else ""
    figure = draw(evidence, lines, look)
    caption = (
        f"{evidence.metric.gain_title} over {count(pairs, 'teacher–student pair')}. Left: bars are 95 % intervals for "
        f"these pairs{like}{ticks}.{right}"
    )
    caption += _below(figure, lines, look)
    listed = ", ".join(f"{look[line.compared.method].name} {line.compared.gain:+.1f}" for line in lines)
    data = [{**line.compared.row(*COLUMNS), "relative_training_flops": line.cost} for line in lines]
    return [
        Drawing(
            "figure1",
            "Overview",
            caption,
            f"Mean gains over the student alone, with intervals: {listed}.",
            {"": data},
            figure,
        )
    ]


def _far(lines: Sequence[Line]) -> list[Line]:
    """Those that lie too far below the others for one scale."""
    return [
        line for line, near in zip(lines, in_reach([line.compared.gain for line in lines]), strict=True) if not near
    ]


def _below(figure: Figure, lines: Sequence[Line], look: Mapping[str, Style]) -> str:
    """What a drawn figure's scales leave out, for its caption."""
    forest, *costs = figure.axes
    far = {look[line.compared.method].name: _is_inside(forest, line) for line in _far(lines)}
    left, right = ([name for name, inside in far.items() if inside is kind] for kind in (False, True))
    texts = [f" Below {'both scales' if costs else 'the scale'}: {enumerated(left)}."] if left else []
    texts += [f" Below the right scale: {enumerated(right)}."] if right and costs else []
    return "".join(texts)


def _is_inside(axes: Axes, line: Line) -> bool:
    low, high = axes.get_xlim()
    return bool(low <= line.compared.gain <= high)


def draw(evidence: Evidence, lines: Sequence[Line], look: Mapping[str, Style]) -> Figure:
    """A row for each method, the largest gain above; beside it the gain against the cost."""
    row = max(LEAST_ROW, min(ROW, MOST / len(lines)))
    height = row * max(len(lines), 6) + AROUND
    far = _far(lines)
    costed = [line for line in lines if line.cost and line not in far]
    figure = canvas.sheet(TWO_COLUMNS, height)
    panels = figure.subplots(1, 2 if costed else 1, squeeze=False, width_ratios=[1.15, 1] if costed else [1])[0]
    form = canvas.SMALL_MARK if row < LOW else canvas.MARK
    _draw_forest(panels[0], evidence, lines, look, form)
    if costed:
        _draw_costs(panels[1], costed, look)
    panels[0].set_xlabel(evidence.metric.gain_title, fontsize=SMALL)
    canvas.lay_out(figure)
    panels[0].set_xlim(panels[0].get_xlim())  # what is far away may lie within what others' intervals need
    for line in far:
        y, each = lines.index(line), line.compared
        if _is_inside(panels[0], line):
            canvas.draw_mean(panels[0], each, y, look[each.method], form)
        else:
            canvas.point_beyond(panels[0], each.gain, y, signed(each.gain, 1))
    if _again(costed, look):
        _name(panels[1], costed, look)
    return figure


def _draw_forest(
    axes: Axes, evidence: Evidence, lines: Sequence[Line], look: Mapping[str, Style], form: Mapping[str, Any]
) -> None:
    most, far, small = max(line.compared.pairs for line in lines), _far(lines), form is canvas.SMALL_MARK
    axes.axvline(0, color=INK, linewidth=0.6, zorder=1)
    for y, line in enumerate(lines):
        if line in far:
            continue
        each, style = line.compared, look[line.compared.method]
        gains = [gain.gain for place, gain in evidence.gains.items() if place[2] == each.method]
        if len(gains) > 1:
            axes.plot(
                gains,
                [y] * len(gains),
                "|",
                color=style.colour,
                markersize=3.5 if small else 5,
                markeredgewidth=0.7,
                zorder=2,
            )
        canvas.draw_mean(axes, each, y, style, form)
    names = [
        words.shortened(_named(line, look), LONGEST, SMALL)
        + (f" ({line.compared.pairs} of {most} pairs)" if line.compared.pairs < most else "")
        for line in lines
    ]
    axes.set_yticks(range(len(lines)), names, fontsize=canvas.TINY if small else SMALL)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", color=canvas.GRID, linewidth=0.4)
    axes.locator_params("x", nbins=6, steps=STEPS)


def _times(value: float) -> str:
    return f"{value:g}×"


def _draw_costs(axes: Axes, lines: Sequence[Line], look: Mapping[str, Style]) -> None:
    costs = [line.cost or 1.0 for line in lines]
    set_axis(axes, [1.0, *costs], "Training FLOPs, in those of the student alone", _times, WIDE)
    low, room = axes.get_xlim()[0], AGAIN + 0.15 if _again(lines, look) else 0.1
    axes.set_xlim(low, low * (max(costs) / low) ** (1 / (1 - room / WIDE)))
    set_ticks(axes, _times, WIDE)
    axes.axhline(0, color=INK, linewidth=0.6, zorder=1)
    for line, cost in zip(lines, costs, strict=True):
        each, style = line.compared, look[line.compared.method]
        axes.plot(cost, each.gain, color=style.colour, marker=style.marker, zorder=3, **canvas.MARK)
    axes.set_ylabel("Mean gain", fontsize=SMALL)
    axes.margins(y=0.12)
    axes.xaxis.label.set_fontsize(SMALL)
    axes.locator_params("y", nbins=5, steps=STEPS)


def _named(line: Line, look: Mapping[str, Style]) -> str:
    return words.printable(look[line.compared.method].name)


def _again(lines: Sequence[Line], look: Mapping[str, Style]) -> bool:
    """Whether names have room beside the costs."""
    widths = [words.text_width(_named(line, look), canvas.TINY) for line in lines]
    return 0 < len(widths) <= MOST_AGAIN and max(widths) <= AGAIN


def _name(axes: Axes, lines: Sequence[Line], look: Mapping[str, Style]) -> None:
    """At the right edge, each with a line to its mark, in the order of gains."""
    low, high = axes.get_ylim()
    height = canvas.size(axes)[1]
    step = NAME * (high - low) / height
    order = sorted(lines, key=lambda line: line.compared.gain)
    put = apart([line.compared.gain for line in order], [step] * (len(order) - 1), low, high)
    edge = axes.get_yaxis_transform()
    for line, y in zip(order, put, strict=True):
        name = _named(line, look)
        axes.text(1.0, y, name, fontsize=canvas.TINY, ha="right", va="center_baseline", transform=edge)
        inches = words.text_width(name, canvas.TINY) + 0.05
        end = axes.transData.inverted().transform(axes.transAxes.transform((1 - inches / canvas.size(axes)[0], 0)))[0]
        axes.plot([line.cost, end], [line.compared.gain, y], color=LIGHT, linewidth=0.4, zorder=1)
