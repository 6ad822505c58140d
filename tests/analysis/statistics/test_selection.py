"""What is shown does not change what is tested; metrics that are better low count as such."""

from pathlib import Path

import fake_results as fake
import pytest

from analysis.report.summary import summary
from analysis.runs.load import load
from analysis.runs.metrics import metric
from analysis.statistics.evidence import collect_evidence
from analysis.statistics.selection import Selection, select
from analysis.tables.main import main_table
from analysis.tables.markdown import markdown
from benchmark.ground.errors import UsageError
from benchmark.records import Record


def records() -> list[Record]:
    runs = [fake.run(m, seed, pair) for pair in fake.PAIRS for m in ("student", "kd", "sp", "gkd") for seed in range(3)]
    nll = {"student": 0.6, "kd": 0.5, "sp": 0.7, "gkd": 0.55}
    return [fake.record(run, nll=nll[run.label] + 0.01 * run.seed) for run in runs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake.write(tmp_path_factory.mktemp("selection") / "grid", *records())


def test_tests_stay_corrected_for_everything(folder: Path) -> None:
    runs = load([folder]).runs
    whole = collect_evidence(runs)
    shown, found = select(runs, Selection(methods=("kd",), pairs=("resnet_l_resnet_s",)))
    assert {cell.method for cell in found.cells} == {"teacher", "student", "kd"}
    assert set(shown.method) == {"student", "kd"}
    place = ("digits", "resnet_l_resnet_s", "kd")
    assert found.gains == {place: whole.gains[place]}
    assert found.tested == whole.tested == 6
    [mean] = found.over_alone
    assert (mean.pairs, mean.tests) == (1, 3)
    assert mean.gain == pytest.approx(whole.gains[place].gain)
    assert found.remark == "Shown: 2 of 4 methods and 1 of 2 pairs; tests are corrected for all"


def test_pairs_that_are_not_shown_do_not_spread_what_is_said_of_others(tmp_path: Path) -> None:
    gains = {"a": (2.0, 1.0), "b": (2.2, 1.1), "c": (1.9, 0.9), "d": (-9.0, 8.0), "e": (9.0, -8.0), "g": (0.0, 5.0)}
    made = [
        fake.record(fake.run(method, seed, ("resnet_l", student)), 0.8 + (gain + 0.05 * (seed - 1)) / 100)
        for student, (kd, sp) in gains.items()
        for method, gain in {"student": 0.0, "kd": kd, "sp": sp}.items()
        for seed in range(3)
    ]
    runs = load([fake.write(tmp_path / "grid", *made)]).runs
    chosen = tuple(f"resnet_l_{student}" for student in "abc")
    _, found = select(runs, Selection(pairs=chosen))
    assert found.spread == collect_evidence(runs[runs.pair.isin(chosen)]).spread
    assert found.spread != collect_evidence(runs).spread


def test_nothing_chosen_is_everything(folder: Path) -> None:
    runs = load([folder]).runs
    shown, found = select(runs, Selection())
    whole = collect_evidence(runs)
    assert len(shown) == len(runs)
    assert (found.cells, found.gains, found.over_alone) == (whole.cells, whole.gains, whole.over_alone)
    assert (found.best, found.ranking, found.remark) == (whole.best, whole.ranking, "")


def test_what_is_better_low_gains_by_falling(folder: Path) -> None:
    _, found = select(load([folder]).runs, Selection(metric=metric("nll")))
    means = {cell.method: cell.top1_percent for cell in found.cells if cell.pair == "resnet_l_resnet_s"}
    assert means == pytest.approx(NLL)
    assert {each.method: round(each.gain, 6) for each in found.over_alone} == {"kd": 10, "sp": -10, "gkd": 5}
    assert {method for _, _, method in found.highest} == {"kd"}


NLL = {"student": 61.0, "kd": 51.0, "sp": 71.0, "gkd": 56.0}
"""Means over three seeds, times 100."""


def test_agreement_with_another_teacher_is_no_gain(tmp_path: Path) -> None:
    """It stands in the table, which says so; of accuracy the same runs have gains."""
    agreement = {"student": 0.6, "kd": 0.7, "kd@shuffled": 0.62, "kd@random": 0.1}
    untrained = fake.RECIPE.model_copy(update={"epochs": 0})
    made = []
    for label, value in agreement.items():
        for seed in range(3):
            run = fake.run(label.partition("@")[0], seed, label=label, shuffled="shuffled" in label)
            if run.teacher and "random" in label:
                other = run.teacher.model_copy(update={"recipe": untrained})
                run = run.model_copy(update={"teacher": other})
            made.append(fake.record(run, agreement=value + 0.01 * seed))
    folder = fake.write(tmp_path / "grid", *made)
    runs_of = load([folder]).runs
    _, found = select(runs_of, Selection(metric=metric("agreement")))
    assert (
        {method for _, _, method in found.gains} == {"kd", "kd@shuffled"} == {each.method for each in found.over_alone}
    )
    assert set(found.run_gains.method) == {"kd", "kd@shuffled"}
    assert {(each.method, each.over) for each in found.between} == {("kd", "kd@shuffled")}
    [cell] = found.without_gain
    assert (cell.method, cell.top1_percent) == ("kd@random", pytest.approx(11))
    assert "differs from the student alone in teacher, has no gain and is not ranked" in markdown(main_table(found))
    text = summary(found)
    assert "measured against another teacher than the student alone: KD (random)." in text
    assert "no two methods of one protocol" in text
    _, accuracies = select(runs_of, Selection())
    assert len(accuracies.gains) == 3
    assert accuracies.without_gain == []


def test_what_was_not_measured_is_a_hole(folder: Path) -> None:
    with_ece = [record.result.ece for record in records()]
    assert not any(with_ece)
    _, found = select(load([folder]).runs, Selection(metric=metric("ece")))
    states = {(cell.state, cell.note) for cell in found.cells if cell.method == "kd"}
    assert states == {("missing", "seeds 0 to 2 missing (no ece was measured)")}


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (Selection(methods=("kb",)), "unknown method 'kb': did you mean kd? valid: gkd, kd, sp, student"),
        (Selection(pairs=("x",)), "unknown pair 'x': valid: resnet_l_resnet_s, vit_l_mixer_s"),
        (Selection(datasets=("mnist",)), "unknown data set 'mnist'"),
    ],
)
def test_unknown_names_list_the_valid_ones(folder: Path, chosen: Selection, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        select(load([folder]).runs, chosen)
    assert str(refused.value).startswith(said)
