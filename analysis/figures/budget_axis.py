"""What accuracy is drawn against, which of these budgets say something of their own, and the axes that carry them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, floor, log10
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, NullFormatter

from analysis.figures import canvas, words
from analysis.figures.canvas import SMALL

Row = Mapping[str, Any]

ALIKE = 1.02
"""Budgets within 2 % are equal."""

LEAST_SPAN = 4.0
"""From one end of an axis to the other: budgets that hardly differ must not look as if they did, and two round ticks
at least have room."""


@dataclass(frozen=True)
class Budget:
    """A column of the data and what its axis is called. All methods of a pair share a budget of `deployment` (nearly:
    some deploy modules of their own), a training cost is each method's own. `unit` is written behind a tick's prefix.
    """

    column: str
    label: str
    deployment: bool
    unit: str = ""

    def axis(self, values: Sequence[float]) -> tuple[float, str, Callable[[float], str]]:
        """What values are divided by, the axis' label, and a tick as text. Times are in a unit for people."""
        if self.unit == "s" and max(values) >= 120:
            divisor, name = (60.0, "min") if max(values) < 7200 else (3600.0, "h")
            return divisor, f"{self.label} ({name})", lambda value: f"{value:g}"
        return 1.0, self.label, EngFormatter(unit=self.unit, sep=" " if self.unit else "")


BUDGETS = (
    Budget("macs", "MACs of one inference", deployment=True),
    Budget("parameters", "Student parameters", deployment=True),
    Budget("latency_seconds", "Latency of one image", deployment=True, unit="s"),
    Budget("training_flops", "Training FLOPs", deployment=False),
    Budget("device_seconds", "Device time of training", deployment=False, unit="s"),
    Budget("energy_joules", "Energy of training", deployment=False, unit="J"),
    Budget("memory_bytes", "Peak memory of training", deployment=False, unit="B"),
)


def distinct(rows: Sequence[Row]) -> tuple[list[Budget], list[Budget]]:
    """Budgets that any student's row has: those that order the rows otherwise than every budget before them, and those
    that do not. What a student costs when deployed is the median over its methods, whatever was measured of each.
    """
    shown: list[Budget] = []
    rest: list[Budget] = []
    orders: list[dict[Any, int]] = []
    for budget in BUDGETS:
        values: dict[tuple[str, ...], float] = {
            _key(row): float(row[budget.column]) for row in rows if row.get(budget.column)
        }
        if not values:
            continue
        if budget.deployment:
            students = {key[0] for key in values}
            values = {(name,): median(v for key, v in values.items() if key[0] == name) for name in students}
        order = {(a, b): _compare(values[a], values[b]) for a, b in combinations(sorted(values), 2)}
        known = any(order == other for other in orders) and bool(shown)
        orders.append(order)
        (rest if known else shown).append(budget)
    return shown, rest


def _key(row: Row) -> tuple[str, str, str]:
    return str(row["student"]), str(row["pair"]), str(row["method"])


def _compare(a: float, b: float) -> int:
    return 0 if max(a, b) <= ALIKE * min(a, b) else 1 if a > b else -1


def set_axis(axes: Axes, values: Sequence[float], label: str, text: Callable[[float], str], width: float) -> None:
    """A logarithmic axis with round numbers, and the ticks between them that show what it is. `width`: inches."""
    low, high = min(values), max(values)
    stretch = max(1.12, (LEAST_SPAN * low / high) ** 0.5, (high / low) ** 0.05)
    axes.set(xscale="log", xlim=(low / stretch, high * stretch), xlabel=label)
    set_ticks(axes, text, width)
    axes.grid(axis="y", color=canvas.GRID, linewidth=0.5)


def set_ticks(axes: Axes, text: Callable[[float], str], width: float) -> None:
    """As many numbers as the limits of a logarithmic axis leave room for. The ticks are fixed, because within a decade
    matplotlib would make them linear.
    """
    low, high = axes.get_xlim()
    wide = max(words.text_width(text(_rounded(value)), SMALL) for value in (low, high)) + 0.12
    for digits in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        numbered = _ticks(low, high, digits)
        if len(numbered) * wide <= width:
            break
    axes.xaxis.set_major_locator(FixedLocator(numbered))
    axes.xaxis.set_minor_locator(FixedLocator(_ticks(low, high, range(1, 10))))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: text(_rounded(value))))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _ticks(low: float, high: float, digits: Iterable[float]) -> list[float]:
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    found = (digit * 10.0**power for power in powers for digit in digits)
    return [value for value in found if low <= value <= high]


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")
