"""Learning curves: each method's before the control's and all the others'."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import canvas, words
from analysis.figures.canvas import (
    DOTTED,
    GREY,
    INK,
    ONE_COLUMN,
    SMALL,
    STEPS,
    TALLEST,
    TINY,
    TWO_COLUMNS,
    Drawing,
    NotDrawnError,
)
from analysis.runs.load import plain
from analysis.style import CONTROL, Style, listing_order, spanned
from benchmark.ground.files import parse_rows, read_bytes
from benchmark.records import Folder

MEASURES = {
    "validation_top1": "Validation top-1 (%)",
    "train_top1": "Training top-1 (%)",
}
"""What may be drawn: the first that the curves have. Losses are not: each method's is its own."""

MOST_ACROSS = 12
"""Panels side by side."""
WIDE, HIGH = 1.6, 1.1
"""Inches of a panel at most."""
LEAST_HIGH = 0.4
AROUND = 0.75
"""Inches of titles, epochs and legend."""
LINE = 0.12
"""Inches of a title's second line."""
FAINT = "#CFCFCF"
FROM = 0.3
"""The share of all epochs that is cut from the accuracy axis (not from the curves), so that the steep beginning leaves
room for the differences at the end."""


def drawings(runs: pd.DataFrame, folders: Sequence[Path], look: Mapping[str, Style]) -> list[Drawing]:
    """A figure for each data set. Raises NotDrawnError if none has curves, or more than a page holds."""
    done = runs[runs.pooled]
    made, reasons = [], []
    for dataset, members in done.groupby("dataset"):
        curves = read(members, folders)
        try:
            figure = draw(curves, look)
        except NotDrawnError as reason:
            reasons.append(f"{dataset}: {reason}")
            continue
        measure = _measure(curves) or ""
        bands = summarise(curves, measure)
        bands.insert(0, "dataset", dataset)
        made.append(
            Drawing(
                canvas.stem("learning_curves", str(dataset), set(done.dataset)),
                f"Learning curves on {dataset}",
                _caption(bands, measure),
                _alt(bands, measure, look),
                {"": plain(bands)},
                figure,
            )
        )
    if not made:
        raise NotDrawnError("; ".join(reasons) or "no run has finished")
    return made


def read(runs: pd.DataFrame, folders: Sequence[Path]) -> pd.DataFrame:
    """The curves of runs, from the first folder that has each, as `draw` takes them. A run without one has no rows."""
    columns = ["pair", "teacher", "student", "method", "seed"]
    rows: list[dict[str, Any]] = []
    for run in plain(runs[["run_id", *columns]]):
        run_id = str(run.pop("run_id"))
        paths = (Folder(folder).curve_path(run_id) for folder in folders)
        found = next((path for path in paths if path.is_file()), None)
        rows += [{**run, **epoch} for epoch in (_epochs(found) if found else [])]
    return pd.DataFrame(rows, columns=[*columns, "epoch", *MEASURES])


def _epochs(path: Path) -> list[dict[str, float]]:
    """The epochs of a curve with the measures that are known; of a file that is not a curve, none."""
    try:
        rows = parse_rows(read_bytes(path), str(path))
        return [{name: float(row.get(name) or "nan") for name in ("epoch", *MEASURES)} for row in rows]
    except (OSError, ValueError):
        return []


def _caption(bands: pd.DataFrame, measure: str) -> str:
    seeds = sorted(set(bands.n))
    band = f"lines are means over {spanned(seeds)} seeds, bands their standard deviation"
    band = band if seeds[-1] > 1 else "one seed"
    beginning = " The axis leaves out the steep beginning." if bands.epoch.min() <= FROM * bands.epoch.max() else ""
    return (
        f"{MEASURES[measure].removesuffix(' (%)')} accuracy over training, a row for each pair: {band}. Each panel has "
        f"its method in colour, the student alone dotted, all others in grey.{beginning}"
    )


def _alt(bands: pd.DataFrame, measure: str, look: Mapping[str, Style]) -> str:
    last = bands.sort_values("epoch").groupby(["pair", "method"])["mean"].last().groupby("method").mean()
    order = ", ".join(
        f"{look[method].name} {last[method]:.1f}" for method in sorted(last.index, key=lambda name: -last[name])
    )
    return f"Learning curves by pair and method. {MEASURES[measure]} at the end, mean over pairs: {order}."


