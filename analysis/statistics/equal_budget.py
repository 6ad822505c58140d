"""What methods gain over the student alone when both train for the same FLOPs.

A grid's control `matched` trains the student alone for as long as a method's training takes, the teacher's forward and
phases included, in whole epochs. Which of a pair's matches is a method's own is read off the costs in the records, not
off names: runs that two methods have in common go by the name of the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from analysis.statistics.basic import corrected
from analysis.statistics.gains import (
    CellGain,
    Comparison,
    PairRuns,
    Pooled,
    cell_gain,
    comparable,
    compare_all,
)
from analysis.style import CONTROL, MATCHED, base_method, listing_order

HALF_AN_EPOCH = 0.501
"""How far, in epochs of the student alone, budgets may be apart: whole epochs come as near as half of one."""


def cell_gains(pairs: Sequence[PairRuns], delta: float, looks: int) -> list[CellGain]:
    """Of every method that has its match on a pair, tested together."""
    found = []
    for pair in pairs:
        for method, match in matches(pair).items():
            found.append(replace(cell_gain(_beside(pair, method, match), method, MATCHED, delta), over=match))
    return corrected(found, looks)


def method_gains(pairs: Sequence[PairRuns], delta: float, looks: int) -> list[Comparison]:
    """Of every method over all pairs where it has its match, one family of tests, in listing order."""
    beside: dict[str, list[PairRuns]] = {}
    for pair in pairs:
        for method, match in matches(pair).items():
            beside.setdefault(method, []).append(_beside(pair, method, match))
    return compare_all({(name, MATCHED): beside[name] for name in sorted(beside, key=listing_order)}, delta, looks)


def matches(pair: PairRuns) -> Mapping[str, str]:
    """By method, the student alone that trained for as many FLOPs; empty for a pair without such a control. Where a
    method costs no more than the student alone does, that is its match."""
    alone = [name for name in pair.cells if name == CONTROL or name.startswith(MATCHED)]
    if not any(name.startswith(MATCHED) for name in alone):
        return {}
    found = {}
    for method, cell in pair.cells.items():
        budget = _flops(cell)
        rivals = {name: pair.cells[name] for name in alone if comparable(cell, pair.cells[name])}
        near = {name: apart for name, each in rivals.items() if (apart := _epochs_apart(budget, each)) is not None}
        best = min(near, key=lambda name: near[name], default=None)
        if best is not None and near[best] <= HALF_AN_EPOCH and base_method(method) != CONTROL:
            found[method] = best
    return found


def _beside(pair: PairRuns, method: str, match: str) -> PairRuns:
    """A method and its match alone, with what all of the pair's cells know of their variance."""
    return replace(pair, cells={method: pair.cells[method], MATCHED: pair.cells[match]})


def _flops(cell: Pooled) -> float | None:
    """Of training, mean over runs."""
    known = [float(row["training_flops"]) for row in cell.rows if row.get("training_flops")]
    return fmean(known) if known else None


def _epochs_apart(budget: float | None, alone: Pooled) -> float | None:
    """How many epochs of the student alone lie between a budget and its own; None where one of them is not known."""
    own = _flops(alone)
    return abs(budget - own) / (own / float(alone.rows[0]["epochs"])) if budget and own else None
