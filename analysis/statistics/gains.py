"""How much methods gain over the student alone and over each other, cell by cell and over pairs, and how sure that is.

The unit of replication is a run: one seed of one method on one pair of one data set. All finished runs of a cell count,
whichever seeds the other side has. All runs of a pair share one teacher (unless seeds are paired with teachers'), so
that claims are about that teacher.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Any

import pandas as pd

from analysis.runs.alike import SETTINGS, Row, differences, grouped
from analysis.runs.load import plain
from analysis.runs.metrics import COMPARED_WITH
from analysis.statistics.basic import Interval, Sample, corrected, ends, rejects, summarise, t_interval
from analysis.statistics.moderated import Estimate, Moderation, Part, less, mean_over_pairs
from analysis.statistics.places import OfBlock, OfPlace
from analysis.style import BETTER, CONTROL, EQUIVALENT, WORSE, listing_order
from benchmark.metrics import METRICS, uncapitalised

DELTA = 0.5
"""Percentage points within which two methods are called equivalent, unless said otherwise."""

SAME = {name: SETTINGS[name] for name in ("dataset_hash", "data_sha256", "student_hash", "protocol")}
"""Settings without which a difference of two runs means nothing; recipe and teacher may differ, and are then named,
unless the metric is how alike they are to it."""

RELATIONS: Mapping[str, str] = {
    name: uncapitalised(METRICS[name].short)
    for name in ("distance_pearson", "cosine_pearson", "cka", "neighbour_overlap")
}
"""Columns that measure how much of the teacher's geometry a student has, and their names for people."""

RUN = ("dataset", "pair", "teacher", "student", "method", "seed")
"""Columns that say which run a row is of."""


@dataclass(frozen=True)
class Pooled:
    """The finished runs of a cell, made alike, and their accuracies in percent."""

    rows: Sequence[Row]
    sample: Sample

    @property
    def trainings(self) -> frozenset[str]:
        """Weights that the runs ended with, as far as they are known: who has some in common shares these runs."""
        return frozenset(row["weights_sha256"] for row in self.rows if row["weights_sha256"])


@dataclass(frozen=True)
class PairRuns(OfBlock):
    """The cells of one pair by method, in listing order, and what they lend each other."""

    dataset: str
    pair: str
    cells: Mapping[str, Pooled]
    moderation: Moderation

    @property
    def compared(self) -> list[str]:
        """Methods that may be compared with the student alone."""
        alone = self.cells.get(CONTROL)
        return [name for name, cell in self.cells.items() if alone and name != CONTROL and comparable(cell, alone)]


