"""Where things go so that they do not lie over each other: pure functions of numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

FAR, NEAR = 3.0, 10.0
"""How far below the middle half of all values one is left out of a scale: in interquartile ranges (Tukey's far out),
and never within so many units, percentage points mostly."""


def in_reach(values: Sequence[float]) -> list[bool]:
    """Which values set a scale; one far below, as of a method that failed, would leave the others no room on it. The
    best always do."""
    first, third = np.percentile(values, [25, 75]) if len(values) else (0.0, 0.0)
    least = first - max(FAR * (third - first), NEAR)
    return [bool(value >= least) for value in values]


def apart(values: Sequence[float], gaps: Sequence[float], low: float = -np.inf, high: float = np.inf) -> list[float]:
    """Ascending values, moved as little as keeps each the gap from the one before (least squares) and all of them
    between two bounds. Where the bounds are too near for all gaps, the lower one holds.
    """
    if not len(values):
        return []
    steps = np.concatenate([[0.0], np.cumsum(gaps)])
    flat = isotonic_regression(np.array(values, dtype=float) - steps).x
    return [float(place) for place in np.clip(flat, low, max(low, high - steps[-1])) + steps]


def lanes(starts: Sequence[float], ends: Sequence[float], gap: float = 0.0) -> list[int]:
    """For intervals in ascending order of their starts: the first of as few lanes as keep them apart."""
    taken: list[float] = []
    found = []
    for start, end in zip(starts, ends, strict=True):
        lane = next((i for i, last in enumerate(taken) if start >= last + gap), len(taken))
        taken[lane : lane + 1] = [end]
        found.append(lane)
    return found


@dataclass(frozen=True)
class Box:
    """A rectangle, its sides in one unit."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, centre: tuple[float, float], half_width: float, half_height: float) -> "Box":
        x, y = centre
        return cls(x - half_width, y - half_height, x + half_width, y + half_height)

    def __contains__(self, other: "Box") -> bool:
        across = self.left <= other.left and other.right <= self.right
        return across and self.bottom <= other.bottom and other.top <= self.top

    def overlap(self, other: "Box") -> float:
        """Area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)


def clearest(candidates: Iterable[Box], obstacles: Sequence[Box]) -> Box:
    """The first of the places that lies over the obstacles least."""
    sides = np.array([(box.left, box.bottom, box.right, box.top) for box in obstacles]).reshape(-1, 4)

    def covered(box: Box) -> float:
        width = np.minimum(sides[:, 2], box.right) - np.maximum(sides[:, 0], box.left)
        height = np.minimum(sides[:, 3], box.top) - np.maximum(sides[:, 1], box.bottom)
        return round(float(np.sum(width.clip(0) * height.clip(0))), 9)

    return min(candidates, key=covered)
