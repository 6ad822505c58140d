"""Gain over the student alone: by method and pair, and how the paired gains are distributed."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from analysis.figures import canvas, words
from analysis.figures.canvas import INK, LIGHT, SMALL, TINY, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.figures.layout import swarm
from analysis.runs.load import plain
from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import TRAININGS, CellGain, Comparison, paired_gains
from analysis.style import BETTER, WORSE, Style, mark

Column = tuple[str, str]
"""Data set and pair."""

GAINING = LinearSegmentedColormap.from_list("gaining", ["#C4531A", "#F1B48A", "#FFFFFF", "#9CC6E3", "#2878B0"])
"""Losses orange, gains blue: light enough for black numbers, and told apart by the colour-blind."""

MOST_PAIRS = 36
"""Columns that a page holds."""
WIDEST, WITH_NUMBERS = 0.72, 0.26
"""Inches: a pair's column at most, and at least if it is to hold numbers."""
LEAST_SPREAD = 1.7
"""Inches for the distribution."""
BESIDE = 0.12
"""Inches between the heat map, the mean over pairs and the distribution."""


def drawings(runs: pd.DataFrame, evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """One figure for all data sets. Raises NotDrawnError as `draw` does."""
    gains = paired_gains(runs)
    cells, comparisons = list(evidence.gains.values()), evidence.over_alone
    figure = draw(cells, comparisons, gains, look)
    data = {"": [*map(_row, cells), *map(_row, comparisons)], "_paired": plain(gains.drop(columns=TRAININGS))}
    title = "Gain over the student alone"
    return [Drawing("gains", title, _caption(cells, comparisons), _alt(comparisons, look), data, figure)]


def _row(found: CellGain | Comparison) -> dict[str, Any]:
    """Of the CSV file; pairs together have none of the names that tell them apart."""
    return {
        "dataset": getattr(found, "dataset", ""),
        "pair": getattr(found, "pair", ""),
        "method": found.method,
        "n": found.n,
        "gain": found.gain,
        "low": found.interval.low if found.interval else None,
        "high": found.interval.high if found.interval else None,
        "effect": found.effect,
        "p": found.p,
        "p_holm": found.p_holm,
        "established": found.established,
        "differs": found.differs,
    }


def _caption(cells: Sequence[CellGain], comparisons: Sequence[Comparison]) -> str:
    seeds = sorted({cell.n for cell in cells})
    over = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    unlike = sorted({each.differs for each in comparisons if each.differs})
    differs = f" Not trained alike in {', '.join(unlike)}: see the data." if unlike else ""
    return (
        "Gain in test accuracy over the student alone of the same pair and seed, in percentage points. Left: mean "
        f"over {over} paired seeds; bold with {BETTER} (better) or {WORSE} (worse) where a paired t-test, "
        f"Holm-corrected over {len(cells)} cells, gives p < 0.05; hatched where there is no result. Next, over all "
        "pairs, each counting alike: marked where the sign-flip test over all paired runs, Holm-corrected over "
        f"{len(comparisons)} methods, does. Right: a dot for each pair and seed, and the mean with its 95 % interval "
        f"over seeds of these pairs, whose distance from each other does not widen it.{differs}"
    )


def _alt(comparisons: Sequence[Comparison], look: Mapping[str, Style]) -> str:
    order = sorted(comparisons, key=lambda each: -each.gain)
    listed = ", ".join(f"{look[each.method].name} {_signed(each.gain)}" for each in order)
    return (
        f"Heat map of gains by method and pair, and their distributions. Mean gains over all pairs in points: {listed}."
    )


def draw(
    cells: Sequence[CellGain],
    comparisons: Sequence[Comparison],
    gains: pd.DataFrame,
    look: Mapping[str, Style],
) -> Figure:
    """A row for each method of `comparisons`, a column for each pair, one for all pairs together, and beside them a dot
    for each row of `gains` (one pair and seed). Gains are percentage points. Raises NotDrawnError without gains, and
    where pairs or methods are more than a page holds.
    """
    if not cells:
        raise NotDrawnError("no run has a finished student alone of the same pair and seed to be compared with")
    columns = list(dict.fromkeys((str(d), str(p)) for d, p in zip(gains.dataset, gains.pair, strict=True)))
    if len(columns) > MOST_PAIRS:
        raise NotDrawnError(f"{len(columns)} pairs; a page holds {MOST_PAIRS}")
    methods = [comparison.method for comparison in comparisons]
    names = [words.shortened(words.printable(look[method].name), 1.5) for method in methods]
    left = max(map(words.text_width, names)) + 0.1
    room = TWO_COLUMNS - left - LEAST_SPREAD - 2 * BESIDE - 0.05
    together = len(columns) > 1
    cell = min(WIDEST, room / (len(columns) + together))
    headings = _headings(gains, columns)
    upright = max(words.text_width(text, TINY) for text in headings) <= cell - 0.04
    datasets = len({dataset for dataset, _ in columns}) > 1
    top = 0.2 if datasets else 0.08
    row = min(0.24, 8.0 / len(methods))
    if row < 0.1:
        raise NotDrawnError(f"{len(methods)} methods are more than a page holds")
    height = row * len(methods)
    under = 0.32 if upright else max(words.text_width(text, TINY) for text in headings) + 0.08
    figure = canvas.sheet(TWO_COLUMNS, top + height + max(under, 0.42))
    most = max(abs(each.gain) for each in cells) or 1.0
    norm = Normalize(-most, most)
    heat = canvas.panel(figure, left, top, cell * len(columns), height)
    start = left + cell * (len(columns) + together) + (1 + together / 2) * BESIDE
    spread = canvas.panel(figure, start, top, TWO_COLUMNS - start - 0.06, height)
    found = {(each.dataset, each.pair, each.method): each for each in cells}
    for y, method in enumerate(methods):
        for x, column in enumerate(columns):
            _draw_cell(heat, x, y, found.get((*column, method)), norm, numbers=cell >= WITH_NUMBERS)
    _frame(heat, len(methods), headings, upright=upright)
    if together:
        overall = canvas.panel(figure, left + cell * len(columns) + BESIDE / 2, top, cell, height)
        for y, comparison in enumerate(comparisons):
            _draw_cell(overall, 0, y, comparison, norm, numbers=cell >= WITH_NUMBERS)
        _frame(overall, len(methods), ["All\npairs"], upright=upright)
    heat.set_yticks([y + 0.5 for y in range(len(methods))], names)
    if datasets:
        _name_datasets(heat, columns)
    _draw_spread(spread, comparisons, gains, look)
    return figure


def _frame(axes: Axes, rows: int, headings: Sequence[str], *, upright: bool) -> None:
    """Axes of cells, their headings below."""
    axes.set(xlim=(0, len(headings)), ylim=(rows, 0), yticks=[])
    places = [x + 0.5 for x in range(len(headings))]
    axes.set_xticks(places, headings, fontsize=TINY, rotation=0 if upright else 90)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _headings(gains: pd.DataFrame, columns: Sequence[Column]) -> list[str]:
    known = gains.drop_duplicates(["dataset", "pair"]).set_index(["dataset", "pair"])
    texts = [(str(known.loc[column, "teacher"]), str(known.loc[column, "student"])) for column in columns]
    return [
        f"{words.shortened(words.printable(teacher), 0.9, TINY)}\n→ {words.shortened(student, 0.9, TINY)}"
        for teacher, student in texts
    ]


def _draw_cell(
    axes: Axes, x: int, y: int, found: CellGain | Comparison | None, norm: Normalize, *, numbers: bool
) -> None:
    """A coloured cell with its gain; hatched where there is none."""
    edge: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.8}
    if found is None:
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor="#EFEFEF", hatch="////", **{**edge, "edgecolor": LIGHT}))
        return
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=GAINING(norm(found.gain)), **edge))
    text = _signed(found.gain) if numbers else "−" if found.gain < 0 else ""
    weight = "bold" if found.established else "normal"
    axes.text(
        x + 0.5,
        y + 0.5,
        text + mark(found.established, found.gain),
        ha="center",
        va="center_baseline",
        fontsize=TINY,
        fontweight=weight,
        color="black",
    )


