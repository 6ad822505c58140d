"""Whether a student is near to the teacher that it learnt from, or to any network like it: beside teachers of other
seeds, of the same architecture, recipe and data, which it never saw. `docs/metrics.md` has the formulas.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.runs.alike import CELL, Row, grouped
from analysis.runs.banks import Banks
from analysis.statistics.basic import ALPHA, ROUNDING, corrected, ends
from analysis.statistics.moderated import Estimate
from analysis.statistics.places import OfPlace
from analysis.style import BETTER, WORSE, listing_order
from benchmark.ground.errors import UsageError
from benchmark.metrics import METRICS
from benchmark.records.predictions import Predictions

MEASURES = ("kl_teacher", "cosine_pearson", "distance_pearson")
"""Of `benchmark.metrics`, times 100 here: one of answers, two of geometry. Shares of images tell less."""

STRANGERS = 4
"""Beside how many a student is held: all, below six seeds; of more seeds the next ones, so that the time taken does not
grow with their square."""

Values = Mapping[tuple[str, str], float]
"""Of a measure, by run and teacher."""


@dataclass(frozen=True)
class Nearness(OfPlace):
    """One of MEASURES of a cell, mean over its `n` students: beside their `own` teachers, and by how much that is more
    than beside strangers, tested."""

    dataset: str
    pair: str
    method: str
    measure: str
    n: int
    own: float
    more: Estimate
    p_holm: float | None = None

    @property
    def p(self) -> float | None:
        return self.more.p

    @property
    def strangers(self) -> float:
        """What they come to beside strangers."""
        return self.own - self.more.value

    @property
    def mark(self) -> str:
        if self.p_holm is None or self.p_holm >= ALPHA:
            return ""
        nearer = (self.more.value > 0) == (METRICS[self.measure].better == "higher")
        return BETTER if nearer else WORSE

    def row(self) -> dict[str, object]:
        """Of CSV files."""
        return {
            "dataset": self.dataset,
            "pair": self.pair,
            "method": self.method,
            "measure": self.measure,
            "n": self.n,
            "own": self.own,
            "strangers": self.strangers,
            "own_less_strangers": self.more.value,
            **ends(self.more.interval(), "less_"),
            "p": self.p,
            "p_holm": self.p_holm,
        }


def strangers(rows: Sequence[Row], banks: Banks) -> list[Nearness]:
    """Every measure of every cell whose runs had teachers of several seeds and kept predictions, as they did; in
    listing order, tested together by measure."""
    found = [each for members in grouped(rows, *CELL) for each in _of_cell(members, banks)]
    families = [corrected([each for each in found if each.measure == measure]) for measure in MEASURES]
    every = [each for family in families for each in family]
    return sorted(every, key=lambda each: (each.block, listing_order(each.method)))


def more_beside_own(values: Values, own: Mapping[str, str]) -> Estimate | None:
    """By how much a measure is more where a run meets its own teacher, `own`. Runs and teachers are crossed: some
    students are nearer to all teachers and some teachers to all students, which two-way analysis of variance takes out
    (least squares of value = run + teacher + own). None where that leaves nothing to know the error from."""
    runs, teachers = (sorted(set(names)) for names in zip(*values, strict=True))
    design = np.array(
        [
            [*(run == other for other in runs), *(teacher == other for other in teachers), own[run] == teacher]
            for run, teacher in values
        ],
        float,
    )
    y = np.array([*values.values()])
    rank = int(np.linalg.matrix_rank(design))
    freedom = len(y) - rank
    if rank == np.linalg.matrix_rank(design[:, :-1]) or freedom < 1:
        return None
    solver = np.linalg.pinv(design)
    left = float(np.linalg.norm(y - design @ (solver @ y)))
    variance = left**2 / freedom if left > ROUNDING * np.linalg.norm(y) else 0.0
    return Estimate(float(solver[-1] @ y), variance * float(solver[-1] @ solver[-1]), freedom)


def _of_cell(rows: Sequence[Row], banks: Banks) -> Iterable[Nearness]:
    students: dict[str, Predictions] = {}
    teachers: dict[str, Predictions] = {}
    own: dict[str, str] = {}
    for row in rows:
        run, teacher = row["run_id"], row["teacher_weights_sha256"] or row["teacher_id"]
        try:
            students[run], teachers[teacher] = banks.of(run), banks.of_teacher(run)
            students[run].given(teachers[teacher])
        except UsageError:
            continue  # fidelity, which needs the same predictions, has a note on it
        own[run] = teacher
    dataset, pair, method = (rows[0][name] for name in CELL)
    for measure, found in _values(students, teachers, own).items():
        beside = [value for (run, teacher), value in found.items() if own[run] == teacher]
        if more := more_beside_own(found, own):
            yield Nearness(dataset, pair, method, measure, len(beside), float(np.mean(beside)), more)


def _values(
    students: Mapping[str, Predictions], teachers: Mapping[str, Predictions], own: Mapping[str, str]
) -> dict[str, dict[tuple[str, str], float]]:
    """By measure, of runs beside their own teachers and strangers. Teachers are told by their weights: those of two
    seeds are one if neither was trained."""
    names = [*dict.fromkeys(own.values())]
    found: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for run, first in own.items() if len(names) > 1 else ():
        at = names.index(first)
        for teacher in [*names[at:], *names[:at]][: 1 + STRANGERS]:
            given = students[run].given(teachers[teacher])
            for metric in map(METRICS.__getitem__, MEASURES):
                value = metric(given) if given.keys() >= set(metric.needs) else None
                if value is not None:
                    found[metric.name][run, teacher] = 100 * value
    return found
