"""Gain over the student alone: by method and pair, and the mean over pairs beside what it is a mean of."""

from collections.abc import Mapping, Sequence
from itertools import compress, groupby

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from analysis.figures import canvas, words
from analysis.figures.canvas import INK, LIGHT, SMALL, STEPS, TINY, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.figures.layout import in_reach
from analysis.runs.load import plain
from analysis.statistics.cells import networks
from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import CellGain, Comparison
from analysis.statistics.places import Block
from analysis.style import BETTER, WORSE, Style, adjusted, count, signed

GAINING = LinearSegmentedColormap.from_list("gaining", ["#C4531A", "#F1B48A", "#FFFFFF", "#9CC6E3", "#2878B0"])
"""Losses orange, gains blue: light enough for black numbers, and told apart by the colour-blind."""

MOST_PAIRS = 36
"""Columns that a page holds."""
WIDEST, WITH_NUMBERS = 0.72, 0.26
"""Inches: a pair's column at most, and at least if it is to hold numbers."""
LEAST_SPREAD = 1.9
"""Inches for the means and what they are of."""
LANE, MEAN = 0.072, 0.13
"""Inches of a row: for each lane of pairs' numbers, and for the mean below them."""


COLUMNS = ("dataset", "pair", "method", "n", "gain", "low", "high", "p", "p_holm", "verdict", "differs")
"""Of the CSV file; pairs together have none of the names that tell them apart."""