def _signed(gain: float) -> str:
    return "0.0" if abs(gain) < 0.05 else f"{gain:+.1f}".replace("-", "−")


def _name_datasets(axes: Axes, columns: Sequence[Column]) -> None:
    """Above its pairs, with a rule under the name."""
    start = 0
    for dataset, members in groupby(columns, key=lambda column: column[0]):
        end = start + len(list(members))
        high = axes.get_xaxis_transform()
        axes.plot([start + 0.08, end - 0.08], [1.02, 1.02], color=INK, linewidth=0.5, transform=high, clip_on=False)
        room = (end - start) * canvas.size(axes)[0] / len(columns)
        name = words.shortened(dataset, room, SMALL)
        axes.text((start + end) / 2, 1.03, name, ha="center", va="bottom", fontsize=SMALL, transform=high)
        start = end


def _draw_spread(axes: Axes, comparisons: Sequence[Comparison], gains: pd.DataFrame, look: Mapping[str, Style]) -> None:
    """A dot for each paired gain, and the mean over pairs with its interval."""
    width, height = canvas.size(axes)
    low, high = min(gains.gain.min(), 0.0), max(gains.gain.max(), 0.0)
    ends = [end for each in comparisons if each.interval for end in (each.interval.low, each.interval.high)]
    low, high = min([low, *ends]), max([high, *ends])
    margin = 0.05 * (high - low) or 1.0
    axes.set(xlim=(low - margin, high + margin), ylim=(len(comparisons), 0), yticks=[])
    axes.axvline(0, color=INK, linewidth=0.6, zorder=1)
    row = height / len(comparisons)
    values = [[float(gain) for gain in gains.gain[gains.method == each.method]] for each in comparisons]
    scale = width / (high - low + 2 * margin)
    dot, offsets = _packed([[value * scale for value in each] for each in values], row)
    for y, comparison in enumerate(comparisons):
        style = look[comparison.method]
        places = [y + 0.5 + offset / row for offset in offsets[y]]
        axes.plot(values[y], places, "o", color=style.colour, markersize=dot, markeredgewidth=0, alpha=0.75, zorder=2)
        if comparison.interval:
            axes.hlines(y + 0.5, comparison.interval.low, comparison.interval.high, colors=INK, linewidth=1.1, zorder=3)
        axes.plot(comparison.gain, y + 0.5, color=style.colour, marker=style.marker, zorder=4, **canvas.MARK)
    axes.hlines(range(1, len(comparisons)), *axes.get_xlim(), colors=canvas.GRID, linewidth=0.4, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.spines["left"].set_visible(False)
    label = "Gain over the student alone (points)"
    axes.set_xlabel(label if words.text_width(label) <= width else label.replace(" (", "\n("))


def _packed(rows: Sequence[Sequence[float]], height: float) -> tuple[float, list[list[float]]]:
    """The largest dots, in points, that fit rows of that height without overlap, and their offsets from the middles."""
    for points in (2.6, 2.2, 1.8, 1.4, 1.0):
        offsets = [swarm([0.0] * len(row), row, points / 72) for row in rows]
        if max(abs(offset) for row in offsets for offset in row) + points / 144 <= 0.48 * height:
            break
    edge = 0.48 * height
    return points, [[min(max(offset, -edge), edge) for offset in row] for row in offsets]
