"""The figure of budget saved: what stands where, and that its words have room."""

from itertools import combinations
from pathlib import Path

import pytest
from graded import evidence_of
from matplotlib.transforms import Affine2D, Bbox
from rungs import WIDTHS, rungs
from situations import marks, texts

from analysis.figures import ladder
from analysis.figures.canvas import TWO_COLUMNS, Drawing, NotDrawnError, settings
from analysis.statistics.ladder import ladders
from analysis.style import styles

GAINS = {"kd": {0.125: 1.0, 0.25: 2.0, 0.5: -9.0}, "gkd": {0.125: 3.0, 0.25: 2.5, 1.0: 1.0}}


def drawn(tmp_path: Path) -> Drawing:
    evidence = evidence_of(tmp_path, *rungs(GAINS, spread=0.3))
    with settings():
        [figure] = ladder.drawings(evidence, styles(["student", *GAINS]))
    return figure


def test_marks_stand_at_accuracies_and_at_what_was_read(tmp_path: Path) -> None:
    figure = drawn(tmp_path)
    left, right = figure.figure.axes
    rows = figure.data[""]
    assert {(row["macs"], row["top1_percent"]) for row in rows} == set(marks(left))
    assert len(rows) == len(WIDTHS) + 6
    [found] = ladders(evidence_of(tmp_path / "again", *rungs(GAINS, spread=0.3)))
    expected = [found.held(each.equal) / each.macs for each in found.readings]
    assert sorted(up for _, up in marks(right)) == pytest.approx(sorted(expected))
    hollow = [line for line in right.lines if line.get_markerfacecolor() == "white"]
    assert len(hollow) == sum(not each.inside for each in found.readings) == 2
    low, high = right.get_ylim()
    assert low < min(expected) <= max(expected) < high


def test_its_words_have_room(tmp_path: Path) -> None:
    figure = drawn(tmp_path)
    assert figure.figure.get_figwidth() == TWO_COLUMNS
    figure.figure.draw_without_rendering()
    scale = Affine2D().scale(72 / figure.figure.dpi)
    boxes = [(text.get_text(), text.get_window_extent().transformed(scale)) for text in texts(figure)]
    for (one, first), (other, second) in combinations(boxes, 2):
        both = Bbox.intersection(first, second)
        assert both is None or min(both.width, both.height) < 1.8, (one, other)
    assert len(figure.caption.split()) <= 60
    assert "The largest: GKD at net_w0.125 equals the student alone at" in figure.alt


def test_without_a_ladder_nothing_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(NotDrawnError, match="no teacher has a ladder"):
        ladder.drawings(evidence_of(tmp_path, *rungs({})), {})