def drawings(evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """One figure for all data sets. Raises NotDrawnError as `draw` does."""
    cells, comparisons = list(evidence.gains.values()), evidence.over_alone
    figure = draw(evidence, look)
    data = {"": [each.row(*COLUMNS) for each in (*cells, *comparisons)], "_runs": plain(evidence.run_gains)}
    title = "Gain over the student alone"
    return [Drawing("gains", title, _caption(evidence), _alt(comparisons, look), data, figure)]


def _caption(evidence: Evidence) -> str:
    comparisons = evidence.over_alone
    several = any(each.pairs > 1 for each in comparisons)
    unlike = sorted({each.differs for each in comparisons if each.differs})
    differs = f" Not trained alike in {', '.join(unlike)}: see the data." if unlike else ""
    right = "pairs by number" if several else "runs"
    like = "; thin: for pairs like these" if any(each.elsewhere for each in comparisons) else ""
    low, high = _limits(evidence)
    beyond = sum(not low <= gain.gain <= high for gain in evidence.gains.values()) if several else 0
    hidden = f" {count(beyond, 'pair')} beyond the right scale: see left." if beyond else ""
    return (
        f"{evidence.metric.gain_title}. Left: bold with {BETTER} (better) or {WORSE} (worse) where "
        f"established (moderated t-test, {adjusted(evidence.tested, 'cell', evidence.looks)}); hatched: no "
        f"result. Right: {right}, and means with 95 % intervals for these pairs{like}.{hidden}{differs}"
    )


def _alt(comparisons: Sequence[Comparison], look: Mapping[str, Style]) -> str:
    order = sorted(comparisons, key=lambda each: -each.gain)
    listed = ", ".join(f"{look[each.method].name} {signed(each.gain, 1)}" for each in order)
    return f"Heat map of gains by method and pair, and their means. Mean gains over all pairs in points: {listed}."


def draw(evidence: Evidence, look: Mapping[str, Style]) -> Figure:
    """A row for each method; a column for each pair, one for all pairs together, and beside them the mean over pairs
    among the pairs' numbers, or, of a single pair, among its runs. Gains are percentage points. Raises NotDrawnError
    without gains, and where pairs are more than a page holds.
    """
    found, comparisons = evidence.gains, evidence.over_alone
    if not found:
        raise NotDrawnError("no run has a finished student alone of the same pair to be compared with")
    columns = list(dict.fromkeys((dataset, pair) for dataset, pair, _ in found))
    if len(columns) > MOST_PAIRS:
        raise NotDrawnError(f"{len(columns)} pairs; a page holds {MOST_PAIRS}")
    together = len(columns) > 1
    names = [words.shortened(words.printable(look[each.method].name), 1.5) for each in comparisons]
    room = TWO_COLUMNS - max(map(words.text_width, names)) - LEAST_SPREAD - 0.4
    cell = min(WIDEST, room / (len(columns) + together))
    headings = [*_headings(evidence, columns), *(["All\npairs"] if together else [])]
    upright = max(words.text_width(text, TINY) for text in headings) <= cell - 0.04
    under = 0.3 if upright else max(words.text_width(text, TINY) for text in headings) + 0.1
    row = (3 if len(columns) <= 8 else 4) * LANE + MEAN
    figure = canvas.sheet(TWO_COLUMNS, row * len(comparisons) + max(under, 0.45) + 0.3)
    widths = [cell * len(headings), TWO_COLUMNS - cell * len(headings) - max(map(words.text_width, names)) - 0.4]
    heat, spread = figure.subplots(1, 2, sharey=True, width_ratios=widths)
    rows = [
        [*(found.get((*column, each.method)) for column in columns), *([each] if together else [])]
        for each in comparisons
    ]
    most = max(abs(each.gain) for each in _scaled(evidence)) or 1.0
    _draw_heat(heat, rows, headings, names, 0 if upright else 90, most, numbers=cell >= WITH_NUMBERS)
    if together:
        heat.axvline(len(columns), color="white", linewidth=5)
    spread.set_xlim(_limits(evidence))
    _draw_means(spread, comparisons, look)
    spread.set_xlabel(evidence.metric.gain_title.replace(" (", "\n("), fontsize=SMALL)
    canvas.lay_out(figure)
    heat.set_title("")
    spread.set_title("")
    _name_datasets(heat, columns, len(headings))
    _draw_pairs(spread, evidence, columns) if together else _draw_runs(spread, evidence, look)
    return figure


def _headings(evidence: Evidence, columns: Sequence[Block]) -> list[str]:
    """With a number each, where there are several."""
    names = {cell.block: networks(cell) for cell in evidence.cells}
    texts = []
    for i, column in enumerate(columns, start=1):
        teacher, student = (words.shortened(words.printable(name), 0.9, TINY) for name in names[column])
        texts.append(f"{f'{i}: ' if len(columns) > 1 else ''}{teacher}\n→ {student}")
    return texts


def _draw_heat(
    axes: Axes,
    rows: Sequence[Sequence[CellGain | Comparison | None]],
    headings: Sequence[str],
    names: Sequence[str],
    rotation: int,
    most: float,
    *,
    numbers: bool,
) -> None:
    """Cells coloured by their gain, of up to `most`, hatched where there is none; headings below."""
    values = np.array([[each.gain if each else np.nan for each in row] for row in rows])
    look = {"fontsize": TINY, "color": "black", "va": "center_baseline"}
    colours = {"cmap": GAINING, "vmin": -most, "vmax": most, "linewidths": 0.8, "linecolor": "white", "cbar": False}
    sns.heatmap(values, annot=True, annot_kws=look, ax=axes, **colours)
    axes.patch.set(facecolor="#EFEFEF", edgecolor=LIGHT, hatch="////")
    for text, each in zip(axes.texts, [each for row in rows for each in row if each], strict=True):
        shown = signed(each.gain, 1) if numbers else "−" if each.gain < 0 else ""
        text.set_text(shown + each.mark)
        text.set_fontweight("bold" if each.established else "normal")
    axes.set_xticks([x + 0.5 for x in range(len(headings))], headings, fontsize=TINY, rotation=rotation)
    axes.set_yticks([y + 0.5 for y in range(len(names))], names, fontsize=canvas.TEXT, rotation=0)
    axes.tick_params(length=0)
    axes.set_title(" ", fontsize=SMALL, pad=5)  # room for the data sets' names


def _name_datasets(axes: Axes, columns: Sequence[Block], places: int) -> None:
    """Above its pairs, with a rule under the name."""
    start = 0
    high = axes.get_xaxis_transform()
    width, height = canvas.size(axes)
    for dataset, members in groupby(columns, key=lambda column: column[0]):
        end = start + len(list(members))
        rule = 1 + 0.02 / height
        axes.plot([start + 0.08, end - 0.08], [rule] * 2, color=INK, linewidth=0.5, transform=high, clip_on=False)
        name = words.shortened(words.printable(dataset), (end - start) * width / places, SMALL)
        above = 1 + 0.04 / height
        axes.text((start + end) / 2, above, name, ha="center", va="bottom", fontsize=SMALL, transform=high)
        start = end


def _scaled(evidence: Evidence) -> list[CellGain | Comparison]:
    """What sets the scale: gains of what competes with the student alone, or all, where nothing does; none far out."""
    every: list[CellGain | Comparison] = [*evidence.gains.values(), *evidence.over_alone]
    competing = [each for each in every if each.method not in evidence.otherwise] or every
    return list(compress(competing, in_reach([each.gain for each in competing])))


def _draw_means(axes: Axes, comparisons: Sequence[Comparison], look: Mapping[str, Style]) -> None:
    """Of each method, low in its row: the mean with its interval for these pairs, and thin for pairs like these; beyond
    the edge an arrow with the number."""
    low, high = axes.get_xlim()
    axes.axvline(0, color=INK, linewidth=0.6, zorder=1)
    for i, each in enumerate(comparisons):
        y = i + 0.76
        axes.axhline(i + 1, color=canvas.GRID, linewidth=0.4, zorder=0)
        if not low <= each.gain <= high:
            canvas.point_beyond(axes, each.gain, y, signed(each.gain, 1))
            continue
        canvas.draw_mean(axes, each, y, look[each.method])
    axes.locator_params("x", nbins=6, steps=STEPS)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False, labelleft=False)
    axes.set_title(" ", fontsize=SMALL, pad=5)


