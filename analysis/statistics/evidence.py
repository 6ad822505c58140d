"""Everything the tables, the figures, the summary and the paper say, worked out once from the runs."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from statistics import fmean

import pandas as pd

from analysis.runs.alike import Row
from analysis.runs.metrics import TOP1, Metric
from analysis.statistics import equal_budget, moderated
from analysis.statistics.basic import Sample
from analysis.statistics.cells import Cell, pair_title, pool, with_several_options
from analysis.statistics.components import Components, components
from analysis.statistics.gains import (
    DELTA,
    CellGain,
    Comparison,
    PairRuns,
    between_methods,
    by_pair,
    cell_gains,
    method_gains,
    run_gains,
)
from analysis.statistics.moderated import Estimate, Moderation, best_set
from analysis.statistics.places import Block, Place
from analysis.statistics.published import Key, Match, Published, compare
from analysis.statistics.ranks import Ranking, candidates, ranking
from analysis.style import CONTROL, TEACHER, enumerated


@dataclass(frozen=True)
class Evidence:
    """`cells` in listing order by data set and pair; `samples` the accuracies of those with results, teachers apart,
    each with what its pair knows of their variance; `trainings` the weights that their runs ended with, which cells of
    several pairs may have in common; `run_gains` a frame of runs; `gains` each cell's gain over the student alone;
    `over_alone` each method against it over all pairs; `between` each two other methods; `best` the cells that are not
    told apart from the best of their pair; `highest` those of the highest mean, as printed; `spread` how far gains
    differ between methods and pairs; `several_options` methods that have not the same ones on all pairs; `matches`
    published numbers beside these. `delta` is the margin of equivalence in percentage points; tests share ALPHA among
    so many `looks`. `tested` cells were tested together, of which a selection may show fewer, as `remark` then says;
    `single_teachers` are the pairs with one teacher for all seeds. `at_equal_budget` and `mean_at_equal_budget` are
    gains over the student alone that trained for as many FLOPs as the method, of cells and over pairs, where a grid has
    that control. Where the `metric` is better low, everything but the cells' means has its sign turned: gains are what
    is better.
    """

    cells: Sequence[Cell]
    samples: Mapping[Place, tuple[Sample, Moderation]]
    trainings: Mapping[Place, Set[str]]
    run_gains: pd.DataFrame
    gains: Mapping[Place, CellGain]
    over_alone: Sequence[Comparison]
    between: Sequence[Comparison]
    best: Set[Place]
    highest: Set[Place]
    ranking: Ranking | None
    spread: Components | None
    several_options: Sequence[str]
    matches: Sequence[Match]
    devices: Sequence[str]
    delta: float = DELTA
    looks: int = 1
    tested: int = 0
    metric: Metric = TOP1
    remark: str = ""
    single_teachers: Set[Block] = frozenset()
    at_equal_budget: Mapping[Place, CellGain] = field(default_factory=dict)
    mean_at_equal_budget: Sequence[Comparison] = ()

    @property
    def students(self) -> Sequence[Cell]:
        """All cells but teachers'."""
        return [cell for cell in self.cells if cell.method != TEACHER]

    @property
    def one_teacher(self) -> str:
        """What to say of pairs that had one teacher for all seeds; empty without them."""
        titles = {cell.block: pair_title(cell) for cell in self.cells}
        named = [title for block, title in titles.items() if block in self.single_teachers]
        where = f"on {enumerated(named)}" if 0 < len(named) < len(titles) else "per pair"
        return f"One teacher run {where}: intervals do not include variation between teachers" if named else ""

    @property
    def otherwise(self) -> Set[str]:
        """Methods that do not compete with the student alone of some pair (`runs.alike.competes`)."""
        return {cell.method for cell in self.cells if not cell.competes}

    @property
    def without_gain(self) -> Sequence[Cell]:
        """Cells with results beside the student alone's that cannot be compared with it: where the metric is agreement
        with the teacher, and theirs is another."""
        beside = [cell for cell in self.cells if {cell.place, (*cell.block, CONTROL)} <= self.samples.keys()]
        return [cell for cell in beside if cell.method != CONTROL and cell.place not in self.gains]

    def accuracy(self, place: Place) -> Estimate | None:
        """A cell's mean in percent, with the moderated variance of its error; None for one run and for teachers."""
        if place not in self.samples:
            return None
        sample, moderation = self.samples[place]
        return moderation.mean(sample)

    def on_front(self, places: Sequence[Place], costs: Sequence[float]) -> list[float]:
        """How probable it is for each of these cells that none of its cost or less (within 2 %) is more accurate."""
        samples = [self.samples[place] for place in places]
        return moderated.on_front(samples, costs, [self.trainings.get(place) or place for place in places])


