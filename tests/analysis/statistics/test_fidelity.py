"""Agreement with the teacher against students of the same accuracy that know nothing of it, on real digits."""

from itertools import combinations
from pathlib import Path

import fake_results as fake
import numpy as np
import pytest
import said_of_digits as said
from scipy.special import expit
from statsmodels.stats.contingency_tables import mcnemar

from analysis.runs.banks import Banks
from analysis.runs.load import load
from analysis.runs.scored import scored
from analysis.statistics.answers import Answers
from analysis.statistics.fidelity import FAR, MEASURES, Crossed, Fidelity
from analysis.statistics.mcnemar import LEAST_P, sign_flip
from analysis.statistics.transfer import Transfer, transfer
from benchmark.ground.errors import UsageError
from benchmark.metrics import METRICS
from benchmark.metrics.classification import classes
from benchmark.metrics.fidelity import second

LABELS = said.digits()[1][said.TEST]


def answered(logits: said.Array) -> Answers:
    ours, its = classes(logits), classes(said.teacher())
    return Answers(ours == LABELS, its == LABELS, ours == its, ours == second(said.teacher()))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Transfer:
    return transfer(load([said.results(tmp_path_factory.mktemp("results")).path]))


def cell(found: Transfer, method: str, measure: str) -> Fidelity:
    [each] = [each for each in found.fidelity if (each.method, each.measure) == (method, measure)]
    return each


def test_what_is_observed_is_the_metric() -> None:
    given = {"logits": said.student(1), "labels": LABELS, "teacher_logits": said.teacher()}
    for name, value in Crossed.of(answered(said.student(1))).measures().items():
        assert value == pytest.approx(100 * (METRICS[name](given) or 0))


def test_at_its_own_accuracy_a_student_is_expected_as_it_is() -> None:
    own = Crossed.of(answered(said.student(1)))
    same = own.at(own.accuracy)
    assert same
    assert same.measures() == pytest.approx(own.measures())


def test_at_another_accuracy_the_log_odds_move_alike() -> None:
    own = Crossed.of(answered(said.student(1)))
    better = own.at(0.95)
    assert better
    assert better.accuracy == pytest.approx(0.95)
    assert better.share.sum(1) == pytest.approx(own.share.sum(1))
    odds = [each.share[:, 0] / each.share[:, 1] for each in (own, better)]
    ratio = odds[1] / odds[0]
    assert ratio[0] == pytest.approx(ratio[1])
    assert ratio[0] > 1


def test_the_expectation_is_that_of_drawn_students() -> None:
    """Students whose log odds on an image are its difficulty's and their own ability's, two kinds of images."""
    random, images = np.random.default_rng(0), 40_000
    teacher_right = random.random(images) < 0.8

    def drawn(ability: float) -> Answers:
        right = random.random(images) < expit(ability + np.where(teacher_right, 1.0, -1.0))
        same = (right & teacher_right) | (~right & ~teacher_right & (random.random(images) < 0.4))
        return Answers(right, teacher_right, same, ~same & (random.random(images) < 0.5))

    weak, strong = Crossed.of(drawn(0.0)), Crossed.of(drawn(1.5))
    moved = weak.at(strong.accuracy)
    assert moved
    for name in MEASURES:
        assert moved.measures()[name] == pytest.approx(strong.measures()[name], abs=1.5)


def test_who_copies_is_found_out_and_who_is_only_as_right_is_not(found: Transfer) -> None:
    copied = cell(found, "kd", "agreement_wrong")
    assert copied.observed.n == 3
    assert copied.excess is not None
    assert copied.excess > 10
    assert copied.mark == "*"
    assert copied.moved is not None
    assert abs(copied.moved) < FAR
    for measure in MEASURES:
        alone = cell(found, "sp", measure)
        assert not alone.mark
        assert alone.estimate
        assert alone.estimate.p is not None
        assert alone.estimate.p > 0.05
    assert cell(found, "student", "agreement_wrong").expected is None


def test_a_control_is_held_against_students_beside_its_own_teacher(tmp_path: Path) -> None:
    """Under untrained teachers, of each seed another: who learns nothing of them has no excess, who copies them has."""
    folder = said.results(tmp_path)
    for seed in range(3):
        untrained = fake.run("student", seed).teacher
        assert untrained
        untrained = untrained.model_copy(update={"seed": seed, "recipe": fake.RECIPE.model_copy(update={"epochs": 0})})
        its = np.random.default_rng(seed).standard_normal(said.teacher().shape)
        copied = np.random.default_rng(9 + seed).random(len(its)) < 0.1
        for method, logits in (
            ("kd", said.student(seed + 30)),
            ("sp", np.where(copied[:, None], its, said.student(seed))),
        ):
            run = fake.run(method, seed, label=f"{method}@random").model_copy(update={"teacher": untrained})
            said.keep(folder, record := fake.record(run, 0.9), logits)
        said.keep_teacher(folder.teachers, untrained, record, its)
    found = transfer(load([folder.path]))
    assert not found.notes
    beside = cell(found, "kd@random", "agreement_wrong")
    assert beside.expected
    assert beside.observed.mean == pytest.approx(1.3, abs=0.5)
    assert beside.expected.mean == pytest.approx(1.3, abs=0.5)
    assert (beside.expected.n, beside.differs) == (3, "teacher and teacher seed")
    assert cell(found, "sp@random", "agreement_wrong").excess == pytest.approx(9, abs=3)
    assert cell(found, "student", "agreement_wrong").observed.mean == pytest.approx(40, abs=20)
    rows, _ = scored(load([folder.path]), METRICS["top1"])
    teachers = {row["run_id"]: row["method"] for row in rows if row["method"].startswith("teacher")}
    assert sorted(teachers.values()) == ["teacher", *3 * ["teacher@random"]]


