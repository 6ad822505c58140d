"""Where the marks of accuracy versus budget stand, what their pairs are called, and where these names go."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures import canvas, words
from analysis.figures.canvas import SMALL
from analysis.figures.layout import Box, apart, clearest, swarm
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


def pair_names(rows: Sequence[Row], width: float) -> tuple[dict[str, str], list[Line2D]]:
    """Pairs by their students' names, with the teachers' where several have the same student; where these have no room
    side by side in a panel, numbers, and a key to them for the legend.
    """
    order = sorted(rows, key=lambda row: (row.get("parameters") or 0, row["pair"]))
    students = {row["pair"]: (row["student"], row["teacher"]) for row in order}
    shared = [student for student, _ in students.values()]
    names = {
        pair: words.printable(f"{student} ← {teacher}" if shared.count(student) > 1 else student)
        for pair, (student, teacher) in students.items()
    }
    if sum(words.text_width(name, SMALL) + 0.1 for name in names.values()) <= width:
        return names, []
    numbers = {pair: str(number) for number, pair in enumerate(names, start=1)}
    key = [words.note(f"{number}: {names[pair]}") for pair, number in numbers.items()]
    return numbers, key


def name_below(axes: Axes, spots: Sequence[Spot], names: Mapping[str, str]) -> None:
    """The pairs' names along the bottom, each below its marks."""
    places = {pair: median(spot.place for spot in spots if spot.row["pair"] == pair) for pair in _pairs(spots)}
    order = sorted(places, key=lambda pair: (places[pair], pair))
    left, right = axes.get_xlim()
    unit = (right - left) / canvas.size(axes)[0]
    widths = [(words.text_width(names[pair], SMALL) + 0.05) * unit for pair in order]
    gaps = [(a + b) / 2 for a, b in pairwise(widths)]
    put = apart([places[pair] for pair in order], gaps, left + widths[0] / 2, right - widths[-1] / 2)
    for place, pair in zip(put, order, strict=True):
        axes.text(
            place, 0.01, names[pair], fontsize=SMALL, ha="center", va="bottom", transform=axes.get_xaxis_transform()
        )


def _pairs(spots: Sequence[Spot]) -> list[str]:
    return sorted({spot.row["pair"] for spot in spots})


Inches = Callable[[Spot, float], tuple[float, float]]
"""Where an accuracy at a mark's place lies on the panel."""


def name_starts(
    axes: Axes, spots: Sequence[Spot], names: Mapping[str, str], front: Sequence[Spot], *, crowded: bool
) -> None:
    """The pairs' names, each beside its cheapest mark, the control as a rule, where nothing else is; where it is
    crowded, none that would lie over something.
    """
    width, height = canvas.size(axes)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()

    def inches(spot: Spot, accuracy: float) -> tuple[float, float]:
        return (spot.place - left) / (right - left) * width, (accuracy - low) / (high - low) * height

    taken = [Box(-9, -9, 0, 9), Box(width, -9, width + 9, 9), *_taken(spots, front, inches)]
    for pair in names:
        members = [spot for spot in spots if spot.row["pair"] == pair]
        if not members:
            continue
        start = min(members, key=lambda spot: (spot.budget, spot.accuracy))
        box = clearest(_beside(start, words.text_width(names[pair], SMALL), width, inches), taken)
        if crowded and any(box.overlap(other) for other in taken):
            continue
        taken.append(box)
        middle = (box.left + box.right) / 2 / width, (box.bottom + box.top) / 2 / height
        axes.text(*middle, names[pair], fontsize=SMALL, ha="center", va="center_baseline", transform=axes.transAxes)


def _taken(spots: Sequence[Spot], front: Sequence[Spot], inches: Inches) -> Iterator[Box]:
    """What marks, their intervals and the front cover."""
    for spot in spots:
        x, y = inches(spot, spot.accuracy)
        yield Box(x - 0.04, y - 0.04, x + 0.04, y + 0.04)
        yield Box(x - 0.01, inches(spot, spot.low)[1], x + 0.01, inches(spot, spot.high)[1])
    for before, after in pairwise(front):
        (left_end, below), (right_end, above) = inches(before, before.accuracy), inches(after, after.accuracy)
        yield Box(left_end, below - 0.01, right_end, below + 0.01)
        yield Box(right_end - 0.01, below, right_end + 0.01, above)


def _beside(start: Spot, wide: float, width: float, inches: Inches) -> Iterator[Box]:
    """Places of a name of that width near a mark, the best first."""
    x, y = inches(start, start.accuracy)
    half, tall = wide / 2, 0.11
    under, over = inches(start, start.low)[1] - 0.09, inches(start, start.high)[1] + 0.09
    middle = min(max(x, half + 0.04), width - half - 0.04)
    centres = [(middle, under), (middle, over)]
    centres += [(x + sign * (half + 0.05), y + rise) for rise in (0, -0.1, 0.1, -0.2, 0.2) for sign in (1, -1)]
    for across, up in centres:
        yield Box(across - half - 0.02, up - tall / 2, across + half + 0.02, up + tall / 2)
