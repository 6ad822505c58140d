"""Gains read sideways: how large the student alone has to be to reach what a taught student of a ladder reaches.

A ladder is the students of one teacher that differ in one number, which ends their names (`resnet_w0.25`). Between its
rungs the accuracy of the student alone is taken as linear in the logarithm of MACs, and never to fall as they grow:
neighbours that do are pooled (isotonic regression). The reading is where this line first reaches the method's mean, its
interval that of 10,000 draws of all means involved, each from its moderated t; there is none where one of them is of a
single run whose pair knows no spread. Beyond its ends the line says nothing.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, inf, log

import numpy as np

from analysis.statistics.basic import LEVEL
from analysis.statistics.cells import Cell
from analysis.statistics.evidence import Evidence
from analysis.statistics.moderated import drawn_means
from analysis.style import CONTROL, TEACHER, display_name

LEAST_RUNGS = 4
"""Fewer are too far apart to read between."""

NUMBERED = re.compile(r"(.*?)(\d+(?:\.\d+)?)")
"""A student's name: what it is, and how much of it."""


@dataclass(frozen=True)
class Reading:
    """A method at a rung: the MACs at which the student alone is as accurate, and the ends of their 95 % interval, None
    where nothing varies; 0 stands for less than the ladder's smallest, infinity for more than its largest."""

    cell: Cell
    macs: float
    equal: float
    low: float | None
    high: float | None

    @property
    def inside(self) -> bool:
        """Whether the ladder reaches so far."""
        return on_ladder(self.equal) is not None

    @property
    def settled(self) -> bool:
        """Whether the interval leaves out the student's own size."""
        return self.low is not None and self.high is not None and not self.low <= self.macs <= self.high


@dataclass(frozen=True)
class Ladder:
    """The student alone at each rung, the smallest first, and what methods reach there."""

    dataset: str
    teacher: str
    stem: str
    rungs: Sequence[Cell]
    readings: Sequence[Reading]

    def held(self, macs: float) -> float:
        """MACs, those beyond an end of the ladder as that end."""
        return min(max(macs, _macs(self.rungs[0])), _macs(self.rungs[-1]))

    def named(self, macs: float) -> str:
        """The student of so many MACs, by a number between its neighbours' (`0.31`), linear in logarithms of both."""
        sizes = [log(_number(cell)) for cell in self.rungs]
        return f"{exp(float(np.interp(log(macs), [log(_macs(cell)) for cell in self.rungs], sizes))):.3g}"

    def size(self, reading: Reading) -> str:
        """`0.31 [0.28, 0.36]`, of the student alone."""
        return self._bounded(reading, self.named)

    def times_fewer(self, reading: Reading) -> str:
        """`1.50 [1.21, 1.84]`."""
        return self._bounded(reading, lambda macs: f"{macs / reading.macs:.2f}")

    def sentence(self, reading: Reading) -> str:
        """`GKD at net_w0.25 equals the student alone at net_w0.31 [0.28, 0.36]: 1.50 [1.21, 1.84] times fewer MACs`; of
        one beyond the ladder, on which side."""
        start = f"{display_name(reading.cell.method)} at {reading.cell.student}"
        if not reading.inside:
            end, how = (self.rungs[-1], "more") if reading.equal else (self.rungs[0], "less")
            return f"{start} reaches {how} than the student alone at {end.student}, where the ladder ends"
        equal = f"{start} equals the student alone at {self.stem}{self.size(reading)}"
        return f"{equal}: {self.times_fewer(reading)} times fewer MACs"

    def _bounded(self, reading: Reading, said: Callable[[float], str]) -> str:
        """The reading and its interval, as these MACs are said; bounds where the ladder ends."""

        def text(macs: float) -> str:
            return f"{'' if on_ladder(macs) else '> ' if macs else '< '}{said(self.held(macs))}"

        if reading.low is None or reading.high is None:
            return text(reading.equal)
        return f"{text(reading.equal)} [{text(reading.low)}, {text(reading.high)}]"