def _limits(evidence: Evidence) -> tuple[float, float]:
    """Around gains and the intervals for these pairs; those for pairs like these may go on beyond the edge."""
    shown = _scaled(evidence)
    values = [0.0, *(each.gain for each in shown)]
    known = [each.interval for each in shown if isinstance(each, Comparison) and each.interval]
    values += [end for interval in known for end in (interval.low, interval.high)]
    if len({each.block for each in evidence.gains.values()}) == 1:
        methods = {each.method for each in shown}
        values += list(evidence.run_gains.gain[evidence.run_gains.method.isin(methods)])
    margin = 0.06 * (max(values) - min(values)) or 0.5
    return min(values) - margin, max(values) + margin


def _draw_pairs(axes: Axes, evidence: Evidence, columns: Sequence[Block]) -> None:
    """Each pair's number at its gain, those that would meet in other lanes."""
    width, height = canvas.size(axes)
    rows = len(evidence.over_alone)
    low, high = axes.get_xlim()
    unit = (high - low) / width
    lanes = round((height / rows - MEAN) / LANE)
    for i, each in enumerate(evidence.over_alone):
        cells = [(evidence.gains.get((*column, each.method)), str(number)) for number, column in enumerate(columns, 1)]
        placed = sorted((cell.gain, text) for cell, text in cells if cell and low <= cell.gain <= high)
        ends_at = [-np.inf] * lanes
        for gain, text in placed:
            half = (words.text_width(text, TINY) / 2 + 0.018) * unit
            # A lane in which it meets no other; where there is none, it lies over the one that ends first.
            lane = next((k for k in range(lanes) if ends_at[k] <= gain - half), int(np.argmin(ends_at)))
            ends_at[lane] = gain + half
            y = i + (LANE * (lanes - lane - 0.45)) / (height / rows)
            axes.text(gain, y, text, fontsize=TINY, color=INK, ha="center", va="center_baseline", zorder=3)


def _draw_runs(axes: Axes, evidence: Evidence, look: Mapping[str, Style]) -> None:
    """Of a single pair: a dot for each run."""
    for i, each in enumerate(evidence.over_alone):
        gains = evidence.run_gains.gain[evidence.run_gains.method == each.method]
        colour = look[each.method].colour
        axes.plot(gains, [i + 0.35] * len(gains), "o", color=colour, markersize=2.6, alpha=0.6, markeredgewidth=0)
