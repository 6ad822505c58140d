"""Where things go: nothing lies over anything else, and nothing is moved further than it must be."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures import canvas, words
from analysis.figures.layout import Box, apart, clearest, lanes

numbers = st.floats(-50, 50)
rising = st.lists(numbers, min_size=1, max_size=12).map(sorted)


@given(rising, st.floats(0, 5))
def test_apart_keeps_gaps_and_order(values: list[float], gap: float) -> None:
    places = apart(values, [gap] * (len(values) - 1))
    assert all(after - before >= gap - 1e-9 for before, after in pairwise(places))


@given(rising)
def test_apart_moves_nothing_that_has_room(values: list[float]) -> None:
    assert apart(values, [0.0] * (len(values) - 1)) == pytest.approx(values)


def test_apart_moves_as_little_as_possible() -> None:
    assert apart([0.0, 0.0], [2.0]) == pytest.approx([-1, 1])
    assert apart([0.0, 0.0], [2.0], low=0.0) == pytest.approx([0, 2])
    assert apart([9.0, 9.0, 9.0], [1.0, 1.0], high=9.0) == pytest.approx([7, 8, 9])
    assert apart([], []) == []


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 3)), max_size=12))
def test_intervals_of_a_lane_do_not_overlap(intervals: list[tuple[float, float]]) -> None:
    spans = sorted((start, start + length) for start, length in intervals)
    found = lanes([start for start, _ in spans], [end for _, end in spans])
    for lane in set(found):
        members = [span for span, where in zip(spans, found, strict=True) if where == lane]
        assert all(before[1] <= after[0] for before, after in pairwise(members))


def test_as_few_lanes_as_the_most_that_overlap() -> None:
    assert lanes([0, 1, 2, 3], [2, 3, 4, 5]) == [0, 1, 0, 1]
    assert lanes([0, 2.5], [2, 3], gap=1.0) == [0, 1]


def test_the_clearest_place_is_the_first_that_covers_least() -> None:
    taken = [Box(0, 0, 2, 2)]
    inside, edge, outside, far = Box(0, 0, 1, 1), Box(1.5, 0, 2.5, 1), Box(3, 0, 4, 1), Box(8, 0, 9, 1)
    assert clearest([inside, edge, outside, far], taken) == outside
    assert clearest([inside, edge], taken) == edge
    assert inside.overlap(taken[0]) == 1
    assert outside.overlap(taken[0]) == 0


def test_a_name_that_is_too_long_for_a_line_takes_two_before_it_is_cut() -> None:
    assert words.broken("FitNet two-stage", 2.0) == "FitNet two-stage"
    assert words.broken("FitNet two-stage", 0.6) == "FitNet\ntwo-stage"
    assert words.broken("Student alone (longer)", 0.8) == "Student alone\n(longer)"
    first, second = words.broken("KD (label_smoothing)", 0.6).split("\n")
    assert (first, "…" in second) == ("KD", True)
    assert max(map(words.text_width, (first, second))) <= 0.6


def test_no_two_data_sets_share_a_file() -> None:
    names = ("set.1", "set_1", "other")
    assert len({canvas.stem("gains", name, names) for name in names}) == 3
    assert canvas.stem("gains", "other", names) == "gains-other"
    assert canvas.stem("gains", "set.1", names[:1]) == "gains"
