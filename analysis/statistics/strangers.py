"""Whether a student is near to the teacher that it learnt from, or to any network like it: beside teachers of other
seeds, of the same architecture, recipe and data, which it never saw. `docs/metrics.md` has the formulas.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from analysis.runs.alike import Row, grouped
from analysis.runs.banks import Banks
from analysis.statistics.basic import Sample, corrected, ends, rejects, summarise
from analysis.statistics.moderated import Estimate, Moderation, Part
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
    than strangers let expect, tested."""

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
        """What is expected beside strangers."""
        return self.own - self.more.value

    @property
    def mark(self) -> str:
        if not rejects(self.p_holm):
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


def strangers(rows: Sequence[Row], banks: Banks) -> tuple[list[Nearness], list[str]]:
    """Every measure of every cell whose runs had teachers of three seeds or more and kept predictions, as these did, in
    listing order, tested together by measure; and a line for predictions that do not belong together."""
    problems: dict[str, None] = {}
    found = [each for members in grouped(rows, "dataset", "pair") for each in _of_pair(members, banks, problems)]
    families = [corrected([each for each in found if each.measure == measure]) for measure in MEASURES]
    return sorted(chain(*families), key=lambda each: (each.block, listing_order(each.method))), list(problems)


def own_and_more(values: Values, own: Mapping[str, str]) -> list[tuple[float, float]]:
    """For each run a measure beside its own teacher, `own`, and by how much that is more than expected. Some students
    are nearer to all teachers and some teachers to all students: expected is run + teacher, which least squares fit to
    pairs of strangers alone. Runs of which these do not tell that, as of any two, are left out."""
    apart = {pair: value for pair, value in values.items() if own[pair[0]] != pair[1]}
    runs, teachers = ([*dict.fromkeys(names)] for names in zip(*values, strict=True))

    def terms(run: str, teacher: str) -> list[float]:
        return [*(float(run == other) for other in runs), *(float(teacher == other) for other in teachers)]

    design = np.array([terms(*pair) for pair in apart]).reshape(len(apart), len(runs) + len(teachers))
    solver = np.linalg.pinv(design)
    fitted = solver @ np.array([*apart.values()])
    spanned = solver @ design
    found = []
    for run in runs:
        place = np.array(terms(run, own[run]))
        if (run, own[run]) in values and np.allclose(place @ spanned, place):
            value = values[run, own[run]]
            found.append((value, value - float(place @ fitted)))
    return found


def _of_pair(rows: Sequence[Row], banks: Banks, problems: dict[str, None]) -> Iterable[Nearness]:
    """With variances moderated over the pair's cells."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(dict)
    for members in grouped(rows, "method"):
        for measure, (values, own) in _crossed(members, banks, problems).items():
            if each := own_and_more(values, own):
                found[measure][members[0]["method"]] = each
    for measure, cells in found.items():
        samples: dict[str, Sample] = {name: summarise([more for _, more in each]) for name, each in cells.items()}
        moderation = Moderation.fit(Part.of(sample) for sample in samples.values())
        for method, sample in samples.items():
            if more := moderation.mean(sample):
                own_mean = float(np.mean([value for value, _ in cells[method]]))
                yield Nearness(rows[0]["dataset"], rows[0]["pair"], method, measure, sample.n, own_mean, more)


def _crossed(
    rows: Sequence[Row], banks: Banks, problems: dict[str, None]
) -> dict[str, tuple[dict[tuple[str, str], float], dict[str, str]]]:
    """Of each measure of a cell its values, and every run's own teacher."""
    students, teachers, own = _predictions(rows, banks)
    names = [*teachers]
    found: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for run, first in own.items() if len(names) > 1 else ():
        at = names.index(first)
        for teacher in [*names[at:], *names[:at]][: 1 + STRANGERS]:
            try:
                given = students[run].given(teachers[teacher])
            except UsageError as error:
                problems[f"strangers: {run} is not held against {teacher}: {error}"] = None
                continue
            for metric in map(METRICS.__getitem__, MEASURES):
                value = metric(given) if given.keys() >= set(metric.needs) else None
                if value is not None:
                    found[metric.name][run, teacher] = 100 * value
    return {measure: (values, own) for measure, values in found.items()}


def _predictions(
    rows: Sequence[Row], banks: Banks
) -> tuple[dict[str, Predictions], dict[str, Predictions], dict[str, str]]:
    """Of a cell's runs and of their teachers, and each run's own teacher, by the first id that these weights had: those
    of two seeds are one network if neither was trained. A run that is its own teacher, as a student alone of the
    teacher's architecture and seed may be, is none. What is missing or damaged has a note beside fidelity, which needs
    it as well."""
    weights = {row["teacher_id"]: row["teacher_weights_sha256"] for row in rows if row["teacher_weights_sha256"]}
    first: dict[str, str] = {}
    students: dict[str, Predictions] = {}
    teachers: dict[str, Predictions] = {}
    own: dict[str, str] = {}
    for row in (row for row in rows if row["teacher_id"]):
        run, teacher_id = str(row["run_id"]), str(row["teacher_id"])
        held = weights.get(teacher_id, teacher_id)
        if row["weights_sha256"] == held:
            continue
        try:
            student, teacher = banks.of(run), banks.of_teacher(run)
        except UsageError:
            continue
        own[run] = first.setdefault(held, teacher_id)
        students[run] = student
        teachers.setdefault(own[run], teacher)
    return students, teachers, own
