"""Whether students are nearer to their own teacher than to teachers that they never saw, on real digits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import said_of_digits as said
from crossed_digits import SEEDS, results, teacher
from scipy.stats import ttest_1samp
from statsmodels.formula.api import ols

from analysis.__main__ import main
from analysis.runs.load import load
from analysis.statistics.strangers import MEASURES, STRANGERS, Nearness, more_beside_own
from analysis.statistics.transfer import transfer
from benchmark.ground.errors import COMPLETE
from benchmark.metrics import METRICS


def of(found: list[Nearness], method: str) -> dict[str, Nearness]:
    return {each.measure: each for each in found if each.method == method}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Nearness]:
    return [*transfer(load([results(tmp_path_factory.mktemp("results")).path])).strangers]


def test_who_learns_from_its_teacher_is_nearer_to_it_than_to_strangers(found: list[Nearness]) -> None:
    assert {each.method for each in found} == {"student", "kd", "sp"}
    for measure, each in of(found, "kd").items():
        assert (each.n, each.mark, each.more.freedom) == (SEEDS, "*", SEEDS * (SEEDS - 2))
        assert (each.strangers < each.own) == (METRICS[measure].better == "higher")
    assert not any(each.mark == "*" for method in ("student", "sp") for each in of(found, method).values())
    assert of(found, "sp")["distance_pearson"].more.value < 0


def test_what_is_beside_the_own_is_the_metric(found: list[Nearness]) -> None:
    labels = said.digits()[1][said.TEST]
    for measure, each in of(found, "student").items():
        values = [
            [
                METRICS[measure](
                    {
                        "logits": said.student(seed),
                        "labels": labels,
                        "embeddings": said.student(seed)[:200],
                        "teacher_logits": teacher(its),
                        "teacher_embeddings": teacher(its)[:200],
                    }
                )
                for its in range(SEEDS)
            ]
            for seed in range(SEEDS)
        ]
        table = 100 * np.array(values, float)
        assert each.own == pytest.approx(np.trace(table) / SEEDS, abs=0.1)
        apart = (table.sum() - np.trace(table)) / (SEEDS**2 - SEEDS)
        assert each.strangers == pytest.approx(apart, abs=0.1)


def test_teachers_of_equal_weights_are_one_and_leave_no_stranger(tmp_path: Path) -> None:
    assert not transfer(load([results(tmp_path, weights="published").path])).strangers
    assert not transfer(load([said.results(tmp_path / "one").path])).strangers


def test_where_predictions_are_gone_the_others_are_crossed(tmp_path: Path) -> None:
    folder = results(tmp_path)
    for path in folder.part("predictions").glob("*-kd-s0-*"):
        path.unlink()
    for path in folder.part("predictions").glob("*-sp-s[01]-*"):
        path.unlink()
    found = [*transfer(load([folder.path])).strangers]
    assert {each.n for each in of(found, "kd").values()} == {SEEDS - 1}
    assert not of(found, "sp")  # two leave nothing to know the error from


def test_the_analysis_writes_the_table(tmp_path: Path, undrawn: None) -> None:
    folder = results(tmp_path)
    assert main([str(folder.path)]) == COMPLETE
    text = (folder.path / "tables" / "strangers.md").read_text().replace("\\", "")
    assert "Student alone" in text.partition("KD")[0]
    assert f"Holm-adjusted over {3} cells of a measure, P < 0.05" in text
    rows = pd.read_csv(folder.path / "tables" / "strangers.csv")
    assert [*rows.measure.unique()] == [*MEASURES]
    assert rows.own.sub(rows.strangers).sub(rows.own_less_strangers).abs().max() < 1e-9
    assert main([str(folder.path), "--methods", "kd"]) == COMPLETE
    assert "SP" not in (folder.path / "selection" / "tables" / "strangers.md").read_text()


@pytest.mark.parametrize("runs", [3, 9])
def test_students_and_teachers_are_crossed_as_by_least_squares(runs: int) -> None:
    random = np.random.default_rng(runs)
    beside = [(run, (run + step) % runs) for run in range(runs) for step in range(min(runs, 1 + STRANGERS))]
    students, teachers = random.standard_normal((2, runs))
    values = {
        (f"r{run}", f"t{teacher}"): students[run]
        + teachers[teacher]
        + (run == teacher)
        + 0.1 * random.standard_normal()
        for run, teacher in beside
    }
    found = more_beside_own(values, {f"r{run}": f"t{run}" for run in range(runs)})
    rows = pd.DataFrame([(*pair, value, pair[0][1:] == pair[1][1:]) for pair, value in values.items()])
    rows.columns = pd.Index(["run", "teacher", "value", "own"])
    fit = ols("value ~ C(run) + C(teacher) + own", rows).fit()
    assert found
    assert found.value == pytest.approx(fit.params["own[T.True]"])
    assert found.variance == pytest.approx(fit.bse["own[T.True]"] ** 2)
    assert (found.freedom, found.p) == (fit.df_resid, pytest.approx(fit.pvalues["own[T.True]"]))


@pytest.mark.parametrize("shared", [0, 2])
def test_students_that_know_nothing_of_their_teacher_are_rarely_found_nearer(shared: int) -> None:
    """Also where students and teachers have some of `shared` traits in common, so that errors are not independent."""
    random, draws = np.random.default_rng(shared), 600
    own = {f"r{run}": f"t{run}" for run in range(4)}
    found = []
    for _ in range(draws):
        table = random.standard_normal((4, 1)) + random.standard_normal((1, 4))
        traits = random.standard_normal((4, shared)) @ random.standard_normal((shared, 4))
        table = table + (traits if shared else random.standard_normal((4, 4)))
        values = {(f"r{run}", f"t{teacher}"): float(table[run, teacher]) for run in range(4) for teacher in range(4)}
        more = more_beside_own(values, own)
        assert more
        found.append(more)
    assert sum((each.p or 0) < 0.05 for each in found) / draws < 0.08
    assert ttest_1samp([each.value for each in found], 0).pvalue > 0.001


def test_what_rounding_leaves_is_no_certainty() -> None:
    values = {(f"r{run}", f"t{teacher}"): 0.1 * run + 0.7 * teacher for run in range(3) for teacher in range(3)}
    found = more_beside_own(values, {f"r{run}": f"t{run}" for run in range(3)})
    assert found
    assert found.variance == 0
    assert found.interval() is None
