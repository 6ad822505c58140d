"""What the command line chose to show, of results that are tested all together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
import pandas as pd

from analysis.runs.metrics import TOP1, Metric, measured_by
from analysis.statistics.cells import Cell
from analysis.statistics.evidence import Evidence, collect_evidence
from analysis.statistics.gains import DELTA
from analysis.statistics.published import Key, Published
from analysis.statistics.ranks import candidates, ranking
from analysis.style import CONTROL, TEACHER, count
from benchmark.ground.errors import unknown

Names = tuple[str, ...] | None
"""None is all of them."""


@dataclass(frozen=True)
class Selection:
    """Methods by their labels (the student alone and teachers stay, to compare with), pairs as TEACHER_STUDENT, data
    sets by heading or name, and the metric."""

    methods: Names = None
    pairs: Names = None
    datasets: Names = None
    metric: Metric = TOP1

    @property
    def whole(self) -> bool:
        return self == Selection()

    def check(self, runs: pd.DataFrame) -> None:
        """Raises UsageError for a name that no run has."""
        _known("method", self.methods, runs.method)
        _known("pair", self.pairs, runs.pair)
        _known("data set", self.datasets, [*runs.dataset, *runs.dataset_name])

    def places(self, runs: pd.DataFrame) -> "pd.Series[bool]":
        """Which runs are of the pairs and data sets."""
        dataset = runs.dataset.isin(self.datasets or ()) | runs.dataset_name.isin(self.datasets or ())
        return (dataset | (self.datasets is None)) & (runs.pair.isin(self.pairs or ()) | (self.pairs is None))

    def shows(self, method: str) -> bool:
        return self.methods is None or method in (CONTROL, TEACHER, *self.methods)


def select(
    runs: pd.DataFrame,
    selection: Selection,
    published: Mapping[Key, list[Published]] | None = None,
    *,
    delta: float = DELTA,
    looks: int = 1,
) -> tuple[pd.DataFrame, Evidence]:
    """The runs to be shown, and what all runs say of them: a cell's test is corrected for every cell there is, a mean
    over the chosen pairs for every method, whatever is shown. Only ranks are among what is
    shown, and what the figures draw of it: fronts, and how relations go with gains.

    Raises UsageError for a name that no run has.
    """
    selection.check(runs)
    metric = selection.metric
    published = published if metric is TOP1 else None
    runs = measured_by(runs, metric)
    delta = delta if metric.share else 0.0  # a margin is in percentage points
    whole = collect_evidence(runs, published, delta=delta, looks=looks)
    chosen = selection.places(runs)
    part = whole if chosen.all() else collect_evidence(runs[chosen], published, delta=delta, looks=looks)
    blocks = set(runs.loc[chosen, ["dataset", "pair"]].itertuples(index=False, name=None))

    def shown(dataset: str, pair: str, method: str) -> bool:
        return (dataset, pair) in blocks and selection.shows(method)

    cells = [cell for cell in whole.cells if shown(*cell.place)]
    evidence = replace(
        whole,
        cells=[_displayed(cell, metric) for cell in cells],
        run_gains=_displayed_runs(whole.run_gains, shown, metric),
        gains={place: gain for place, gain in whole.gains.items() if shown(*place)},
        over_alone=[each for each in part.over_alone if selection.shows(each.method)],
        between=[each for each in part.between if selection.shows(each.method) and selection.shows(each.over)],
        at_equal_budget={place: gain for place, gain in whole.at_equal_budget.items() if shown(*place)},
        mean_at_equal_budget=[each for each in part.mean_at_equal_budget if selection.shows(each.method)],
        best={place for place in whole.best if shown(*place)},
        highest={place for place in whole.highest if shown(*place)},
        ranking=ranking(candidates(cells, runs)),
        spread=part.spread,
        several_options=[method for method in part.several_options if selection.shows(method)],
        matches=[each for each in whole.matches if shown(*each.cell.place)],
        metric=metric,
        remark=_remark(whole, cells),
    )
    return runs[chosen & runs.method.map(selection.shows)], evidence


def _known(kind: str, chosen: Names, valid: Iterable[str]) -> None:
    names = set(valid)
    for name in chosen or ():
        if name not in names:
            raise unknown(kind, name, names)


def _displayed_runs(gains: pd.DataFrame, shown: Callable[[str, str, str], bool], metric: Metric) -> pd.DataFrame:
    keys = zip(gains.dataset, gains.pair, gains.method, strict=True)
    kept = gains.loc[np.array([shown(*key) for key in keys], dtype=bool)]
    return kept.assign(top1_percent=metric.sign * kept.top1_percent)


def _displayed(cell: Cell, metric: Metric) -> Cell:
    """With its mean as it is read; statistics turn what is better low."""
    return cell if cell.top1_percent is None else replace(cell, top1_percent=metric.sign * cell.top1_percent)


def _remark(whole: Evidence, shown: Sequence[Cell]) -> str:
    """How much of all is shown; empty where it is all."""
    parts = []
    students = [[cell for cell in cells if cell.method != TEACHER] for cells in (whole.cells, shown)]
    for noun, of in (("method", attrgetter("method")), ("pair", attrgetter("block"))):
        every, some = (set(map(of, cells)) for cells in students)
        parts += [f"{len(some)} of {count(len(every), noun)}"] if len(some) < len(every) else []
    return f"Shown: {' and '.join(parts)}; tests are corrected for all" if parts else ""
