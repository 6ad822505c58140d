"""What accuracy is drawn against, and the axes that carry it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analysis.figures import canvas, words
from analysis.figures.canvas import SMALL
from analysis.figures.layout import lanes

MOST_TICKS = 30
"""Budgets of a panel that each have a tick."""


@dataclass(frozen=True)
class Budget:
    """A column of the data, what its axis is called, and a number of it as text. All methods of a pair share a budget
    of `deployment` (nearly: some deploy modules of their own), a training cost is each method's own.
    """

    column: str
    label: str
    text: Callable[[float], str]
    deployment: bool


def _prefixed(value: float) -> str:
    """Three digits and an SI prefix: 943.8e9 is 944G."""
    return EngFormatter(sep="")(float(f"{value:.3g}"))


def _bytes(value: float) -> str:
    return EngFormatter(unit="B", sep=" ")(float(f"{value:.3g}"))


def _seconds(value: float) -> str:
    if value < 120:
        return EngFormatter(unit="s", sep=" ")(float(f"{value:.3g}"))
    return f"{value / 60:.3g} min" if value < 7200 else f"{value / 3600:.3g} h"


def _joules(value: float) -> str:
    return EngFormatter(unit="J", sep=" ")(float(f"{value:.3g}"))


BUDGETS = (
    Budget("parameters", "Student parameters", _prefixed, deployment=True),
    Budget("macs", "MACs of one inference", _prefixed, deployment=True),
    Budget("latency_seconds", "Latency of one image", _seconds, deployment=True),
    Budget("memory_bytes", "Peak memory of training", _bytes, deployment=False),
    Budget("device_seconds", "Device time of training", _seconds, deployment=False),
    Budget("training_flops", "Training FLOPs, teacher's forward included", _prefixed, deployment=False),
    Budget("energy_joules", "Energy of training", _joules, deployment=False),
)


def set_axes(axes: Axes, values: Sequence[float], budget: Budget) -> None:
    """A logarithmic axis with the budgets that occur as its ticks, because marks stand beside theirs; a number that
    would print over another, or like another, is left out.
    """
    unit = np.ptp(axes.get_xlim()) / canvas.size(axes)[0]
    distinct = sorted(set(values))
    halves = [(words.text_width(budget.text(10**value), SMALL) / 2 + 0.04) * unit for value in distinct]
    starts = [value - half for value, half in zip(distinct, halves, strict=True)]
    ends = [value + half for value, half in zip(distinct, halves, strict=True)]
    roomy = [value for value, lane in zip(distinct, lanes(starts, ends), strict=True) if lane == 0]
    numbered = list({budget.text(10**value): value for value in reversed(roomy)}.values())
    axes.xaxis.set_major_locator(FixedLocator(numbered))
    axes.xaxis.set_minor_locator(
        FixedLocator(sorted(set(distinct) - set(numbered))) if len(distinct) < MOST_TICKS else NullLocator()
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: budget.text(10**value)))
    axes.set_xlabel(budget.label)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=canvas.GRID, linewidth=0.5)
