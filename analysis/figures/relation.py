"""Relation transferred versus accuracy gained, among the methods of a pair: do they go together?"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import canvas, words
from analysis.figures.canvas import LIGHT, SMALL, STEPS, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.figures.layout import in_reach
from analysis.runs.alike import CELL
from analysis.runs.load import plain
from analysis.runs.metrics import TOP1
from analysis.statistics.association import Association, within
from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import RELATIONS
from analysis.style import Style, count, display_name, listing_order, p_value, signed

HEIGHT, AROUND = 1.35, 0.62
"""Inches of a data set's panels, and of labels and titles."""
MOST_DATASETS = 5
CROWD = 40
"""More cells than this in a panel are drawn smaller."""


def drawings(evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """One figure for all data sets, from the gains of runs that compete with the student alone. Raises NotDrawnError as
    `draw` does.
    """
    if evidence.metric is not TOP1:
        raise NotDrawnError("relations are drawn against test accuracy")
    table = cells(evidence.run_gains[~evidence.run_gains.method.isin(evidence.otherwise)])
    figure = draw(table, look)
    found = {name: association(table, name) for name in RELATIONS if name in table}
    said = _said({RELATIONS[name]: each for name, each in found.items() if each})
    pairs = len(table[CELL[:2]].drop_duplicates())
    caption = (
        "Similarity to the teacher's geometry and accuracy, as gains over the student alone centred within pairs: "
        f"{count(len(table), 'cell')} of {count(pairs, 'pair')}. Spearman's ρ within pairs (P by permutation): "
        f"{said or 'too few methods'}. An association, no effect: labels alone bring students closer."
        f"{_far(table)}"
    )
    alt = f"Scatter of accuracy gain against relation gained within pairs. Rank correlations: {said or 'none'}."
    data = {"": plain(table)}
    return [Drawing("relation_vs_gain", "Relation transferred and accuracy gained", caption, alt, data, figure)]


def _near(table: pd.DataFrame) -> pd.Series:
    """Which cells of a data set are near enough to the others for one scale."""
    return pd.Series(in_reach(list(table.gain_within)), table.index, dtype=bool)


def _far(table: pd.DataFrame) -> str:
    """Cells that are not in the figure."""
    named = []
    for _, members in table.groupby("dataset"):
        far = members[~_near(members)]
        for method, student, gain in zip(far.method, far.student, far.gain_within, strict=True):
            named.append(f"{display_name(method)} on {student} ({signed(gain, 1)})")
    return words.far(named)


def _said(found: Mapping[str, Association]) -> str:
    """`distances 0.70 (0.002), CKA 0.71 (<0.001)`, and a P that all have once."""
    p = {name: p_value(each.p).replace(" ", "") for name, each in found.items()}
    alike = len(found) > 1 and len(set(p.values())) == 1
    listed = [f"{name} {each.rho:.2f}{'' if alike else f' ({p[name]})'}" for name, each in found.items()]
    return (", ".join(listed) + (f" (each {min(p.values())})" if alike else "")).replace("-", "−")


def cells(gains: pd.DataFrame) -> pd.DataFrame:
    """A row for each cell with `n`, and the means over its runs of `gain` and of each relation that was measured, each
    also less the mean over the methods of its pair (`_within`).
    """
    measured = [name for name in RELATIONS if gains[name].notna().any()]
    grouped = gains.groupby([*CELL, "teacher", "student"], sort=False)
    table = pd.concat([grouped.size().rename("n"), grouped[["gain", *measured]].mean()], axis=1).reset_index()
    of_pair = table.groupby(CELL[:2])[["gain", *measured]]
    return table.join((table[["gain", *measured]] - of_pair.transform("mean")).add_suffix("_within"))


def association(table: pd.DataFrame, name: str) -> Association | None:
    """Of a relation with gain, within the pairs of rows of `cells`."""
    known = table[table[name].notna()]
    return within([(list(rows[name]), list(rows.gain)) for _, rows in known.groupby(CELL[:2])])


def draw(table: pd.DataFrame, look: Mapping[str, Style]) -> Figure:
    """A row of panels for each data set, a panel for each relation, a mark for each row of `cells` that is near enough
    to the others for one scale; ρ is that of all. Raises NotDrawnError where nothing was measured, and where no pair
    has two methods.
    """
    measured = [name for name in RELATIONS if name in table]
    if table.empty or not measured:
        raise NotDrawnError("no run has measured its relations beside a student alone of the same pair")
    if table.groupby(CELL[:2]).size().max() < 2:
        raise NotDrawnError("no pair has two methods to compare with each other")
    datasets = list(dict.fromkeys(table.dataset))
    if len(datasets) > MOST_DATASETS:
        raise NotDrawnError(f"{len(datasets)} data sets; a page holds {MOST_DATASETS}")
    handles = [words.mark(look[method]) for method in sorted(set(table.method), key=listing_order)]
    height = HEIGHT * len(datasets) + AROUND + words.legend_height(handles, TWO_COLUMNS)
    figure = canvas.sheet(TWO_COLUMNS, height)
    panels = figure.subplots(len(datasets), len(measured), sharey="row", squeeze=False)
    for row, dataset in zip(panels, datasets, strict=True):
        members = table[table.dataset == dataset]
        for axes, name in zip(row, measured, strict=True):
            _draw_panel(axes, members, name, look)
        row[0].set_ylabel(words.shortened(words.printable(dataset), HEIGHT, SMALL), fontsize=SMALL)
    for axes, name in zip(panels[0], measured, strict=True):
        title = RELATIONS[name][:1].upper() + RELATIONS[name][1:]
        axes.set_title("\n".join([title, axes.get_title()]).strip(), fontsize=SMALL)
    for axes in panels[-1]:
        axes.set_xlabel("Relation gain within pairs", fontsize=SMALL)
    figure.supylabel("Accuracy gain within pairs", fontsize=SMALL)
    words.legend(figure, handles)
    return figure


def _draw_panel(axes: Axes, table: pd.DataFrame, name: str, look: Mapping[str, Style]) -> None:
    known = table[table[name].notna()]
    shown = known[_near(known)]
    axes.axhline(0, color=LIGHT, linewidth=0.6, zorder=0)
    axes.axvline(0, color=LIGHT, linewidth=0.6, zorder=0)
    styles: Sequence[Style] = [look[method] for method in shown.method]
    form = canvas.MARK if len(shown) <= CROWD else canvas.SMALL_MARK
    canvas.draw_marks(axes, zip(shown[f"{name}_within"], shown.gain_within, styles, strict=True), form)
    axes.margins(0.08)
    axes.locator_params("x", nbins=4, steps=STEPS)
    axes.locator_params("y", nbins=5, steps=STEPS)
    if found := association(known, name):
        axes.set_title(f"ρ = {found.rho:.2f}".replace("-", "−"), fontsize=SMALL)
