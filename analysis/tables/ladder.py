"""Budget saved: how many times fewer MACs a taught student takes than the student alone of the same accuracy."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from analysis.statistics.cells import pair_title
from analysis.statistics.ladder import Ladder, Reading, on_ladder
from analysis.style import display_name
from analysis.tables.table import Column, Field, Group, Table

HEADINGS = ("Accuracy", "Student alone at [95 % CI]", "Times fewer MACs [95 % CI]")


def ladder_table(found: Sequence[Ladder]) -> Table:
    """A row for each method, grouped by rung."""
    groups, data = [], []
    for ladder in found:
        for pair, members in groupby(ladder.readings, key=lambda reading: reading.cell.pair):
            readings = list(members)
            alone = next(rung for rung in ladder.rungs if rung.pair == pair)
            rows = [(display_name(each.cell.method), _fields(each, ladder)) for each in readings]
            groups.append(Group(f"{pair_title(alone)} (alone {alone.top1_percent:.2f})", rows))
            data += [_row(each, ladder) for each in readings]
    return Table("ladder", "Budget saved", CAPTION, [*map(Column.of, HEADINGS)], groups, notes=NOTES, data=data)


CAPTION = (
    "Gains read sideways: the size at which the student alone reaches a method's mean accuracy, and how many times the "
    "method's MACs that is. Between students the accuracy of the student alone is taken as linear in the logarithm of "
    "MACs. Intervals by draws of all means from their moderated t, not corrected for their number."
)

NOTES = (("", "Beyond the smallest and the largest student nothing is extrapolated: < and > are bounds"),)


def _fields(reading: Reading, ladder: Ladder) -> tuple[Field, ...]:
    accuracy = Field(f"{reading.cell.top1_percent:.2f}")
    return accuracy, Field(ladder.size(reading)), Field(ladder.times_fewer(reading))


def _row(reading: Reading, ladder: Ladder) -> dict[str, Any]:
    """Without a number where the ladder ends before it, `beyond` which end."""
    values = {"equal": reading.equal, "equal_low": reading.low, "equal_high": reading.high}
    row = reading.cell.row("n", "top1_percent") | {"macs": reading.macs}
    row |= {f"{name}_macs": on_ladder(value) for name, value in values.items()}
    for name, value in values.items():
        row[name.replace("equal", "times_fewer")] = held / reading.macs if (held := on_ladder(value)) else None
    return row | {"beyond": "" if on_ladder(reading.equal) else "largest" if reading.equal else "smallest"}