def collect_evidence(
    runs: pd.DataFrame,
    published: Mapping[Key, list[Published]] | None = None,
    *,
    delta: float = DELTA,
    looks: int = 1,
) -> Evidence:
    """Pool, test and rank the runs of `runs.load`."""
    cells, pairs = pool(runs), by_pair(runs)
    gains = {gain.place: gain for gain in cell_gains(pairs, delta, looks)}
    ranked = candidates(cells, runs)
    best, highest = _best(pairs, ranked)
    return Evidence(
        cells=cells,
        samples={
            (*pair.block, method): (cell.sample, pair.moderation)
            for pair in pairs
            for method, cell in pair.cells.items()
        },
        trainings={(*pair.block, method): cell.trainings for pair in pairs for method, cell in pair.cells.items()},
        run_gains=run_gains(pairs),
        gains=gains,
        over_alone=method_gains(pairs, delta, looks),
        between=between_methods(pairs, delta, looks),
        best=best,
        highest=highest,
        ranking=ranking(ranked),
        spread=_spread(pairs, gains),
        several_options=with_several_options(runs),
        matches=compare(cells, published or {}, pairs, {place: each.gain for place, each in gains.items()}),
        devices=sorted(set(runs.device.dropna())),
        delta=delta,
        looks=looks,
        single_teachers=_single_teachers(pairs),
        tested=sum(gain.p_holm is not None for gain in gains.values()),
        at_equal_budget={gain.place: gain for gain in equal_budget.cell_gains(pairs, delta, looks)},
        mean_at_equal_budget=equal_budget.method_gains(pairs, delta, looks),
    )


def _single_teachers(pairs: Sequence[PairRuns]) -> set[Block]:
    """Pairs whose runs all had the same teacher."""
    taught = {pair.block: {row["teacher_weights_sha256"] or row["teacher_id"] for row in _own(pair)} for pair in pairs}
    return {block for block, teachers in taught.items() if len(teachers) == 1}


def _own(pair: PairRuns) -> Sequence[Row]:
    """The runs that are under the pair's own teacher: those of the student alone, or all where it has none."""
    alone = pair.cells.get(CONTROL)
    return alone.rows if alone else [row for cell in pair.cells.values() for row in cell.rows]


def _best(pairs: Sequence[PairRuns], ranked: Sequence[Cell]) -> tuple[set[Place], set[Place]]:
    """Of each pair with two methods or more: those that are not told apart from the best, and those that print the
    highest mean.
    """
    best, highest = set[Place](), set[Place]()
    for pair in pairs:
        methods = [cell.method for cell in ranked if cell.block == pair.block]
        samples = {method: pair.cells[method].sample for method in methods}
        printed = {method: f"{sample.mean:.2f}" for method, sample in samples.items()}
        top = max(printed.values(), key=float, default="")
        tops = [method for method, text in printed.items() if text == top and len(set(printed.values())) > 1]
        best |= {(*pair.block, method) for method in best_set(samples, pair.moderation)}
        highest |= {(*pair.block, method) for method in tops}
    return best, highest


def _spread(pairs: Sequence[PairRuns], gains: Mapping[Place, CellGain]) -> Components | None:
    """Of the methods that were trained as the student alone."""
    table: dict[Block, dict[str, float]] = {}
    noise = []
    for pair in pairs:
        for method, cell in pair.cells.items():
            gain, mean = gains.get((*pair.block, method)), pair.moderation.mean(cell.sample)
            if gain and mean and not gain.differs:
                table.setdefault(pair.block, {})[method] = gain.gain
                noise.append(mean.variance)
    return components(table, fmean(noise)) if noise else None