@dataclass(frozen=True)
class Tested:
    """A method's gain over another in percentage points, with what is known of its error (None where one side has a
    single run). `p_holm` is corrected for all that were tested with it. `differs` names what, beside the method, the
    two were not trained alike in. It is *established* where p_holm < ALPHA, else *equivalent* where it was shown to lie
    within a margin, else *open*: nothing is shown either way.
    """

    method: str
    over: str
    estimate: Estimate | None
    gain: float
    p_holm: float | None
    equivalent: bool
    differs: str

    @property
    def interval(self) -> Interval | None:
        return self.estimate.interval() if self.estimate else None

    @property
    def p(self) -> float | None:
        return self.estimate.p if self.estimate else None

    @property
    def established(self) -> bool:
        return rejects(self.p_holm)

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `equivalent`, `open`, or `untested` where no spread is known."""
        if self.established:
            return "better" if self.gain > 0 else "worse"
        return "untested" if self.p_holm is None else "equivalent" if self.equivalent else "open"

    @property
    def mark(self) -> str:
        return {"better": BETTER, "worse": WORSE, "equivalent": EQUIVALENT}.get(self.verdict, "")

    def row(self, *columns: str) -> dict[str, Any]:
        """Of a CSV file: fields by name, of intervals the ends (`low`, `elsewhere_high`); empty where it has none."""
        freedom = self.estimate.freedom if self.interval and self.estimate else None
        known = {**vars(self), "freedom": freedom, "p": self.p, "verdict": self.verdict, **ends(self.interval)}
        known |= {**ends(known.get("elsewhere"), "elsewhere_"), **ends(known.get("new_pair"), "new_pair_")}
        return {name: known.get(name, "") for name in columns}


@dataclass(frozen=True)
class CellGain(OfPlace, Tested):
    """On one pair, over the mean of `n` runs of the method and `n_over` of the other."""

    dataset: str
    pair: str
    n: int
    n_over: int


@dataclass(frozen=True)
class Comparison(Tested):
    """Over all `pairs` where both have results, each pair counting alike; the estimate is about these pairs and
    teachers. It is better on `positive` of them, by the means. `elsewhere` is an interval for the mean over pairs like
    these and `new_pair` for the gain on one more (Student's t over the pairs' means, None below three of them). `n` is
    the number of the method's runs, `tests` of the comparisons that were tested together.
    """

    pairs: int
    positive: int
    n: int
    elsewhere: Interval | None
    new_pair: Interval | None
    tests: int = 0


def by_pair(runs: pd.DataFrame) -> list[PairRuns]:
    """The pooled runs by data set and pair."""
    found = []
    for rows in grouped(plain(runs[runs.pooled]), "dataset", "pair"):
        members = sorted(grouped(rows, "method"), key=lambda own: listing_order(own[0]["method"]))
        cells = {own[0]["method"]: Pooled(own, summarise([100 * float(row["top1"]) for row in own])) for own in members}
        moderation = Moderation.fit(Part.of(cell.sample) for cell in cells.values())
        found.append(PairRuns(rows[0]["dataset"], rows[0]["pair"], cells, moderation))
    return found


def comparable(first: Pooled, second: Pooled) -> bool:
    return all(
        len({row.get(name) for row in (*first.rows, *second.rows)} - {None}) < 2 for name in (*SAME, COMPARED_WITH)
    )


def cell_gains(pairs: Iterable[PairRuns], delta: float = DELTA, looks: int = 1) -> list[CellGain]:
    """Every method's gain over the student alone on every pair, tested together."""
    return corrected([cell_gain(pair, name, CONTROL, delta) for pair in pairs for name in pair.compared], looks)


def cell_gain(pair: PairRuns, method: str, over: str, delta: float) -> CellGain:
    """One method's over another, its p not yet adjusted."""
    first, second = pair.cells[method], pair.cells[over]
    estimate = pair.moderation.difference(first.sample, second.sample)
    return CellGain(
        method=method,
        over=over,
        estimate=estimate,
        gain=less(first.sample, second.sample),
        p_holm=None,
        equivalent=estimate is not None and estimate.equivalent(delta),
        differs=differences(SETTINGS, first.rows, second.rows),
        dataset=pair.dataset,
        pair=pair.pair,
        n=first.sample.n,
        n_over=second.sample.n,
    )


def method_gains(pairs: Sequence[PairRuns], delta: float = DELTA, looks: int = 1) -> list[Comparison]:
    """Every method against the student alone over all pairs, one family of tests, in listing order."""
    return _family(pairs, [(method, CONTROL) for method in _methods(pairs)], delta, looks)


def between_methods(pairs: Sequence[PairRuns], delta: float = DELTA, looks: int = 1) -> list[Comparison]:
    """Each two methods other than the student alone, one family of tests."""
    return _family(pairs, list(combinations(_methods(pairs), 2)), delta, looks)


def _methods(pairs: Iterable[PairRuns]) -> list[str]:
    return sorted({method for pair in pairs for method in pair.cells} - {CONTROL}, key=listing_order)


def _family(pairs: Sequence[PairRuns], wanted: Sequence[tuple[str, str]], delta: float, looks: int) -> list[Comparison]:
    return compare_all(dict.fromkeys(wanted, pairs), delta, looks)


def compare_all(wanted: Mapping[tuple[str, str], Sequence[PairRuns]], delta: float, looks: int) -> list[Comparison]:
    """Each two methods over those of their pairs that have results of both, one family of tests."""
    members = {two: members for two, pairs in wanted.items() if (members := _with_both(pairs, *two))}
    compared = [_comparison(two, own, delta) for two, own in members.items()]
    tests = sum(each.p is not None for each in compared)
    return [replace(each, tests=tests) for each in corrected(compared, looks)]


