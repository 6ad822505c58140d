"""What results/README tells of students near to their teacher, or to a stranger, is what the committed runs say."""

from collections.abc import Callable, Iterator

import nearness
import pytest
from documented import read
from nearness import OWN, STRANGER, trained_here


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        (nearness.of_published_students, 8),
        (nearness.of_published_students_beside_a_stranger, 7),
        (nearness.of_students_trained_here, 6),
        (nearness.of_what_is_the_teachers_own, 5),
    ],
)
def test_students_are_told_as_they_were_measured(rows: Callable[[], Iterator[str]], count: int) -> None:
    page, measured = read("results", "README.md"), [*rows()]
    assert len(measured) == count
    assert [row for row in measured if row not in page] == []


def test_three_quarters_of_the_distances_handed_over_are_common() -> None:
    alone, *taught = (trained_here("distance_correlation", each).mean() for each in ("student", "kd", "rkd_d"))
    gained = [each - alone for each in taught]
    assert [f"{each[OWN]:.2f}" for each in gained] == ["0.19", "0.19"]
    assert sorted(f"{each[STRANGER]:.2f}" for each in gained) == ["0.14", "0.15"]
    assert [each[STRANGER] / each[OWN] for each in gained] == pytest.approx([0.775, 0.775], abs=0.025)
    for method, (given, common) in {"sp": ("0.21", 0.84), "rkd_da": ("0.22", 0.73)}.items():
        each = trained_here("distance_correlation", method).mean() - alone
        assert (f"{each[OWN]:.2f}", f"{each[STRANGER] / each[OWN]:.2f}") == (given, f"{common:.2f}")
    told = "0.19 more of its teacher's distances than labels do, and 0.14 to 0.15 more of the stranger's"
    assert told in " ".join(read("README.md").split())
