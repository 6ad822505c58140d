"""How far gains differ between methods, and between pairs for one method: two-way analysis of variance."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from analysis.statistics.places import Block
from analysis.statistics.ranks import complete


@dataclass(frozen=True)
class Components:
    """Standard deviations in percentage points without the noise of seeds: of `methods`' mean gains, and of one
    method's gains over `pairs`, beyond what all methods of a pair have in common.
    """

    methods: float
    pairs: float


def components(gains: Mapping[Block, Mapping[str, float]], noise: float) -> Components | None:
    """From gains by pair and method, those left out that have holes, and the mean variance of the error of a cell's
    mean. None below two methods or two pairs.
    """
    blocks, methods, _ = complete(gains)
    if len(blocks) < 2 or len(methods) < 2:
        return None
    table = np.array([[gains[block][method] for method in methods] for block in blocks])
    means = table.mean(axis=0)
    rest = table - means - table.mean(axis=1, keepdims=True) + table.mean()
    interaction = float((rest**2).sum()) / ((len(blocks) - 1) * (len(methods) - 1))
    between = float(np.var(means, ddof=1)) - interaction / len(blocks)
    return Components(sqrt(max(0.0, between)), sqrt(max(0.0, interaction - noise)))