def _with_both(pairs: Iterable[PairRuns], method: str, over: str) -> list[PairRuns]:
    """Pairs that both have results on. Where pairs share the training of both sides, as of longer training on labels
    alone, they are one comparison: the first stands.
    """
    found, seen = [], set()
    for pair in pairs:
        cells = [pair.cells[name] for name in (method, over) if name in pair.cells]
        if len(cells) < 2 or not comparable(*cells):
            continue
        trainings = (pair.dataset, *(cell.trainings for cell in cells))
        if not all(trainings) or trainings not in seen:
            found.append(pair)
        seen.add(trainings)
    return found


def _comparison(two: tuple[str, str], pairs: Sequence[PairRuns], delta: float) -> Comparison:
    method, over = two
    cells = [cell_gain(pair, method, over, delta) for pair in pairs]
    gains = [cell.gain for cell in cells]
    known = [cell.estimate for cell in cells if cell.estimate]
    estimate = mean_over_pairs(known, _covariances(two, pairs)) if len(known) == len(cells) else None
    return Comparison(
        method=method,
        over=over,
        estimate=estimate,
        gain=fmean(gains),
        p_holm=None,
        equivalent=estimate is not None and estimate.equivalent(delta),
        differs=" and ".join(dict.fromkeys(cell.differs for cell in cells if cell.differs)),
        pairs=len(cells),
        positive=sum(gain > 0 for gain in gains),
        n=sum(cell.n for cell in cells),
        elsewhere=t_interval(gains, least=3),
        new_pair=t_interval(gains, least=3, of_another=True),
    )


def _covariances(two: tuple[str, str], pairs: Sequence[PairRuns]) -> dict[tuple[int, int], float]:
    """Of the differences of pairs that have runs of one side in common: the student alone, as a rule, which knows
    nothing of the teacher. Both pairs estimate its variance; the larger counts.
    """
    found: dict[tuple[int, int], float] = {}
    for (i, first), (j, second) in combinations(enumerate(pairs), 2):
        if first.dataset != second.dataset:
            continue
        for method in two:
            cells = [(pair.cells[method], pair.moderation) for pair in (first, second)]
            if common := len(cells[0][0].trainings & cells[1][0].trainings):
                variance = max(moderation.variance(Part.of(cell.sample)) for cell, moderation in cells)
                share = common / (cells[0][0].sample.n * cells[1][0].sample.n)
                found[i, j] = found.get((i, j), 0.0) + share * variance
    return found


def run_gains(pairs: Iterable[PairRuns]) -> pd.DataFrame:
    """A row for each run whose cell has a gain over the student alone: which it is, its `seed`, `top1_percent`, what it
    has more than the mean of the student alone of its pair, of accuracy (`gain`, percentage points) and of each of
    RELATIONS (None where it is not known, or is to another teacher), and `differs`.
    """
    rows = []
    for pair in pairs:
        for cell, alone in ((pair.cells[name], pair.cells[CONTROL]) for name in pair.compared):
            differs = differences(SETTINGS, cell.rows, alone.rows)
            rows += [{**_run_gain(row, alone), "differs": differs} for row in cell.rows]
    columns = [*RUN, "top1_percent", "gain", *RELATIONS, "differs"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(("gain", *RELATIONS), float))


def _run_gain(row: Row, alone: Pooled) -> dict[str, Any]:
    found = {name: row[name] for name in RUN}
    top1_percent = 100 * float(row["top1"])
    found |= {"top1_percent": top1_percent, "gain": top1_percent - (alone.sample.mean or 0.0)}
    same_teacher = [other for other in alone.rows if other["teacher_hash"] == row["teacher_hash"]]
    for name in RELATIONS:
        base = [float(other[name]) for other in same_teacher if other.get(name) is not None]
        found[name] = float(row[name]) - fmean(base) if base and row.get(name) is not None else None
    return found
