"""Relation transferred versus accuracy gained: does handing over geometry help?"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import canvas, words
from analysis.figures.canvas import LIGHT, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.runs.alike import CELL
from analysis.runs.load import plain
from analysis.statistics.basic import spearman
from analysis.statistics.gains import RELATIONS
from analysis.style import Style, listing_order

LEFT, RIGHT, GUTTER, TOP, UNDER = 0.5, 0.14, 0.3, 0.22, 0.46
MOST_CROSSED = 40
"""Cells that are drawn with their spreads; those of more would hide each other."""


def drawings(gains: pd.DataFrame, look: Mapping[str, Style]) -> list[Drawing]:
    """One figure for all data sets, of `run_gains`. Raises NotDrawnError as `draw` does."""
    table = cells(gains)
    figure = draw(table, look)
    found = {name: _correlation(table, name) for name in RELATIONS if name in table}
    words = ", ".join(f"{RELATIONS[name]} {rho:.2f}" for name, rho in found.items() if rho is not None)
    caption = (
        "Relation to the teacher's geometry against accuracy, both as gains over the mean of the student alone of "
        f"the same pair; a mark for each of {len(table)} cells (method and pair), the mean over its seeds, with "
        f"standard deviations where up to {MOST_CROSSED} cells leave room. Relations compare the embeddings of test "
        "images: correlation of distances and of angles, CKA, overlap of nearest neighbours. ρ is Spearman's rank "
        "correlation over cells, which are not independent: those of a pair share a control, of a method its loss."
    )
    alt = f"Scatter of accuracy gain against relation gained. Rank correlations: {words or 'none could be computed'}."
    data = {"": plain(table)}
    return [Drawing("relation_vs_gain", "Relation transferred and accuracy gained", caption, alt, data, figure)]


def cells(gains: pd.DataFrame) -> pd.DataFrame:
    """From `run_gains`: a row for each cell with `n`, and mean and sample standard deviation (`_std`) over its runs of
    `gain` and of each relation that was measured.
    """
    measured = [name for name in RELATIONS if gains[name].notna().any()]
    grouped = gains.groupby([*CELL, "teacher", "student"], sort=False)
    means = grouped[["gain", *measured]].mean()
    stds = grouped[["gain", *measured]].std().add_suffix("_std")
    return pd.concat([grouped.size().rename("n"), means, stds], axis=1).reset_index()


def draw(table: pd.DataFrame, look: Mapping[str, Style]) -> Figure:
    """A panel for each relation measured, a mark for each row of `cells`, with Spearman's rank correlation over them.
    Raises NotDrawnError where nothing was measured.
    """
    measured = [name for name in RELATIONS if name in table]
    if table.empty or not measured:
        raise NotDrawnError("no run has measured its relations beside a student alone of the same pair")
    methods = sorted(set(table.method), key=listing_order)
    legend = words.legend_lines([words.mark(look[method]) for method in methods], TWO_COLUMNS - 0.1)
    width = (TWO_COLUMNS - LEFT - RIGHT - GUTTER * 3) / 4
    figure = canvas.sheet(TWO_COLUMNS, TOP + width + UNDER + len(legend) * words.LINE + 0.06)
    for i, name in enumerate(measured):
        axes = canvas.panel(figure, LEFT + i * (width + GUTTER), TOP, width, width)
        _draw_panel(axes, table, name, look)
        axes.tick_params(labelleft=i == 0)
        if i == 0:
            axes.set_ylabel("Accuracy gain (points)")
    middle = (LEFT + (len(measured) * (width + GUTTER) - GUTTER) / 2) / TWO_COLUMNS
    y = 1 - (TOP + width + 0.3) / figure.get_figheight()
    label = "Relation gained: similarity to the teacher's geometry, less the student's alone"
    figure.text(middle, y, label, ha="center", va="center")
    words.draw_legend(figure, legend, 0.08, TOP + width + UNDER)
    return figure


def _draw_panel(axes: Axes, table: pd.DataFrame, name: str, look: Mapping[str, Style]) -> None:
    known = table[table[name].notna()]
    axes.axhline(0, color=LIGHT, linewidth=0.6, zorder=0)
    axes.axvline(0, color=LIGHT, linewidth=0.6, zorder=0)
    x, y = known[name], known.gain
    crossed = len(known) <= MOST_CROSSED
    if crossed:
        across, up = known[f"{name}_std"].fillna(0.0), known.gain_std.fillna(0.0)
        axes.hlines(y, x - across, x + across, colors=LIGHT, linewidth=0.6, zorder=1)
        axes.vlines(x, y - up, y + up, colors=LIGHT, linewidth=0.6, zorder=1)
    styles = [look[method] for method in known.method]
    canvas.draw_marks(axes, zip(x, y, styles, strict=True), canvas.MARK if crossed else canvas.SMALL_MARK)
    axes.margins(0.08)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    rho = _correlation(table, name)
    text = "" if rho is None else f"   ρ = {rho:.2f}".replace("-", "−")
    title = RELATIONS[name][:1].upper() + RELATIONS[name][1:]
    axes.set_title(f"{title}{text}", pad=3, loc="left")


def _correlation(table: pd.DataFrame, name: str) -> float | None:
    known = table[table[name].notna()]
    return spearman([float(x) for x in known[name]], [float(y) for y in known.gain])
