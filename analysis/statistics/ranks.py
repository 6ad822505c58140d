"""Average ranks of methods: within a data set over its pairs, then over data sets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
from scipy.stats import f, rankdata

from analysis.runs.alike import CELL
from analysis.statistics.cells import Cell
from analysis.statistics.places import Block
from analysis.style import TEACHER, count, display_name, enumerated

LEAST_DATASETS = 6
"""Pairs of one data set are not independent, so that ranks are tested over data sets; fewer can hardly reject."""

CAME_TO_NOTHING = ("diverged", "not_applicable")


@dataclass(frozen=True)
class Ranking:
    """Average ranks (1 is best, ties share the mean of their ranks), the best method first: over the pairs of each data
    set, then over `datasets`, each counting alike.

    `p` is that all methods rank alike (Friedman's test over data sets, by Iman and Davenport's F), None below
    LEAST_DATASETS. `left_out` names methods and blocks that were dropped to have a complete table, with their number of
    holes.
    """

    methods: tuple[str, ...]
    average: tuple[float, ...]
    blocks: tuple[Block, ...]
    datasets: int
    left_out: Mapping[str, int]
    p: float | None

    @property
    def dropped(self) -> str:
        """What was left out: `MHGD and FSP (2 holes each), SP (1 hole)`."""
        alike: dict[int, list[str]] = {}
        for name, holes in self.left_out.items():
            alike.setdefault(holes, []).append(display_name(name))
        each = {holes: " each" if len(names) > 1 else "" for holes, names in alike.items()}
        return ", ".join(f"{enumerated(names)} ({count(holes, 'hole')}{each[holes]})" for holes, names in alike.items())


def candidates(cells: Iterable[Cell], runs: pd.DataFrame) -> list[Cell]:
    """Students that may be ranked or called best: not those trained otherwise than the student alone or than each
    other, nor those of which a run came to nothing, for the mean over the seeds that did not diverge is not the
    method's.
    """
    out = set(runs.loc[runs.status.isin(CAME_TO_NOTHING), CELL].itertuples(index=False, name=None))
    students = [cell for cell in cells if cell.n and cell.method != TEACHER and not cell.caveat and not cell.apart]
    return [cell for cell in students if cell.place not in out]


def ranking(ranked: Iterable[Cell]) -> Ranking | None:
    """Candidates ranked by their mean accuracies, as `rank` does."""
    scores: dict[Block, dict[str, float]] = {}
    for cell in ranked:
        assert cell.top1_percent is not None
        scores.setdefault(cell.block, {})[cell.method] = cell.top1_percent
    return rank(scores)


def rank(scores: Mapping[Block, Mapping[str, float]]) -> Ranking | None:
    """Rank methods by their score in each block, the higher the better. Methods and blocks with holes are dropped, the
    one with the largest share of holes first, until the table is complete. None if less than two of either are left.
    """
    blocks, methods, left_out = complete(scores)
    if len(blocks) < 2 or len(methods) < 2:
        return None
    of_dataset = [list(members) for _, members in groupby(sorted(blocks), key=lambda block: block[0])]
    ranks = [[rankdata([-scores[block][method] for method in methods]) for block in own] for own in of_dataset]
    table = np.array([np.mean(own, axis=0) for own in ranks])
    average = table.mean(axis=0)
    order = sorted(range(len(methods)), key=lambda i: (average[i], i))
    return Ranking(
        methods=tuple(methods[i] for i in order),
        average=tuple(float(average[i]) for i in order),
        blocks=tuple(blocks),
        datasets=len(table),
        left_out=left_out,
        p=friedman_p(rankdata(table, axis=1)) if len(table) >= LEAST_DATASETS else None,
    )


def complete(scores: Mapping[Block, Mapping[str, float]]) -> tuple[list[Block], list[str], dict[str, int]]:
    """Blocks and methods of the complete table that dropping the emptiest first comes to, and what was dropped."""
    blocks = list(scores)
    methods = list(dict.fromkeys(method for row in scores.values() for method in row))
    left_out: dict[str, int] = {}
    while True:
        rows = {block: sum(method not in scores[block] for method in methods) for block in blocks}
        columns = {method: sum(method not in scores[block] for block in blocks) for method in methods}
        # Of equal shares the method goes: a block is dearer, it is what a claim is over.
        block = max(blocks, key=lambda name: rows[name], default=None)
        method = max(methods, key=lambda name: columns[name], default=None)
        if block is None or method is None or not rows[block]:
            return blocks, methods, left_out
        if columns[method] * len(methods) >= rows[block] * len(blocks):
            left_out[method] = columns[method]
            methods.remove(method)
        else:
            left_out[": ".join(block)] = rows[block]
            blocks.remove(block)


def friedman_p(ranks: np.ndarray) -> float:
    """p that all methods of [data sets, methods] rank alike: Friedman's statistic with its correction for ties, by the
    F of Iman & Davenport (1980), since a handful of blocks is far from chi-square. 1 where all are tied.
    """
    n, k = ranks.shape
    spread = ((ranks - (k + 1) / 2) ** 2).sum() / (n * (k - 1))
    if not spread:
        return 1.0
    statistic = n * ((ranks.mean(axis=0) - (k + 1) / 2) ** 2).sum() / spread
    rest = n * (k - 1) - statistic
    return float(f.sf((n - 1) * statistic / rest, k - 1, (k - 1) * (n - 1))) if rest > 0 else 0.0
