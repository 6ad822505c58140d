"""The figure of own teachers and strangers: what stands where."""

from dataclasses import replace

import numpy as np
import pytest
from crossed_digits import SEEDS, results
from situations import marks

from analysis.figures import strangers
from analysis.figures.canvas import NotDrawnError, settings
from analysis.runs.load import load
from analysis.statistics.evidence import Evidence, collect_evidence
from analysis.statistics.strangers import MEASURES, Nearness
from analysis.statistics.transfer import transfer
from analysis.style import styles

Made = tuple[Evidence, list[Nearness]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    found = load([results(tmp_path_factory.mktemp("results")).path])
    return collect_evidence(found.runs), [*transfer(found).strangers]


def drawn(found: list[Nearness], evidence: Evidence) -> list[strangers.Drawing]:
    with settings():
        return strangers.drawings(found, evidence, styles({each.method for each in found}))


def test_marks_are_the_own_and_ticks_the_strangers(made: Made) -> None:
    evidence, found = made
    [figure] = drawn(found, evidence)
    assert figure.name == "strangers"
    for axes, measure in zip(figure.figure.axes, MEASURES, strict=True):
        rows = [row for row in figure.data[""] if row["measure"] == measure]
        assert [row["method"] for row in rows] == ["student", "kd", "sp"]
        assert [x for x, _ in marks(axes)] == pytest.approx([row["own"] for row in rows])
        ticks = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "|"]
        assert ticks == pytest.approx([row["strangers"] for row in rows])
        spans = [x for lines in axes.collections for path in lines.get_segments() for x in path[:, 0]]
        ends = [row["strangers"] + row[end] for row in rows for end in ("less_low", "less_high")]
        assert spans == pytest.approx([*np.clip(ends, *axes.get_xlim())])
    assert "* nearer to the own" in figure.caption
    assert f"means over {SEEDS} students" in figure.caption
    assert "KD +" in figure.alt


def test_predictions_without_embeddings_have_one_panel(made: Made) -> None:
    evidence, found = made
    [figure] = drawn([each for each in found if each.measure == "kl_teacher"], evidence)
    assert [axes.get_xlabel() for axes in figure.figure.axes] == ["KL to the teacher (nats × 100)"]


def test_more_than_a_page_is_not_drawn(made: Made) -> None:
    evidence, found = made
    many = [replace(each, method=f"kd[alpha={i}]") for i in range(51) for each in found if each.method == "kd"]
    with pytest.raises(NotDrawnError, match=r"digits: 51 rows; a page holds 50: --methods and --pairs choose"):
        drawn(many, evidence)
