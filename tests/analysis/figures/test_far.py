"""A method that failed is told of, and leaves the others the scale."""

from dataclasses import replace
from pathlib import Path

import fake_results as fake
import pytest
from graded import graded
from situations import marks

from analysis.figures import budget, first, gains, relation, words
from analysis.figures.layout import in_reach
from analysis.runs.load import load
from analysis.statistics.evidence import Evidence, collect_evidence
from analysis.style import styles

NEAR = {"kd": 1.0, "sp": 2.0, "gkd": -1.0, "rkd_d": 0.5, "rkd_a": 1.5}


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """RKD-DA is 40 points below the student alone, on one pair."""
    records = graded(NEAR | {"rkd_da": -40.0}, seeds=2, pairs=fake.PAIRS[:1])
    related = [
        each.model_copy(update={"result": each.result.model_copy(update={"cka": 0.5 + len(each.run.label) / 100})})
        for each in records
    ]
    folder: Path = fake.write(tmp_path_factory.mktemp("far") / "grid", *related)
    return collect_evidence(load([folder]).runs)


def look(evidence: Evidence) -> dict[str, object]:
    return dict(styles(cell.method for cell in evidence.cells))


def test_accuracy_has_the_others_scale_and_the_caption_the_number(failed: Evidence) -> None:
    figure = budget.drawings(failed, look(failed))[0]
    low, _ = figure.figure.axes[0].get_ylim()
    assert 70 < low < 79
    assert figure.caption.endswith("Not shown, far from all others: RKD-DA on resnet_s (40.0).")
    assert "rkd_da" in {row["method"] for row in figure.data[""]}
    assert "RKD-DA" not in {text.get_text() for text in figure.figure.legends[0].get_texts()}


def test_gains_have_the_others_scale_and_an_arrow_the_number(failed: Evidence) -> None:
    heat, spread = gains.draw(failed, look(failed)).axes
    assert spread.get_xlim()[0] > -5
    assert [text.get_text() for text in spread.texts if "←" in text.get_text()] == ["← −40.0"]
    assert "−40.0†" in {text.get_text() for text in heat.texts}
    assert heat.collections[0].get_clim() == pytest.approx((-2, 2), abs=0.1)


def test_relations_have_the_others_scale_and_the_caption_the_number(failed: Evidence) -> None:
    figure = relation.drawings(failed, look(failed))[0]
    assert all(len(marks(axes)) == len(NEAR) for axes in figure.figure.axes)
    assert "Not shown, far from all others: RKD-DA on resnet_s (−34.0)." in figure.caption
    assert len(figure.caption.split()) < 60


def test_a_first_pages_figure_has_the_others_scale_and_an_arrow_the_number(failed: Evidence) -> None:
    figure = first.drawings(failed, look(failed))[0]
    forest, costs = figure.figure.axes
    assert forest.get_xlim()[0] > costs.get_ylim()[0] - 5 > -10
    assert [text.get_text() for text in forest.texts] == ["← −40.0"]
    assert "RKD-DA" not in {text.get_text() for text in costs.texts}
    assert figure.caption.endswith(" Below both scales: RKD-DA.")


def test_what_is_far_is_drawn_where_others_intervals_need_the_room(tmp_path: Path) -> None:
    """SP is far on one of three pairs, so that its interval for pairs like these is wide; RKD-DA is far on all."""
    pairs = [(teacher, student) for teacher, student in (*fake.PAIRS, (fake.PAIRS[1][0], fake.PAIRS[0][1]))]
    gains = {**NEAR, "pkt": 1.2, "cc": 0.8, "irg": 1.1, "rkd_da": -20.0}
    records = [
        *graded({**gains, "sp": -23.0}, seeds=3, pairs=pairs[:1]),
        *graded(gains, seeds=3, pairs=pairs[1:]),
    ]
    evidence = collect_evidence(load([fake.write(tmp_path / "grid", *records)]).runs)
    figure = first.drawings(evidence, look(evidence))[0]
    forest = figure.figure.axes[0]
    assert forest.get_xlim()[0] < -20
    assert not [text for text in forest.texts if "−20.0" in text.get_text()]
    assert any(line.get_xdata()[0] == pytest.approx(-20.0, abs=0.1) for line in forest.lines)
    assert figure.caption.endswith(" Below the right scale: RKD-DA.")


def test_a_budget_that_is_known_of_what_is_far_alone_is_not_drawn(failed: Evidence) -> None:
    measured = [
        replace(cell, latency_seconds=0.01, measured_on="a CPU") if cell.method == "rkd_da" else cell
        for cell in failed.cells
    ]
    figures = budget.drawings(replace(failed, cells=measured), look(failed))
    assert "Latency" not in "".join(axes.get_xlabel() for each in figures for axes in each.figure.axes)


def test_a_caption_names_one_that_is_far_and_counts_several() -> None:
    assert words.far(["SimKD (1.0)"]) == " Not shown, far from all others: SimKD (1.0)."
    assert (words.far(["a", "b"]), words.far([])) == (" Not shown, far from all others: 2 cells.", "")


def test_far_is_below_the_middle_half_by_more_than_ten_points_and_the_best_is_always_shown() -> None:
    assert in_reach([10, 10, 10, 10, 0]) == [True] * 5
    assert in_reach([10, 10, 10, 10, -1]) == [True] * 4 + [False]
    assert in_reach([100, 90, 80, 70, 20]) == [True] * 5
    assert in_reach([1, 1, 1, 1, 60]) == [True] * 5
    assert in_reach([]) == []
