"""The figure of fidelity: what stands where, and that its words have room."""

from dataclasses import replace
from itertools import combinations

import pytest
import said_of_digits as said
from matplotlib.transforms import Affine2D, Bbox
from situations import marks, texts

from analysis.figures import Drawing, fidelity
from analysis.figures.canvas import TALLEST, TWO_COLUMNS, NotDrawnError, settings
from analysis.runs.load import load
from analysis.statistics.evidence import Evidence, collect_evidence
from analysis.statistics.fidelity import MEASURES, Fidelity
from analysis.statistics.transfer import transfer
from analysis.style import styles

Made = tuple[Evidence, list[Fidelity]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    results = load([said.results(tmp_path_factory.mktemp("results")).path])
    return collect_evidence(results.runs), list(transfer(results).fidelity)


def drawn(found: list[Fidelity], evidence: Evidence) -> list[Drawing]:
    with settings():
        return fidelity.drawings(found, evidence, styles({each.method for each in found}))


def test_marks_and_expectations_stand_where_the_data_have_them(made: Made) -> None:
    evidence, found = made
    [figure] = drawn(found, evidence)
    assert [row["measure"] for row in figure.data[""][:3]] == list(MEASURES)
    for axes, measure in zip(figure.figure.axes, MEASURES, strict=True):
        rows = [row for row in figure.data[""] if row["measure"] == measure]
        assert [row["method"] for row in rows] == ["student", "kd", "sp", "gkd"]
        assert [x for x, _ in marks(axes)] == pytest.approx([row["percent"] for row in rows])
        assert [y for _, y in marks(axes)] == [0, 1, 2, 3]
        ticks = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "|"]
        assert ticks == pytest.approx([row["expected_percent"] for row in rows[1:]])
        ends = [(path[0][0], path[1][0]) for lines in axes.collections for path in lines.get_segments()]
        for (low, high), row in zip(ends, rows[1:], strict=True):
            assert high - low <= row["excess_high"] - row["excess_low"] + 1e-9
            assert low <= row["percent"] <= high
    wrong = figure.figure.axes[1]
    assert [text.get_text() for text in wrong.texts] == ["*"]  # of KD, which copies
    hollow = [line for line in wrong.lines if line.get_markerfacecolor() == "white"]
    far = [each for each in found if each.measure == MEASURES[1] and each.moved and abs(each.moved) > 1]
    assert len(hollow) == len(far) == 1
    assert "KD +" in figure.alt
    assert "* above" in figure.caption
    assert len(figure.caption.split()) < 60


def test_one_of_several_pairs_is_named(made: Made) -> None:
    evidence, found = made
    other = replace(evidence.cells[0], pair="a_b", teacher="a", student="b")
    [figure] = drawn(found, replace(evidence, cells=[*evidence.cells, other]))
    cell = evidence.cells[0]
    assert figure.figure.axes[0].get_yticklabels()[0].get_text() == f"{cell.teacher} → {cell.student}"


def test_several_pairs_are_titled_and_their_words_have_room(made: Made) -> None:
    """Of what lies beyond the edge the number is told."""
    evidence, found = made
    [cell, *_] = evidence.cells
    cells = [*evidence.cells, replace(cell, pair="another_resnet_s"), replace(cell, method="kd@x", competes=False)]
    other = [replace(each, pair="another_resnet_s") for each in found]
    other = [
        replace(each, method="kd@x", observed=replace(each.observed, mean=3.0)) if each.method == "kd" else each
        for each in other
    ]
    [figure] = drawn([*found, *other], replace(evidence, cells=cells))
    figure.figure.draw_without_rendering()
    assert figure.figure.get_figwidth() == TWO_COLUMNS
    assert figure.figure.get_figheight() < TALLEST
    labels = [label.get_text() for label in figure.figure.axes[0].get_yticklabels()]
    assert [label for label in labels if "→" in label] == ["resnet_l → resnet_s", "another → resnet_s"]
    assert "← 3" in [text.get_text() for text in figure.figure.axes[0].texts]
    scale = Affine2D().scale(72 / figure.figure.dpi)
    boxes = [(text.get_text(), text.get_window_extent().transformed(scale)) for text in texts(figure)]
    for (one, first), (another, second) in combinations(boxes, 2):
        both = Bbox.intersection(first, second)
        assert both is None or min(both.width, both.height) < 1.8, (one, another)


def test_nothing_to_compare_and_more_than_a_page_are_not_drawn(made: Made) -> None:
    evidence, found = made
    alone = [each for each in found if each.method == "student"]
    with pytest.raises(NotDrawnError, match="no pair has a method and the student alone"):
        drawn(alone, evidence)
    many = [replace(each, method=f"kd[alpha={i}]") for i in range(51) for each in found if each.method == "kd"]
    with pytest.raises(NotDrawnError, match=r"digits: 51 rows; a page holds 50: --methods and --pairs choose"):
        drawn(many, evidence)