def test_who_is_far_more_accurate_is_not_tested(found: Transfer) -> None:
    """For then students that know nothing of the teacher have an excess too."""
    better = cell(found, "gkd", "agreement_wrong")
    assert better.moved is not None
    assert better.moved > 3
    assert better.excess is not None
    assert better.excess > 4
    assert better.estimate
    assert better.p is better.p_holm is None
    assert not better.mark


def test_a_teacher_that_is_always_right_leaves_only_the_other_measures() -> None:
    perfect = Crossed.of(Answers(*(np.array([True, False, True, True]), np.ones(4, bool)), *np.zeros((2, 4), bool)))
    assert perfect.measures()["agreement_wrong"] is None
    moved = perfect.at(0.5)
    assert moved
    assert moved.accuracy == pytest.approx(0.5)
    certain = Crossed.of(Answers(*np.ones((4, 4), bool)))
    assert certain.at(0.5) is None
    assert certain.at(1.0) is not None


@pytest.mark.parametrize(("gained", "lost"), [(3, 7), (0, 0), (5, 5), (120, 80), (0, 9)])
def test_one_seed_is_the_exact_test_of_statsmodels(gained: int, lost: int) -> None:
    differences = np.repeat([1, -1, 0], [gained, lost, 30])
    expected = mcnemar([[20, gained], [lost, 10]], exact=True).pvalue
    assert sign_flip(differences) == pytest.approx(expected, abs=1e-12)


def test_what_is_lost_in_rounding_is_no_certainty() -> None:
    """Probabilities of 1e-300, of which a transform has noise or nothing."""
    assert sign_flip(np.ones(1000, int)) == sign_flip(np.repeat([2, 3], 500)) == LEAST_P


def test_several_seeds_are_what_signs_drawn_at_random_give() -> None:
    random = np.random.default_rng(1)
    differences = random.integers(-3, 4, 60) + (random.random(60) < 0.2)
    sums = np.abs(random.choice([-1, 1], (40_000, 60)) @ differences)
    assert sign_flip(differences) == pytest.approx((sums >= abs(differences.sum())).mean(), abs=0.01)


def test_every_two_methods_are_compared_over_their_common_seeds(found: Transfer) -> None:
    compared = {(each.method, each.over): each for each in found.discordances}
    assert compared.keys() == {(a, b) for a, b in combinations(("kd", "sp", "gkd", "student"), 2)}
    each = compared["kd", "student"]
    right = [[classes(logits) == LABELS for logits in (said.copying(s, 1 / 3), said.student(s))] for s in range(3)]
    assert each.seeds == 3
    assert each.gained == pytest.approx(sum(int((a & ~b).sum()) for a, b in right), abs=3)  # in half precision
    assert each.lost == pytest.approx(sum(int((~a & b).sum()) for a, b in right), abs=3)
    assert each.p <= each.p_holm


def test_runs_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    folder = said.results(tmp_path, seeds=2)
    [first, second_one, *_] = sorted(folder.part("predictions").glob("*"))
    first.unlink()
    second_one.write_bytes(b"nonsense")
    [note] = transfer(load([folder.path])).notes
    assert note.startswith("fidelity: 2 runs of 8 cannot be used: ")
    assert first.stem in note
    assert second_one.stem in note
    for path in sorted(folder.part("predictions").glob("*"))[:3]:
        path.unlink(missing_ok=True)
    [note] = transfer(load([folder.path])).notes
    assert note.count(".safetensors") == 3
    assert note.endswith("; and 1 more, which python -m analysis.score names")
    [said_by_teacher] = folder.teachers.part("predictions").glob("*")
    said_by_teacher.write_bytes(b"nonsense")
    [note] = transfer(load([folder.path])).notes
    assert note.startswith(f"fidelity and McNemar's tests not tabled: predictions {said_by_teacher} cannot be read: ")
    said_by_teacher.unlink()
    nothing = transfer(load([folder.path]))
    assert not nothing.fidelity
    assert nothing.notes == ["fidelity and McNemar's tests not tabled: no run and its teacher kept predictions"]


def test_a_teacher_of_other_weights_is_refused(tmp_path: Path) -> None:
    folder = said.results(tmp_path, seeds=2)
    [path] = folder.teachers.part("records").glob("*.json")
    path.write_text(path.read_text().replace('"weights_sha256": "aa"', '"weights_sha256": "bb"'))
    results = load([folder.path])
    with pytest.raises(UsageError, match="has other weights than its students learnt from"):
        Banks(results.records).of_teacher(results.runs.run_id[0])
