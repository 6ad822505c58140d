"""Whether two methods are right on different test images by more than chance (McNemar 1947), exactly, also over seeds.

This asks about other test images and these very trainings; the gains, about other seeds and these test images. An
image is one unit however many seeds see it: under the hypothesis that the methods are alike, all that it shows could as
well be the other's, so that its difference in right answers over the seeds has either sign (images as clusters:
Obuchowski 1998). With one seed that is McNemar's exact test.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from analysis.runs.alike import Row, grouped
from analysis.statistics.answers import Answers, Key, key
from analysis.statistics.basic import ALPHA, holm
from analysis.statistics.places import OfPlace
from analysis.style import CONTROL, listing_order
from benchmark.metrics import Array

LEAST_P = 1e-12
"""Smaller ones are lost in rounding, and stand at it."""


@dataclass(frozen=True)
class Discordance(OfPlace):
    """Two methods on one pair over `seeds` that both have: how many (seed, image) the first is right on and the other
    wrong, and the other way round; p, and corrected for everything that was tested."""

    dataset: str
    pair: str
    method: str
    over: str
    seeds: int
    images: int
    gained: int
    lost: int
    p: float
    p_holm: float = 1.0

    @property
    def verdict(self) -> str:
        if self.p_holm >= ALPHA:
            return "open"
        return "better" if self.gained > self.lost else "worse"


def discordances(rows: Sequence[Row], answers: Mapping[Key, Answers]) -> list[Discordance]:
    """Each two methods of each pair, the student alone as the second of any other, in listing order."""
    found = [each for members in grouped(rows, "dataset", "pair") for each in _of_pair(members, answers)]
    adjusted = holm([each.p for each in found])
    return [replace(each, p_holm=p or 0.0) for each, p in zip(found, adjusted, strict=True)]


def _of_pair(rows: Sequence[Row], answers: Mapping[Key, Answers]) -> Iterable[Discordance]:
    right: dict[str, dict[int, Array]] = {}
    for row in rows:
        if (own := key(row)) in answers:
            right.setdefault(row["method"], {})[row["seed"]] = answers[own].right
    methods = sorted(right, key=lambda method: (method == CONTROL, listing_order(method)))
    for method, over in combinations(methods, 2):
        if not (seeds := sorted(right[method].keys() & right[over].keys())):
            continue
        first, second = (np.stack([right[name][seed] for seed in seeds]) for name in (method, over))
        yield Discordance(
            dataset=rows[0]["dataset"],
            pair=rows[0]["pair"],
            method=method,
            over=over,
            seeds=len(seeds),
            images=first.shape[1],
            gained=int((first & ~second).sum()),
            lost=int((~first & second).sum()),
            p=sign_flip(first.sum(0) - second.sum(0)),
        )


def sign_flip(differences: Array) -> float:
    """How probable it is that whole numbers [N] whose signs are drawn at random sum to as much as theirs do, or more,
    either way; LEAST_P or more. The characteristic function of the sum is a product of cosines, whose transform has its
    probabilities.
    """
    sizes = np.bincount(np.abs(differences))
    most = int(np.arange(len(sizes)) @ sizes)
    angles = 2 * np.pi * np.arange(2 * most + 1) / (2 * most + 1)
    transform = np.ones(len(angles))
    for size, number in enumerate(sizes):
        transform *= np.cos(size * angles) ** number
    odds = np.fft.fft(transform).real / len(angles)
    sums = np.fft.fftfreq(len(angles), 1 / len(angles))
    return float(np.clip(odds[np.abs(sums) > abs(differences.sum()) - 0.5].sum(), LEAST_P, 1))
