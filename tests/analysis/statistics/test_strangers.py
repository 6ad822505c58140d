"""Whether students are nearer to their own teacher than to teachers that they never saw, on real digits."""

from dataclasses import replace
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
from analysis.statistics.basic import summarise
from analysis.statistics.moderated import Moderation
from analysis.statistics.strangers import MEASURES, STRANGERS, Nearness, own_and_more
from analysis.statistics.transfer import transfer
from benchmark.ground.errors import COMPLETE
from benchmark.ground.files import write_bytes
from benchmark.metrics import METRICS
from benchmark.records.predictions import read, sha256


def of(found: list[Nearness], method: str) -> dict[str, Nearness]:
    return {each.measure: each for each in found if each.method == method}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Nearness]:
    return [*transfer(load([results(tmp_path_factory.mktemp("results")).path])).strangers]


def test_who_learns_from_its_teacher_is_nearer_to_it_than_to_strangers(found: list[Nearness]) -> None:
    assert {each.method for each in found} == {"student", "kd", "sp"}
    for measure, each in of(found, "kd").items():
        assert (each.n, each.mark) == (SEEDS, "*")
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
    assert "Holm-adjusted over all cells of a measure, P < 0.05" in text
    rows = pd.read_csv(folder.path / "tables" / "strangers.csv")
    assert [*rows.measure.unique()] == [*MEASURES]
    assert rows.own.sub(rows.strangers).sub(rows.own_less_strangers).abs().max() < 1e-9
    assert main([str(folder.path), "--methods", "kd"]) == COMPLETE
    assert "SP" not in (folder.path / "selection" / "tables" / "strangers.md").read_text()


OWN = {f"r{run}": f"t{run}" for run in range(9)}


def values(table: said.Array, strangers: int = STRANGERS) -> dict[tuple[str, str], float]:
    runs = len(table)
    beside = [(run, (run + step) % runs) for run in range(runs) for step in range(min(runs, 1 + strangers))]
    return {(f"r{run}", f"t{teacher}"): float(table[run, teacher]) for run, teacher in beside}


@pytest.mark.parametrize("runs", [3, 9])
def test_what_is_expected_is_least_squares_of_pairs_of_strangers(runs: int) -> None:
    table = np.random.default_rng(runs).standard_normal((runs, runs))
    rows = pd.DataFrame([(run, teacher, value) for (run, teacher), value in values(table).items()])
    rows.columns = pd.Index(["run", "teacher", "value"])
    apart = rows[rows.run.str[1:] != rows.teacher.str[1:]]
    fit = ols("value ~ C(run) + C(teacher)", apart).fit()
    own = rows.drop(apart.index)
    expected = own.value - fit.predict(own)
    found = own_and_more(values(table), OWN)
    assert [value for value, _ in found] == pytest.approx([*own.value])
    assert [more for _, more in found] == pytest.approx([*expected])


def test_a_student_near_to_all_and_a_teacher_near_to_all_count_for_nothing() -> None:
    table = np.array([[1.0], [5], [2], [7]]) + np.array([3, 0, 1, 9.0]) + np.diag([0, 2, 0, 0.5])
    assert [more for _, more in own_and_more(values(table), OWN)] == pytest.approx([0, 2, 0, 0.5])
    assert own_and_more(values(table[:2, :2]), OWN) == []
    assert own_and_more(values(table[:2, :2], strangers=0), OWN) == []


@pytest.mark.parametrize(("shared", "own"), [(0, 0.0), (2, 0.0), (0, 2.0)])
def test_students_that_know_nothing_of_their_teacher_are_rarely_found_nearer(shared: int, own: float) -> None:
    """Also where students and teachers have some of `shared` traits in common, so that errors are not independent, and
    where each happens to be nearer or farther by `own`, though not on average."""
    random, draws = np.random.default_rng(shared), 600
    found = []
    for _ in range(draws):
        table = random.standard_normal((4, 1)) + random.standard_normal((1, 4))
        traits = random.standard_normal((4, shared)) @ random.standard_normal((shared, 4))
        table = table + (traits if shared else random.standard_normal((4, 4)))
        table += np.diag(own * random.standard_normal(4))
        more = Moderation().mean(summarise([each for _, each in own_and_more(values(table), OWN)]))
        assert more
        found.append(more)
    assert sum((each.p or 0) < 0.05 for each in found) / draws < 0.075
    assert ttest_1samp([each.value for each in found], 0).pvalue > 0.001


def test_one_teacher_under_two_names_is_no_stranger(tmp_path: Path) -> None:
    """Runs that do not say what weights their teacher had are taught by those that others of it had."""
    folder = said.results(tmp_path)
    for number, path in enumerate(sorted(folder.part("records").glob("*.json"))):
        record = folder.record(path.stem)
        assert record
        weights = None if number % 2 else "aa"
        result = record.result.model_copy(update={"teacher_weights_sha256": weights})
        folder.finish(record.model_copy(update={"result": result}), [])
    assert not transfer(load([folder.path])).strangers


def test_a_student_that_is_its_teacher_is_none(tmp_path: Path) -> None:
    folder = results(tmp_path)
    for path in folder.part("records").glob("*-student-*"):
        record = folder.record(path.stem)
        assert record
        weights = record.result.teacher_weights_sha256
        folder.finish(
            record.model_copy(update={"result": record.result.model_copy(update={"weights_sha256": weights})}), []
        )
    assert {each.method for each in transfer(load([folder.path])).strangers} == {"kd", "sp"}


def test_predictions_of_other_images_are_told_and_stop_nothing(tmp_path: Path) -> None:
    folder = results(tmp_path)
    [run] = [path.stem for path in folder.part("records").glob("*-kd-s0-*")]
    record = folder.record(run)
    assert record
    assert record.result.teacher_id
    taught = folder.teachers.record(record.result.teacher_id)
    assert taught
    for where, what in ((folder, record), (folder.teachers, taught)):
        known = read(where.predictions_path(what.run_id))
        content = replace(known, labels=np.roll(known.labels, 1)).content()
        write_bytes(where.predictions_path(what.run_id), content)
        right = float((known.logits.argmax(1) == np.roll(known.labels, 1)).mean())
        result = what.result.model_copy(update={"predictions_sha256": sha256(content), "top1": right})
        where.finish(what.model_copy(update={"result": result}), [])
    found = transfer(load([folder.path]))
    assert {each.n for each in of([*found.strangers], "kd").values()} == {SEEDS - 1}
    notes = [note for note in found.notes if note.startswith(f"strangers: {run} is not held against ")]
    assert notes
    assert all("other test images" in note for note in notes)
