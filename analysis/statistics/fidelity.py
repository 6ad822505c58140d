"""Whether a student answers as its teacher does for more reasons than being as right: against students of the same
accuracy that learnt from labels alone, and so know nothing of the teacher. `docs/metrics.md` has the formulas.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from analysis.runs.alike import SETTINGS, Row, differences, grouped
from analysis.statistics.answers import Answers, Key, held_against, key
from analysis.statistics.basic import Sample, corrected, ends, rejects, summarise
from analysis.statistics.moderated import Estimate, Moderation, Part, less
from analysis.statistics.places import OfPlace
from analysis.style import BETTER, CONTROL, WORSE, listing_order
from benchmark.metrics import Array

MEASURES = ("agreement_right", "agreement_wrong", "second_choice")
"""Of `benchmark.metrics`, in percent here."""

FAR = 1.0
"""Percentage points of accuracy by which students alone may be moved for a verdict. Students that learnt from labels
alone, but from more images, have an excess themselves, which grows with what they are better by: the errors that stay
are those that all networks make."""


@dataclass(frozen=True)
class Crossed:
    """Test images by whether the teacher is wrong (rows) and the student is (columns): `share` of all of them [2, 2],
    and in which share of each the student `agreed` with the teacher, or took its `second` choice; 0 where there are
    none."""

    share: Array
    agreed: Array
    second: Array

    @classmethod
    def of(cls, answers: Answers) -> "Crossed":
        cell = 2 * ~answers.teacher_right + ~answers.right
        counts, agreed, second = (
            np.bincount(cell, each, 4).reshape(2, 2) for each in (np.ones(len(cell)), answers.agreed, answers.second)
        )
        return cls(counts / len(cell), *(each / np.maximum(counts, 1) for each in (agreed, second)))

    @property
    def accuracy(self) -> float:
        return float(self.share[:, 0].sum())

    def at(self, accuracy: float) -> "Crossed | None":
        """What a student of another accuracy would show that is as independent of the teacher: the log odds of being
        right change by the same where the teacher is right and where it is wrong; within a cell nothing changes. None
        for an accuracy that no change of the odds leads to.
        """
        rows = self.share.sum(1)
        odds = logit(self.share[:, 0] / np.where(rows, rows, 1))

        def gap(change: float) -> float:
            return float(rows @ expit(odds + change)) - accuracy

        if not gap(-50) <= 0 <= gap(50):
            return None
        right = rows * expit(odds + (brentq(gap, -50, 50) if gap(-50) < gap(50) else 0.0))
        return replace(self, share=np.stack([right, rows - right], 1))

    def measures(self) -> dict[str, float | None]:
        """MEASURES in percent, None where there is no image to measure them on."""
        agreed = self.share * self.agreed
        apart = (self.share - agreed).sum()
        parts = {
            "agreement_right": (agreed[0].sum(), self.share[0].sum()),
            "agreement_wrong": (agreed[1].sum(), self.share[1].sum()),
            "second_choice": ((self.share * self.second).sum(), apart),
        }
        return {name: 100 * float(part / whole) if whole > 0 else None for name, (part, whole) in parts.items()}


@dataclass(frozen=True)
class Fidelity(OfPlace):
    """One of MEASURES of a cell, over its runs; what its pair's students alone would show at its mean accuracy, over
    theirs (None without any, and for themselves); and by how much it is above that, in percentage points, tested.
    `moved` is by how many points of accuracy the students alone were moved for that: beyond FAR nothing is tested.
    `differs` names what, beside the method, the two were not trained alike in."""

    dataset: str
    pair: str
    method: str
    measure: str
    observed: Sample
    expected: Sample | None = None
    excess: float | None = None
    estimate: Estimate | None = None
    moved: float | None = None
    p_holm: float | None = None
    differs: str = ""

    @property
    def p(self) -> float | None:
        near = self.moved is not None and abs(self.moved) <= FAR
        return self.estimate.p if self.estimate and near else None

    @property
    def mark(self) -> str:
        if not rejects(self.p_holm):
            return ""
        return BETTER if (self.excess or 0.0) > 0 else WORSE

    def row(self) -> dict[str, object]:
        """Of CSV files."""
        return {
            "dataset": self.dataset,
            "pair": self.pair,
            "method": self.method,
            "measure": self.measure,
            "n": self.observed.n,
            "percent": self.observed.mean,
            "std_percent": self.observed.std,
            "n_alone": self.expected.n if self.expected else None,
            "expected_percent": self.expected.mean if self.expected else None,
            "excess_points": self.excess,
            **ends(self.estimate.interval() if self.estimate else None, "excess_"),
            "moved_points": self.moved,
            "p": self.p,
            "p_holm": self.p_holm,
            "differs": self.differs,
        }


def fidelity(rows: Sequence[Row], answers: Mapping[Key, Answers]) -> list[Fidelity]:
    """Every measure of every cell, in listing order, tested together by measure; answers by data set, pair, run id."""
    found = [each for members in grouped(rows, "dataset", "pair") for each in _of_pair(members, answers)]
    families = [corrected([each for each in found if each.measure == measure]) for measure in MEASURES]
    return sorted(chain(*families), key=lambda each: (each.block, listing_order(each.method)))


def _of_pair(rows: Sequence[Row], answers: Mapping[Key, Answers]) -> Iterable[Fidelity]:
    members = {own[0]["method"]: own for own in grouped([row for row in rows if key(row) in answers], "method")}
    crossed = {method: [Crossed.of(answers[key(row)]) for row in runs] for method, runs in members.items()}
    samples = {(method, name): _sample(runs, name) for method, runs in crossed.items() for name in MEASURES}
    fits = {
        name: Moderation.fit(Part.of(samples[method, name]) for method in crossed if samples[method, name].n)
        for name in MEASURES
    }
    place = rows[0]["dataset"], rows[0]["pair"]
    for method, runs in members.items():
        alone = _alone(rows, runs, answers) if method != CONTROL else []
        accuracy = float(np.mean([each.accuracy for each in crossed[method]]))
        moved = [other for _, each in alone if (other := each.at(accuracy))]
        for name in MEASURES:
            observed, expected = samples[method, name], _sample(moved, name)
            if observed.mean is None:
                continue
            cell = Fidelity(*place, method, name, observed)
            if expected.mean is not None:
                cell = replace(
                    cell,
                    expected=expected,
                    excess=less(observed, expected),
                    estimate=fits[name].difference(observed, expected),
                    moved=100 * (accuracy - float(np.mean([each.accuracy for _, each in alone]))),
                    differs=differences(SETTINGS, runs, [row for row, _ in alone]),
                )
            yield cell


def _alone(rows: Iterable[Row], runs: Sequence[Row], answers: Mapping[Key, Answers]) -> list[tuple[Row, Crossed]]:
    """The students alone of a pair beside the teacher of a method's runs, which a control may have another of."""
    beside = [(row, held_against(row, runs)) for row in rows if row["method"] == CONTROL]
    return [(row, Crossed.of(answers[own])) for row, held in beside if held and (own := key(row, held)) in answers]


def _sample(runs: Iterable[Crossed], name: str) -> Sample:
    return summarise([value for each in runs if (value := each.measures()[name]) is not None])