def ladders(evidence: Evidence) -> list[Ladder]:
    """Of every teacher whose students make one, trained by one recipe, in the order of the cells."""
    found: dict[tuple[str, str, str, str], dict[float, Cell]] = {}
    for cell in evidence.cells:
        name = NUMBERED.fullmatch(cell.student)
        if name and cell.method == CONTROL and cell.n and cell.macs and float(name[2]) and not cell.caveat:
            found.setdefault((cell.dataset, cell.teacher, name[1], cell.settings), {})[cell.macs] = cell
    return [
        _ladder(key[:3], [rungs[macs] for macs in sorted(rungs)], evidence)
        for key, rungs in found.items()
        if len(rungs) >= LEAST_RUNGS
    ]


def on_ladder(macs: float | None) -> float | None:
    """A reading or an end of its interval; None for what lies beyond the ladder."""
    return macs if macs is not None and 0 < macs < inf else None


def sizes_reaching(sizes: np.ndarray, means: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where a line through rising sizes [R] first reaches what is wanted [D]. means: [R, D], a line for each draw, made
    to rise first. 0 for what its beginning exceeds, infinity for what its end does not reach."""
    line = rising(means)
    reached = np.where(wanted < line[0], 0.0, inf)
    for i in range(len(sizes) - 1, 0, -1):
        below, above = line[i - 1], line[i]
        share = np.divide(wanted - below, above - below, out=np.zeros_like(wanted), where=above > below)
        between = sizes[i - 1] * (sizes[i] / sizes[i - 1]) ** share.clip(0, 1)
        reached = np.where((below < wanted) & (wanted <= above), between, reached)
    return np.where(wanted == line[0], sizes[0], reached)


def rising(means: np.ndarray) -> np.ndarray:
    """Isotonic regression of each column of [R, D], by its formula for few rows: of the means of neighbours from a row
    or one before to it or one after, the largest of the least."""
    rows = range(len(means))
    totals = np.concatenate([np.zeros_like(means[:1]), means.cumsum(axis=0)])

    def least(start: int, row: int) -> np.ndarray:
        return np.min([(totals[end + 1] - totals[start]) / (end + 1 - start) for end in rows[row:]], axis=0)

    return np.stack([np.max([least(start, row) for start in rows[: row + 1]], axis=0) for row in rows])


def _ladder(key: tuple[str, str, str], rungs: Sequence[Cell], evidence: Evidence) -> Ladder:
    order = [cell.block for cell in rungs]
    taught = [cell for cell in evidence.cells if cell.block in order and _is_read(cell)]
    taught.sort(key=lambda cell: order.index(cell.block))
    samples = [evidence.samples[cell.place] for cell in (*rungs, *taught)]
    means = np.array([[sample.mean] for sample, _ in samples], dtype=float)
    drawn = np.concatenate([means, drawn_means(samples)], axis=1)  # the means themselves first
    sizes, alone = np.array([_macs(cell) for cell in rungs]), drawn[: len(rungs)]
    readings = []
    for cell, values in zip(taught, drawn[len(rungs) :], strict=True):
        equal, *draws = sizes_reaching(sizes, alone, values)
        certain = not all(np.ptp(row) for row in (*alone, values))
        readings.append(Reading(cell, _macs(cell), float(equal), *((None, None) if certain else _middle(draws))))
    return Ladder(*key, rungs, readings)


def _middle(draws: Sequence[float]) -> tuple[float, float]:
    """The ends of what holds LEVEL of the draws, each one of them: there is no mean of a number and infinity."""
    low, high = np.quantile(draws, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), method="inverted_cdf")
    return float(low), float(high)


def _is_read(cell: Cell) -> bool:
    """Whether a cell is of a method trained as the student alone is."""
    return bool(cell.method not in (CONTROL, TEACHER) and cell.n and cell.macs and not cell.apart)


def _macs(cell: Cell) -> float:
    assert cell.macs
    return cell.macs


def _number(cell: Cell) -> float:
    name = NUMBERED.fullmatch(cell.student)
    assert name
    return float(name[2])
