"""Where the marks of accuracy versus budget stand."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from matplotlib.axes import Axes

from analysis.figures import canvas
from analysis.figures.layout import apart, swarm
from analysis.style import listing_order

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Spot:
    """A row, and where on the logarithm of its budget it belongs and is drawn."""

    row: Row
    budget: float
    place: float

    @property
    def accuracy(self) -> float:
        return float(self.row["top1_percent"])

    @property
    def low(self) -> float:
        return self.accuracy if self.row.get("low") is None else float(self.row["low"])

    @property
    def high(self) -> float:
        return self.accuracy if self.row.get("high") is None else float(self.row["high"])


SLOT = 0.092
"""Inches that a mark with its interval takes beside others of its pair."""

EDGE = 0.12
"""Inches between such a mark and the end of its axis."""


def beside(axes: Axes, rows: Sequence[Row], values: Sequence[float]) -> list[Spot]:
    """Marks of a pair stand beside each other around the budget they share, in listing order."""
    middles = {row["pair"]: _middle(row, rows, values) for row in rows}
    order = sorted(
        zip(values, rows, strict=True),
        key=lambda item: (middles[item[1]["pair"]], item[1]["pair"], listing_order(item[1]["method"])),
    )
    _make_room(axes, middles, Counter(row["pair"] for row in rows))
    low, high = axes.get_xlim()
    unit = (high - low) / canvas.size(axes)[0]
    gaps = [SLOT * unit * (1 if a["pair"] == b["pair"] else 1.9) for (_, a), (_, b) in pairwise(order)]
    wanted = [middles[row["pair"]] for _, row in order]
    places = apart(wanted, gaps, low + EDGE * unit, high - EDGE * unit)
    return [Spot(row, value, place) for (value, row), place in zip(order, places, strict=True)]


def _make_room(axes: Axes, middles: Mapping[str, float], marks: Mapping[str, int]) -> None:
    """Widen an axis at which the marks of the outer pairs would not have room around their budgets."""
    first, last = min(middles, key=lambda pair: middles[pair]), max(middles, key=lambda pair: middles[pair])
    before, after = (EDGE + SLOT * (marks[pair] - 1) / 2 for pair in (first, last))
    inches, (low, high) = canvas.size(axes)[0], axes.get_xlim()
    unit = (high - low) / inches
    if middles[first] - before * unit >= low and middles[last] + after * unit <= high:
        return
    between = inches - before - after
    if between > (before + after) / 2 and middles[last] > middles[first]:
        unit = (middles[last] - middles[first]) / between
        axes.set_xlim(middles[first] - before * unit, middles[last] + after * unit)


def _middle(row: Row, rows: Sequence[Row], values: Sequence[float]) -> float:
    """Of a pair's budgets."""
    return median(value for value, other in zip(values, rows, strict=True) if other["pair"] == row["pair"])


def swarmed(axes: Axes, rows: Sequence[Row], values: Sequence[float], mark: float) -> list[Spot]:
    """Marks stay at their budgets, and give way sideways only where they would lie over each other."""
    width, height = canvas.size(axes)
    low, high = axes.get_ylim()
    up = [(row["top1_percent"] - low) / (high - low) * height for row in rows]
    # A wider axis packs marks more closely, which may move them out of it again.
    for _ in range(5):
        left, right = axes.get_xlim()
        scale = width / (right - left)
        places = [place / scale for place in swarm([value * scale for value in values], up, mark)]
        edge = mark / scale
        if left + edge <= min(places) and max(places) <= right - edge:
            break
        axes.set_xlim(min(left, min(places) - 2 * edge), max(right, max(places) + 2 * edge))
    return [Spot(row, value, place) for row, value, place in zip(rows, values, places, strict=True)]
