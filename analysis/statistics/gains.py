"""Gains over the student alone, paired run by run, and how sure they are.

The unit of replication is a run: one seed of one method on one pair of one data set. A run is compared with the
student alone of the same data set, pair and seed, which saw the same batches from the same initial weights. All runs
of a pair share one teacher (unless seeds are paired with teachers'), so that claims are about that teacher.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

import pandas as pd

from analysis.runs.alike import CELL, SETTINGS, differences, grouped
from analysis.runs.load import plain
from analysis.statistics.paired import (
    ALPHA,
    Interval,
    bootstrap_interval,
    effect_size,
    estimate,
    holm,
    interquartile_mean,
    mean_interval,
    paired_t,
    share_interval,
    sign_flip,
    smallest_p,
    summarise,
    t_interval,
)
from analysis.statistics.ranks import Ranking, rank
from analysis.style import CONTROL, listing_order

BLOCK = ["dataset", "pair"]
CAME_TO_NOTHING = ("diverged", "not_applicable")
SAME = ("dataset_hash", "data_sha256", "student_hash", "protocol")
"""Settings without which a difference of two runs means nothing; recipe and teacher may differ, and are then named."""


@dataclass(frozen=True)
class CellGain:
    """A method's gain on one pair, in percentage points over its `n` paired seeds.

    `interval` is Student's t over seeds, `p` the paired t-test's, `p_holm` corrected for every cell tested; `effect` is
    Hedges' g of the paired differences. `differs` names what, beside the method, the two were not trained alike in.
    """

    dataset: str
    pair: str
    method: str
    n: int
    gain: float
    std: float | None
    interval: Interval | None
    effect: float | None
    p: float | None
    p_holm: float | None
    differs: str

    @property
    def established(self) -> bool:
        return self.p_holm is not None and self.p_holm < ALPHA


@dataclass(frozen=True)
class Comparison:
    """A method against another, over all pairs where both have results; gains in percentage points, each pair counting
    alike.

    `interval` (over seeds within pairs) is about these pairs; `elsewhere` (Student's t over the pairs' means)
    about pairs like them. `iqm` is the interquartile mean of all paired gains, `improvement` the share of paired runs
    that the method wins (a tie is half a win), `effect` is Hedges' g. `p` is the sign-flip test's over all paired
    runs, `p_holm` corrected for all comparisons of its family (`tests` of them), `smallest` the least `p_holm` that so
    few runs allow. Of the `n` paired runs, those that share a training are one of the `independent` observations, for
    tests and intervals alike.
    """

    method: str
    over: str
    pairs: int
    n: int
    independent: int
    gain: float
    interval: Interval | None
    elsewhere: Interval | None
    iqm: float
    iqm_interval: Interval | None
    improvement: float
    improvement_interval: Interval | None
    effect: float | None
    p: float
    p_holm: float
    smallest: float
    tests: int
    differs: str

    @property
    def established(self) -> bool:
        return self.p_holm < ALPHA


def paired_gains(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each pooled run that has a student alone of the same seed: the cell's key, `seed`, `top1_percent`,
    `over_percent`, `gain` in percentage points, and `differs`.
    """
    done = runs[runs.pooled]
    return _paired(done, done[done.method == CONTROL])


COMPARED = [*CELL, "seed", "top1", "weights_sha256", *SETTINGS, "teacher_seed", "teacher_id", "teacher_weights_sha256"]
"""Columns of runs that a comparison of two needs: joining all of them takes several times as long."""

TRAININGS = ["weights_sha256", "weights_sha256_over"]
"""Which two trainings a row compares."""


