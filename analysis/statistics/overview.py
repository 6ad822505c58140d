"""A method in a line, over all pairs: what it gains on each data set and together, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, geometric_mean

from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import Comparison
from analysis.style import CONTROL


@dataclass(frozen=True)
class Line:
    """`by_dataset`: mean gain over the pairs of each data set that has the method. `cost`: its training FLOPs, the
    teacher's forward included, in those of the student alone, geometric mean over pairs; None where not known.
    """

    compared: Comparison
    by_dataset: Mapping[str, float]
    cost: float | None


def overview(evidence: Evidence) -> list[Line]:
    """A line for each method compared with the student alone, the largest mean gain first."""
    lines = []
    for compared in sorted(evidence.over_alone, key=lambda each: -each.gain):
        own = {place: gain.gain for place, gain in evidence.gains.items() if place[2] == compared.method}
        datasets = dict.fromkeys(dataset for dataset, _, _ in own)
        means = {name: fmean(gain for place, gain in own.items() if place[0] == name) for name in datasets}
        lines.append(Line(compared, means, _cost(compared.method, evidence)))
    return lines


def _cost(method: str, evidence: Evidence) -> float | None:
    flops = {cell.place: cell.training_flops for cell in evidence.cells}
    ratios = []
    for dataset, pair, name in evidence.gains:
        own, alone = flops.get((dataset, pair, name)), flops.get((dataset, pair, CONTROL))
        if name == method and own and alone:
            ratios.append(own / alone)
    return geometric_mean(ratios) if ratios else None
