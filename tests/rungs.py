"""Records of a ladder of students whose accuracies are known."""

from itertools import product
from math import log2

import fake_results as fake
import numpy as np

from benchmark.records import Record

WIDTHS = {0.125: 1_000_000, 0.25: 2_000_000, 0.5: 4_000_000, 1.0: 8_000_000}
"""MACs of rungs: twice the width is twice the cost, and 4 points."""


def rungs(gains: dict[str, dict[float, float]], spread: float = 0.0, seeds: int = 3) -> list[Record]:
    """The student alone has 60 % at the smallest width, and methods these points more than it at theirs; seeds lie
    evenly within ± so many points."""
    offsets = np.linspace(-spread, spread, seeds)
    values = {"student": dict.fromkeys(WIDTHS, 0.0), **gains}
    return [
        _record(method, width, 60 + 4 * log2(width / 0.125) + gain + offsets[seed], seed)
        for method, own in values.items()
        for (width, gain), seed in product(own.items(), range(seeds))
    ]


def _record(method: str, width: float, top1: float, seed: int) -> Record:
    """Of a student `net_w0.25` under one teacher; top1 in percent."""
    made = fake.record(fake.run(method, seed, ("resnet_l", f"net_w{width:g}")), top1 / 100)
    return made.model_copy(update={"cost": made.cost.model_copy(update={"macs": WIDTHS[width]})})
