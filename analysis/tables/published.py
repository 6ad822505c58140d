"""Published numbers beside reproduced ones."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from analysis.statistics.cells import pair_title
from analysis.statistics.published import Match, account
from analysis.style import NO_VALUE, display_name, signed
from analysis.tables.table import Column, Field, Group, Table

HEADINGS = (
    *(("Top-1", "published"), ("Top-1", "reproduced"), ("Top-1", "difference"), ("", "Verdict")),
    *(("Gain", "published"), ("Gain", "reproduced"), ("", "n"), ("", "Epochs"), ("", "Source")),
)
"""Of columns, on two lines."""

CAPTION = (
    "Published and reproduced test top-1 accuracy (%) after the last epoch, ± SD where known. Difference: reproduced "
    "minus published (points) ± half of its 95 % CI, the least seen in this row alone. Verdict: moderated t-test, "
    "Holm-adjusted over all rows, P < 0.05. Gain: over the student alone of that source. n, epochs: ours and theirs."
)

RUNS = (
    "A number of runs that is not stated counts as one, or two where there is an SD; phases before the main epochs are "
    "not counted"
)
"""A note of the whole table."""


def published_table(matches: Sequence[Match]) -> Table:
    """A row for each reproduced cell whose number was published, grouped by pair."""
    groups = []
    for _, members in groupby(matches, key=lambda match: match.cell.block):
        own = list(members)
        rows = [(display_name(match.cell.method), _published_fields(match)) for match in own]
        groups.append(Group(pair_title(own[0].cell), rows))
    columns, data = [Column.of(*lines) for lines in HEADINGS], [*map(_published_row, matches)]
    notes, stub = (("", account(matches).rstrip(".")), ("", RUNS)), ("", "Method")
    return Table("published", "Published and reproduced", CAPTION, columns, groups, stub, notes, data)


def _published_fields(match: Match) -> tuple[Field, ...]:
    cell, published = match.cell, match.published
    return (
        Field(f"{published.value:.2f}", "" if published.std is None else f"{published.std:.2f}"),
        Field(f"{cell.top1_percent:.2f}", "" if cell.std_percent is None else f"{cell.std_percent:.2f}"),
        Field(signed(match.difference), "" if match.half_width is None else f"{match.half_width:.2f}"),
        Field(match.verdict),
        *(Field(NO_VALUE if gain is None else signed(gain)) for gain in (match.published_gain, match.reproduced_gain)),
        Field(_both(cell.n, "vs", published.n)),
        Field(_both(cell.epochs, "of", published.epochs)),
        Field(published.paper),
    )


def _both(ours: int | None, between: str, theirs: int | None) -> str:
    """`3 of 240`."""
    return f" {between} ".join(NO_VALUE if number is None else str(number) for number in (ours, theirs))


def _published_row(match: Match) -> dict[str, Any]:
    return {
        **match.cell.row("n"),
        "published_percent": match.published.value,
        "published_std": match.published.std,
        "published_n": match.published.n,
        "reproduced_percent": match.cell.top1_percent,
        "reproduced_std": match.cell.std_percent,
        "difference_points": match.difference,
        "half_width_points": match.half_width,
        "p_holm": match.p,
        "verdict": match.verdict,
        "published_gain_points": match.published_gain,
        "reproduced_gain_points": match.reproduced_gain,
        "epochs": match.cell.epochs,
        "published_epochs": match.published.epochs,
        "paper": match.published.paper,
        "source": match.published.source,
    }