def _paired(done: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Every two runs of different methods, one of each, that share data set, pair and seed."""
    named = done[[*COMPARED, "teacher", "student"]]
    both = named.merge(others[COMPARED], on=[*BLOCK, "seed"], suffixes=("", "_over"))
    same = pd.DataFrame({name: both[name] == both[f"{name}_over"] for name in (*SAME, "method")})
    both = both[same[list(SAME)].all(axis=1) & ~same.method].copy()
    both["gain"] = 100 * (both.top1.astype(float) - both.top1_over.astype(float))
    both["top1_percent"], both["over_percent"] = 100 * both.top1, 100 * both.top1_over
    both = both.rename(columns={"method_over": "over"})
    both["differs"] = _named_differences(both, done)
    both["place"] = both.method.map({name: listing_order(name) for name in set(both.method)})
    both = both.sort_values([*BLOCK, "place", "over", "seed"], ignore_index=True)
    columns = [*CELL, "over", "teacher", "student", "seed", "top1_percent", "over_percent", "gain", "differs"]
    return both[[*columns, *TRAININGS]]


def _named_differences(both: pd.DataFrame, done: pd.DataFrame) -> list[str]:
    """For each row, what the runs of its two cells were not trained alike in."""
    cells = {tuple(rows[0][name] for name in CELL): rows for rows in grouped(plain(done[COMPARED]), *CELL)}
    keys = list(both[[*CELL, "over"]].itertuples(index=False, name=None))
    texts = {key: differences(SETTINGS, cells[key[:3]], cells[*key[:2], key[3]]) for key in set(keys)}
    return [texts[key] for key in keys]


def cell_gains(gains: pd.DataFrame) -> list[CellGain]:
    """Every cell of `paired_gains`, tested together."""
    groups = [rows for _, rows in gains.groupby(CELL, sort=False)]
    values = [[float(gain) for gain in rows.gain] for rows in groups]
    tests = [paired_t(each) for each in values]
    return [
        CellGain(
            dataset=str(rows.dataset.iloc[0]),
            pair=str(rows.pair.iloc[0]),
            method=str(rows.method.iloc[0]),
            n=len(each),
            gain=summarise(each).mean or 0.0,
            std=summarise(each).std,
            interval=t_interval(each),
            effect=effect_size([each]),
            p=p,
            p_holm=adjusted,
            differs=str(rows.differs.iloc[0]),
        )
        for rows, each, p, adjusted in zip(groups, values, tests, holm(tests), strict=True)
    ]


def method_gains(gains: pd.DataFrame) -> list[Comparison]:
    """Every method of `paired_gains` against what it is compared with, one family of tests, in listing order."""
    return _family(gains)


def between_methods(runs: pd.DataFrame) -> list[Comparison]:
    """Each two methods other than the student alone, one family of tests."""
    done = runs[runs.pooled & (runs.method != CONTROL)]
    place = {method: listing_order(method) for method in set(done.method)}
    both = _paired(done, done)
    return _family(both[both.method.map(place) < both.over.map(place)])


def _family(gains: pd.DataFrame) -> list[Comparison]:
    """A comparison for each two methods of `_paired` rows, all tested together, in listing order.

    Pairs with one student share what does not read the teacher. Where that is both sides of a difference, it counts
    once, for the first of them; where it is one, the student alone as a rule, differences are one observation.
    """
    if gains.empty:
        return []
    two = ["method", "over"]
    known = gains[TRAININGS].notna().all(axis=1)
    gains = gains[~(known & gains.duplicated(["dataset", "seed", *two, *TRAININGS]))]
    gains = gains.assign(unit=_observations(gains))
    found = gains.groupby([*two, *BLOCK], sort=False)[["gain", "unit"]].agg(list).groupby(level=two).agg(list)
    differs = gains.groupby(two).differs.unique()
    order = sorted(found.index, key=lambda names: tuple(map(listing_order, names)))
    samples = [(found.gain[names], found.unit[names]) for names in order]
    tests = [sign_flip(cells, units) for cells, units in samples]
    return [
        _comparison(names, *sample, differs[names], _known(p), _known(adjusted), len(tests))
        for names, sample, p, adjusted in zip(order, samples, tests, holm(tests), strict=True)
    ]


def _known(p: float | None) -> float:
    """A p; one that cannot be told speaks for nothing."""
    return 1.0 if p is None else p


def _observations(gains: pd.DataFrame) -> "pd.Series[int]":
    """For each row, which observation it belongs to: rows of one seed that have a training in common are one."""
    shared = pd.Series(range(len(gains)), index=gains.index)
    for training in TRAININGS:
        keys = ["dataset", "seed", "method", "over", training]
        again = gains[training].notna() & gains.duplicated(keys, keep=False)
        shared[again] = shared[again].groupby([gains.loc[again, key] for key in keys]).transform("min")
    return shared


def _comparison(
    names: tuple[str, str],
    cells: list[list[float]],
    units: list[list[Hashable]],
    differs: Iterable[str],
    p: float,
    p_holm: float,
    tests: int,
) -> Comparison:
    method, over = names
    independent = len({unit for own in units for unit in own})
    gains = [gain for cell in cells for gain in cell]
    n, wins = len(gains), sum((gain > 0) + 0.5 * (gain == 0) for gain in gains)
    return Comparison(
        method=method,
        over=over,
        pairs=len(cells),
        n=n,
        independent=independent,
        gain=fmean(fmean(cell) for cell in cells),
        interval=mean_interval(cells, units),
        elsewhere=t_interval([fmean(cell) for cell in cells]),
        iqm=estimate(cells, interquartile_mean),
        iqm_interval=bootstrap_interval(cells, interquartile_mean, units),
        improvement=wins / n,
        improvement_interval=share_interval(wins * independent / n, independent),
        effect=effect_size(cells),
        p=p,
        p_holm=p_holm,
        smallest=min(1.0, tests * smallest_p(independent)),
        tests=tests,
        differs=" and ".join(filter(None, differs)),
    )


def ranking(runs: pd.DataFrame, gains: pd.DataFrame) -> Ranking | None:
    """Methods ranked by their mean accuracy on each pair of each data set. Cells whose runs must not be pooled, those
    trained otherwise than the student alone, and those of which a run came to nothing are no candidates: the mean over
    the seeds that did not diverge is not the method's. `gains` are the `paired_gains` of the runs.
    """
    out = pd.concat([gains.loc[gains.differs != "", CELL], runs.loc[runs.status.isin(CAME_TO_NOTHING), CELL]])
    apart = set(out.itertuples(index=False, name=None))
    means = runs[runs.pooled].groupby(CELL, as_index=False).top1.mean()
    rows = [(str(d), str(p), str(m), float(top1)) for d, p, m, top1 in means.itertuples(index=False, name=None)]
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for dataset, pair, method, top1 in sorted(rows, key=lambda row: (row[:2], listing_order(row[2]))):
        if (dataset, pair, method) not in apart:
            scores.setdefault((dataset, pair), {})[method] = top1
    return rank(scores)


RELATIONS: Mapping[str, str] = {
    "distance_pearson": "distances",
    "cosine_pearson": "cosines",
    "cka": "CKA",
    "neighbour_overlap": "neighbours",
}
"""Columns that measure how much of the teacher's geometry a student has, and their names for people."""


def relation_gains(runs: pd.DataFrame, gains: pd.DataFrame) -> pd.DataFrame:
    """The runs' `paired_gains` with four columns more: how much more of each relation than the student alone a run
    has.
    """
    done = runs.loc[runs.status == "done", [*CELL, "seed", *RELATIONS]].astype(dict.fromkeys(RELATIONS, float))
    own = gains.merge(done, on=[*CELL, "seed"])
    base = done[done.method == CONTROL].drop(columns="method")
    both = own.merge(base, on=[*BLOCK, "seed"], suffixes=("", "_over"))
    for name in RELATIONS:
        both[name] -= both.pop(f"{name}_over")
    return both
