"""Everything the tables, the summary and the paper say, worked out once from the runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.statistics.cells import Cell, pool, with_several_options
from analysis.statistics.gains import (
    CellGain,
    Comparison,
    between_methods,
    cell_gains,
    method_gains,
    paired_gains,
    ranking,
)
from analysis.statistics.published import Key, Match, Published, compare
from analysis.statistics.ranks import Ranking

Place = tuple[str, str, str]
"""Data set, pair, method."""


@dataclass(frozen=True)
class Evidence:
    """`cells` in listing order by data set and pair; `paired` the runs' `paired_gains`; `gains` each cell's gain over
    the student alone; `over_alone` each method against it over all pairs; `between` each two other methods;
    `several_options` methods that have not the same ones on all pairs; `matches` published numbers beside these.
    """

    cells: Sequence[Cell]
    paired: pd.DataFrame
    gains: Mapping[Place, CellGain]
    over_alone: Sequence[Comparison]
    between: Sequence[Comparison]
    ranking: Ranking | None
    several_options: Sequence[str]
    matches: Sequence[Match]
    devices: Sequence[str]


def collect_evidence(runs: pd.DataFrame, published: Mapping[Key, list[Published]] | None = None) -> Evidence:
    """Pool, pair, test and rank the runs of `runs.load`."""
    cells, paired = pool(runs), paired_gains(runs)
    gains = {(gain.dataset, gain.pair, gain.method): gain for gain in cell_gains(paired)}
    return Evidence(
        cells=cells,
        paired=paired,
        gains=gains,
        over_alone=method_gains(paired),
        between=between_methods(runs),
        ranking=ranking(runs, paired),
        several_options=with_several_options(runs),
        matches=compare(cells, published or {}, {place: each.gain for place, each in gains.items()}),
        devices=sorted(set(runs.device.dropna())),
    )
