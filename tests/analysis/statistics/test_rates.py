"""How often the tests err, by simulation: the rates that docs/statistics.md states.

`pytest --long -rP` draws as often as the tolerances say, for minutes, and shows the rates; without the option a short
one of the first stands for all. True variances within a pair are drawn from an inverse chi-square law with 5 degrees of
freedom, wilder than the 7 to 8 of the committed records.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from analysis.plan import LOOKS
from analysis.statistics.basic import ALPHA, Sample, holm
from analysis.statistics.moderated import Estimate, Moderation, Part, mean_over_pairs, together

DRAWS = 800
COMMITTED = (10, 10, 5, 5, 3, 3)
"""Seeds of the six pairs of results/reference."""

CELLS = 9
"""Of a pair: the student alone and eight methods."""

Runs = np.ndarray
"""Accuracies of a pair [cells, runs]."""


def pair(random: np.random.Generator, runs: int, effects: float = 0.0, freedom: float = 5.0) -> tuple[Runs, np.ndarray]:
    """Accuracies, and what each method truly gains over the student alone; half of the methods gain something where
    effects, in standard deviations of a run, are not 0."""
    scale = np.sqrt(freedom / random.chisquare(freedom, CELLS))
    true = np.zeros(CELLS)
    true[1 : 1 + CELLS // 2] = random.normal(0, effects, CELLS // 2)
    return true[:, None] + scale[:, None] * random.normal(size=(CELLS, runs)), true


def samples(runs: Runs) -> list[Sample]:
    return [Sample(len(row), float(row.mean()), float(row.std(ddof=1))) for row in runs]


def gains(runs: Runs) -> list[Estimate]:
    """Of every method over the student alone."""
    cells = samples(runs)
    lent = Moderation.fit(map(Part.of, cells))
    return [found for cell in cells[1:] if (found := lent.difference(cell, cells[0]))]


def drawn(seeds: Sequence[int], draws: int, effects: float = 0.0) -> Iterator[list[tuple[list[Estimate], np.ndarray]]]:
    random = np.random.default_rng(18)
    for _ in range(draws):
        pairs = [pair(random, runs, effects) for runs in seeds]
        yield [(gains(runs), true[1:]) for runs, true in pairs]


def rates(seeds: Sequence[int], draws: int, effects: float = 0.0) -> dict[str, float]:
    """Of families with any false mark after Holm's correction (`family`), of cells without effect with p < 0.05
    (`cell`), of intervals that hold the truth (`held`), and of true effects that are marked (`power`).
    """
    family, alone, held, power = [], [], [], []
    for found in drawn(seeds, draws, effects):
        estimates = [each for own, _ in found for each in own]
        true = np.concatenate([own for _, own in found])
        marked = np.array([(p or 0.0) < ALPHA for p in holm([each.p for each in estimates])])
        family.append(bool(marked[true == 0].any()))
        alone += [(each.p or 0.0) < ALPHA for each, value in zip(estimates, true, strict=True) if value == 0]
        held += [abs(each.value - value) <= each.half_width() for each, value in zip(estimates, true, strict=True)]
        power += list(marked[true != 0])
    return {"family": np.mean(family), "cell": np.mean(alone), "held": np.mean(held), "power": np.mean(power or [0])}


def test_false_alarms_and_coverage_of_a_small_grid() -> None:
    found = rates((3, 3, 3, 3, 3, 3), draws=40)
    assert found["family"] < 0.15
    assert found["cell"] == pytest.approx(0.061, abs=0.03)
    assert found["held"] == pytest.approx(0.939, abs=0.03)


@pytest.mark.long
@pytest.mark.parametrize(("seeds", "family", "power"), [((3,) * 6, 0.043, 0.16), (COMMITTED, 0.037, 0.36)])
def test_families_of_cells_keep_their_error_and_find_effects(
    seeds: tuple[int, ...], family: float, power: float
) -> None:
    """Tolerances are three standard errors of as many draws."""
    null, found = rates(seeds, DRAWS), rates(seeds, DRAWS // 4, effects=3.0)
    print(f"cells, seeds {seeds}: {null}, power {found['power']:.4f}")
    assert null["family"] == pytest.approx(family, abs=0.022)
    assert null["cell"] == pytest.approx(0.061, abs=0.008)
    assert null["held"] == pytest.approx(0.939, abs=0.008)
    assert found["power"] == pytest.approx(power, abs=0.04)


@pytest.mark.long
@pytest.mark.parametrize(("seeds", "spread"), [(COMMITTED, 0.0), (COMMITTED, 2.0), ((3,) * 6, 0.0), ((3, 3), 2.0)])
def test_means_over_pairs_keep_their_error(seeds: tuple[int, ...], spread: float) -> None:
    """Also where a method's gain differs from pair to pair: the claim is about these pairs."""
    random = np.random.default_rng(19)
    families, held = [], []
    for found in drawn(seeds, DRAWS // 2):
        true = random.normal(0, spread, (len(seeds), CELLS - 1))
        true -= true.mean(axis=0)
        means = [
            mean_over_pairs([Estimate(e.value + t, e.variance, e.freedom) for e, t in zip(own, truth, strict=True)])
            for own, truth in zip(zip(*(each for each, _ in found), strict=True), true.T, strict=True)
        ]
        families.append(any((p or 0.0) < ALPHA for p in holm([each.p for each in means])))
        held += [abs(each.value) <= each.half_width() for each in means]
    print(f"means, seeds {seeds}, spread {spread:g}: family {np.mean(families):.4f}, held {np.mean(held):.4f}")
    assert np.mean(families) < ALPHA + 0.033
    assert 0.93 < np.mean(held) < 0.98


@pytest.mark.long
@pytest.mark.parametrize("seeds", [3, 10])
def test_means_over_pairs_that_share_the_student_alone_hold_the_truth(seeds: int) -> None:
    random = np.random.default_rng(20)
    held = []
    for _ in range(DRAWS):
        runs = [pair(random, seeds)[0] for _ in range(3)]
        for other in runs[1:]:
            other[0] = runs[0][0]
        cells = [samples(own) for own in runs]
        lent = [Moderation.fit(map(Part.of, own)) for own in cells]
        found = [moderation.difference(own[1], own[0]) for moderation, own in zip(lent, cells, strict=True)]
        variances = [moderation.variance(Part.of(own[0])) / seeds for moderation, own in zip(lent, cells, strict=True)]
        shared = {(i, j): max(variances[i], variances[j]) for i in range(3) for j in range(i + 1, 3)}
        mean = mean_over_pairs([each for each in found if each], shared)
        held.append(abs(mean.value) <= mean.half_width())
    print(f"means of pairs with one student alone, {seeds} seeds: held {np.mean(held):.4f}")
    assert 0.93 < np.mean(held) < 0.98


@pytest.mark.long
@pytest.mark.parametrize(("pairs", "seeds", "rate"), [(1, 3, 0.043), (2, 3, 0.037), (6, 3, 0.060)])
def test_a_sound_grid_agrees_with_its_reference(pairs: int, seeds: int, rate: float) -> None:
    """Three seeds against ten, in as many pairs of nine cells; with variances of 5 degrees of freedom."""
    random = np.random.default_rng(22)
    alarms = []
    for _ in range(DRAWS):
        found: list[float | None] = []
        for _ in range(pairs):
            runs = pair(random, seeds + 10)[0]
            sides = list(zip(samples(runs[:, :seeds]), samples(runs[:, seeds:]), strict=True))
            lent = Moderation.fit(part for two in sides if (part := together(*two)))
            found += [tested.p for two in sides if (tested := lent.agreement(*two))]
        alarms.append(any((p or 0.0) < ALPHA for p in holm(found)))
    print(f"verify, {pairs} pairs, {seeds} seeds against 10: {np.mean(alarms):.4f}")
    assert np.mean(alarms) == pytest.approx(rate, abs=0.025)


@pytest.mark.long
def test_looks_at_three_five_and_ten_seeds_share_the_error() -> None:
    """Under no effect: after each look the pairs that have an open cell get the seeds of the next one. Any cell that is
    established at any look counts.
    """
    random, draws, alarms = np.random.default_rng(5), 2000, 0
    for _ in range(draws):
        every, seen, false = [pair(random, LOOKS[-1])[0] for _ in range(6)], [LOOKS[0]] * 6, False
        for following in (*LOOKS[1:], LOOKS[-1]):
            found = [gains(runs[:, :n]) for runs, n in zip(every, seen, strict=True)]
            adjusted = iter(holm([each.p for own in found for each in own], looks=len(LOOKS)))
            marked = [[(next(adjusted) or 0.0) < ALPHA for _ in own] for own in found]
            false |= any(map(any, marked))
            for i, (own, established) in enumerate(zip(found, marked, strict=True)):
                if not all(mark or each.equivalent(1.0) for each, mark in zip(own, established, strict=True)):
                    seen[i] = following
        alarms += false
    print(f"looks at {LOOKS} seeds: {alarms / draws:.4f}")
    assert 0.025 < alarms / draws <= ALPHA