def draw(curves: pd.DataFrame, look: Mapping[str, Style]) -> Figure:
    """A row of panels for each pair, a panel for each method but the control. `curves` has a row for each epoch of each
    run of one data set: `pair`, `teacher`, `student`, `method`, `seed`, `epoch` (phases before training count below 0)
    and the columns of MEASURES, shares of 1. Raises NotDrawnError where there is nothing to see or no room for it.
    """
    measure = _measure(curves)
    if measure is None:
        raise NotDrawnError("no run has an accuracy after more than two epochs")
    bands = summarise(curves, measure)
    methods = sorted(set(bands.method), key=listing_order)
    shown = [method for method in methods if method != CONTROL] or methods
    pairs = list(dict.fromkeys(bands.pair))
    lines = ceil(len(shown) / MOST_ACROSS)
    across = ceil(len(shown) / lines)
    # Panels of few methods would be stretched over the sheet: empty ones keep their places.
    places = across if len(shown) == 1 else max(across, int(TWO_COLUMNS / WIDE))
    names = [words.printable(look[method].name) for method in shown]
    room = TWO_COLUMNS / places - 0.08
    points = SMALL if max(words.text_width(name, SMALL) for name in names) <= room else TINY
    titles = [words.broken(name, room, points) for name in names]
    high = min(HIGH, 0.85 * TWO_COLUMNS / across + 0.15, (TALLEST - AROUND) / (len(pairs) * lines))
    if high < LEAST_HIGH:
        raise NotDrawnError(f"{len(pairs)} pairs and {len(shown)} methods are more than a page holds")
    height = high * len(pairs) * lines + AROUND + (LINE if any("\n" in title for title in titles) else 0.0)
    figure = canvas.sheet(ONE_COLUMN if len(shown) == 1 else TWO_COLUMNS, height)
    panels = figure.subplots(len(pairs) * lines, places, sharex=True, sharey="row", squeeze=False)
    # Once for all panels that share an axis: each would tell all others of its limits. At the ends numbers would meet
    # the neighbours'.
    panels[0, 0].set_xlim(float(bands.epoch.min()), float(bands.epoch.max()))
    panels[0, 0].locator_params("x", nbins=4, steps=STEPS, integer=True, prune="both")
    for block, pair in enumerate(pairs):
        rows = bands[bands.pair == pair]
        for axes in panels[block * lines : (block + 1) * lines, 0]:
            axes.set_ylim(*_limits(rows))
            axes.locator_params("y", nbins=3, steps=STEPS)
        others = [curve[["epoch", "mean"]].to_numpy() for _, curve in rows[rows.method != CONTROL].groupby("method")]
        for i, axes in enumerate(panels[block * lines : (block + 1) * lines, :across].flat):
            if i >= len(shown):
                axes.set_axis_off()
                continue
            _draw_panel(axes, rows, shown[i], look, others)
            if block == 0 or lines > 1:
                axes.set_title(titles[i], fontsize=points)
        panels[block * lines, 0].set_ylabel(_pair_name(rows, high * lines), fontsize=TINY)
    for axes in panels[:, across:].flat:
        axes.set_axis_off()
    panels[-1, across // 2].set_xlabel("Epoch", fontsize=TINY)
    figure.supylabel(MEASURES[measure], fontsize=SMALL)
    words.legend(figure, _legend(bands))
    return figure


def _measure(curves: pd.DataFrame) -> str | None:
    for name in MEASURES:
        if name in curves and curves[curves[name].notna()].epoch.nunique() > 2:
            return name
    return None


def summarise(curves: pd.DataFrame, measure: str) -> pd.DataFrame:
    """By pair, method and `epoch`, counted from 1: `mean`, `low` and `high` (the mean less and plus the standard
    deviation over seeds, both the mean where there is one) in percent, and `n`.
    """
    known = curves[curves[measure].notna() & (curves.epoch >= 0)]
    known = known.assign(epoch=known.epoch + 1)
    groups = known.assign(percent=100 * known[measure].astype(float)).groupby(
        ["pair", "teacher", "student", "method", "epoch"], sort=True
    )
    bands = groups.percent.agg(mean="mean", std="std", n="count").reset_index()
    spread = bands.pop("std").fillna(0.0)
    return bands.assign(low=bands["mean"] - spread, high=bands["mean"] + spread)


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """The accuracies between which a pair's curves are shown."""
    later = rows[rows.epoch > FROM * rows.epoch.max()]
    # One method that fails must not flatten all others, nor one seed's band.
    low = float(np.quantile(later["mean"], 0.02))
    low, high = max(float(later.low.min()), low - 3.0), float(later.high.max())
    return low - 0.04 * (high - low), high + 0.06 * (high - low) + 1e-6


def _draw_panel(
    axes: Axes, rows: pd.DataFrame, method: str, look: Mapping[str, Style], others: Sequence[np.ndarray]
) -> None:
    axes.add_collection(LineCollection(others, colors=FAINT, linewidths=0.5, zorder=1))  # many lines take long to draw
    for name, colour, dash, band in ((CONTROL, INK, DOTTED, 0.13), (method, look[method].colour, "-", 0.28)):
        curve = rows[rows.method == name]
        if not curve.empty:
            axes.fill_between(curve.epoch, curve.low, curve.high, color=colour, alpha=band, linewidth=0, zorder=2)
            axes.plot(curve.epoch, curve["mean"], color=colour, linewidth=1.1, linestyle=dash, zorder=3)
    own = rows[rows.method == method]
    said = "no curve" if own.empty else f"↓ {own['mean'].iloc[-1]:.0f}" if own.high.max() < axes.get_ylim()[0] else ""
    axes.text(0.5, 0.08, said, ha="center", fontsize=TINY, color=GREY, transform=axes.transAxes)
    axes.grid(axis="y", color=canvas.GRID, linewidth=0.4)
    axes.tick_params(labelsize=TINY)


def _pair_name(rows: pd.DataFrame, room: float) -> str:
    teacher, student = (words.printable(str(rows[name].iloc[0])) for name in ("teacher", "student"))
    return f"{words.shortened(teacher, room, TINY)}\n→ {words.shortened(student, room - 0.1, TINY)}"


def _legend(bands: pd.DataFrame) -> list[Line2D]:
    handles = [words.line("Method named above", color=INK, linewidth=1.1)]
    if CONTROL in set(bands.method):
        handles.append(words.line("Student alone", color=INK, linestyle=DOTTED, linewidth=1.1))
    if bands.method.nunique() > 2:
        handles.append(words.line("Other methods", color=FAINT))
    return handles
