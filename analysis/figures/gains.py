"""Gain over the student alone: by method and pair, and how the runs' gains are distributed."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import canvas, words
from analysis.figures.canvas import INK, LIGHT, SMALL, TINY, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.runs.load import plain
from analysis.statistics.basic import ends
from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import CellGain, Comparison
from analysis.style import BETTER, WORSE, Style

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


def drawings(evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """One figure for all data sets. Raises NotDrawnError as `draw` does."""
    cells, comparisons = list(evidence.gains.values()), evidence.over_alone
    figure = draw(evidence, look)
    data = {"": [*map(_row, cells), *map(_row, comparisons)], "_runs": plain(evidence.run_gains)}
    title = "Gain over the student alone"
    return [Drawing("gains", title, _caption(cells, comparisons), _alt(comparisons, look), data, figure)]


def _row(found: CellGain | Comparison) -> dict[str, Any]:
    """Of the CSV file; pairs together have none of the names that tell them apart."""
    low, high = ends(found.interval)
    return {
        "dataset": getattr(found, "dataset", ""),
        "pair": getattr(found, "pair", ""),
        "method": found.method,
        "n": found.n,
        "gain": found.gain,
        "low": low,
        "high": high,
        "p": found.p,
        "p_holm": found.p_holm,
        "verdict": found.verdict,
        "differs": found.differs,
    }


def _caption(cells: Sequence[CellGain], comparisons: Sequence[Comparison]) -> str:
    seeds = sorted({cell.n for cell in cells})
    over = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    unlike = sorted({each.differs for each in comparisons if each.differs})
    differs = f" Not trained alike in {', '.join(unlike)}: see the data." if unlike else ""
    return (
        "Gain in test accuracy over the student alone of the same pair, in percentage points. Left: means over "
        f"{over} runs; bold with {BETTER} (better) or {WORSE} (worse) where established (moderated t-test, "
        f"Holm-adjusted over {len(cells)} cells, P < 0.05); hatched where there is no result. Next: over all pairs. "
        f"Right: a dot for each run, and the mean with its 95 % interval for these pairs.{differs}"
    )


def _alt(comparisons: Sequence[Comparison], look: Mapping[str, Style]) -> str:
    order = sorted(comparisons, key=lambda each: -each.gain)
    listed = ", ".join(f"{look[each.method].name} {_signed(each.gain)}" for each in order)
    return (
        f"Heat map of gains by method and pair, and their distributions. Mean gains over all pairs in points: {listed}."
    )


def draw(evidence: Evidence, look: Mapping[str, Style]) -> Figure:
    """A row for each method, a column for each pair, one for all pairs together, and beside them a dot for each
    run. Gains are percentage points. Raises NotDrawnError without gains, and where pairs or methods are more than
    a page holds.
    """
    found, comparisons, gains = evidence.gains, evidence.over_alone, evidence.run_gains
    if not found:
        raise NotDrawnError("no run has a finished student alone of the same pair to be compared with")
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
    most = max(abs(each.gain) for each in found.values()) or 1.0
    heat = canvas.panel(figure, left, top, cell * len(columns), height)
    rows = [[found.get((*column, method)) for column in columns] for method in methods]
    _draw_cells(heat, rows, headings, most, 0 if upright else 90)
    heat.set_yticks([y + 0.5 for y in range(len(methods))], names)
    if datasets:
        _name_datasets(heat, columns)
    if together:
        overall = canvas.panel(figure, left + cell * len(columns) + BESIDE / 2, top, cell, height)
        _draw_cells(overall, [[each] for each in comparisons], ["All\npairs"], most, 0 if upright else 90)
    start = left + cell * (len(columns) + together) + (1 + together / 2) * BESIDE
    spread = canvas.panel(figure, start, top, TWO_COLUMNS - start - 0.06, height)
    _draw_spread(spread, comparisons, gains, look)
    return figure


Cells = Sequence[Sequence[CellGain | Comparison | None]]
"""Rows of a heat map, None where there is no gain."""


def _draw_cells(axes: Axes, rows: Cells, headings: Sequence[str], most: float, rotation: int) -> None:
    """Cells coloured by their gain, which goes to `most` either way, hatched where there is none; headings below."""
    values = np.array([[each.gain if each else np.nan for each in row] for row in rows])
    look = {"fontsize": TINY, "color": "black", "va": "center_baseline"}
    colours = {"cmap": GAINING, "vmin": -most, "vmax": most, "linewidths": 0.8, "linecolor": "white", "cbar": False}
    sns.heatmap(values, annot=True, annot_kws=look, ax=axes, yticklabels=False, **colours)
    axes.patch.set(facecolor="#EFEFEF", edgecolor=LIGHT, hatch="////")
    numbers = canvas.size(axes)[0] / len(headings) >= WITH_NUMBERS
    for text, each in zip(axes.texts, [each for row in rows for each in row if each], strict=True):
        shown = _signed(each.gain) if numbers else "−" if each.gain < 0 else ""
        text.set_text(shown + each.mark)
        text.set_fontweight("bold" if each.established else "normal")
    axes.set_xticks([x + 0.5 for x in range(len(headings))], headings, fontsize=TINY, rotation=rotation)
    axes.tick_params(length=0)


def _headings(gains: pd.DataFrame, columns: Sequence[Column]) -> list[str]:
    known = gains.drop_duplicates(["dataset", "pair"]).set_index(["dataset", "pair"])
    texts = [(str(known.loc[column, "teacher"]), str(known.loc[column, "student"])) for column in columns]
    return [
        f"{words.shortened(words.printable(teacher), 0.9, TINY)}\n→ {words.shortened(student, 0.9, TINY)}"
        for teacher, student in texts
    ]


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
    """A dot for each run's gain, and the mean over pairs with its interval."""
    width, height = canvas.size(axes)
    methods = [each.method for each in comparisons]
    # Dots of a method that all lay together would fill a square as high as its row.
    size = min(2.4, max(1.0, 54 * height / len(methods) / sqrt(gains.method.value_counts().max())))
    rows, colours = gains.method.map(methods.index), [look[method].colour for method in methods]
    form = {"size": size, "linewidth": 0, "alpha": 0.75, "warn_thresh": 1, "legend": False, "zorder": 2}
    sns.swarmplot(x=gains.gain, y=rows, hue=rows, palette=colours, orient="h", ax=axes, **form)
    axes.axvline(0, color=INK, linewidth=0.6, zorder=1)
    for y, each in enumerate(comparisons):
        style = look[each.method]
        if each.interval:
            axes.hlines(y, each.interval.low, each.interval.high, colors=INK, linewidth=1.1, zorder=3)
        axes.plot(each.gain, y, color=style.colour, marker=style.marker, zorder=4, **canvas.MARK)
        axes.axhline(y + 0.5, color=canvas.GRID, linewidth=0.4, zorder=0)
    axes.set(ylim=(len(methods) - 0.5, -0.5), yticks=[], ylabel="")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.spines["left"].set_visible(False)
    label = "Gain over the student alone (points)"
    axes.set_xlabel(label if words.text_width(label) <= width else label.replace(" (", "\n("))
