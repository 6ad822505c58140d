"""The figure of budget saved: what stands where, and that its words have room."""

from pathlib import Path

import pytest
from graded import evidence_of
from rungs import WIDTHS, rungs
from situations import marks, meeting

from analysis.figures import ladder
from analysis.figures.canvas import TWO_COLUMNS, Drawing, NotDrawnError, settings
from analysis.statistics.ladder import ladders
from analysis.style import styles

GAINS = {"kd": {0.125: 1.0, 0.25: 2.0, 0.5: -9.0}, "gkd": {0.125: 3.0, 0.25: 2.5, 1.0: 1.0}}


@pytest.fixture(scope="module")
def figure(tmp_path_factory: pytest.TempPathFactory) -> Drawing:
    evidence = evidence_of(tmp_path_factory.mktemp("ladder"), *rungs(GAINS, spread=0.3))
    with settings():
        [figure] = ladder.drawings(evidence, styles(["student", *GAINS]))
    return figure


def test_marks_stand_at_accuracies_and_at_what_was_read(figure: Drawing, tmp_path: Path) -> None:
    left, right = figure.figure.axes
    rows = figure.data[""]
    assert {(row["macs"], row["top1_percent"]) for row in rows} == set(marks(left))
    assert len(rows) == len(WIDTHS) + 6
    [found] = ladders(evidence_of(tmp_path, *rungs(GAINS, spread=0.3)))
    expected = [found.held(each.equal) / each.macs for each in found.readings]
    assert sorted(up for _, up in marks(right)) == pytest.approx(sorted(expected))
    hollow = [line for line in right.lines if line.get_markerfacecolor() == "white"]
    assert len(hollow) == sum(not each.inside for each in found.readings) == 2
    low, high = right.get_ylim()
    assert low < min(expected) <= max(expected) < high


def test_its_words_have_room(figure: Drawing) -> None:
    assert figure.figure.get_figwidth() == TWO_COLUMNS
    assert not meeting(figure)
    assert len(figure.caption.split()) < 60
    assert "The largest: GKD at net_w0.125 equals the student alone at" in figure.alt


def test_without_a_ladder_nothing_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(NotDrawnError, match="no teacher has a ladder"):
        ladder.drawings(evidence_of(tmp_path, *rungs({})), {})
