"""Published numbers beside reproduced ones."""

from collections.abc import Sequence
from typing import Any

from analysis.statistics.cells import pair_title
from analysis.statistics.published import Match, apart
from analysis.style import NO_VALUE, display_name, signed
from analysis.tables.table import Column, Field, Group, Table

HEADINGS = (
    *(("Top-1", "published"), ("Top-1", "reproduced"), ("Top-1", "difference"), ("Gain", "published")),
    *(("Gain", "reproduced"), ("", "n"), ("", "Epochs"), ("", "Source")),
)
"""Of columns, on two lines."""


def published_table(matches: Sequence[Match]) -> Table:
    """A row for each reproduced cell whose number was published, grouped by pair."""
    places = dict.fromkeys((match.cell.dataset, match.cell.pair) for match in matches)
    groups = []
    for place in places:
        members = [match for match in matches if (match.cell.dataset, match.cell.pair) == place]
        rows = tuple((display_name(match.cell.method), _published_fields(match)) for match in members)
        groups.append(Group(pair_title(members[0].cell), rows))
    columns = tuple(Column(" ".join(filter(None, lines)), lines) for lines in HEADINGS)
    data = tuple(map(_published_row, matches))
    return Table(
        "published", _published_caption(matches), ("", "Method"), columns, tuple(groups), (), data, len(columns)
    )


def _published_caption(matches: Sequence[Match]) -> str:
    return (
        "Published and reproduced test top-1 accuracy (%) after the last epoch, ± standard deviation where known. "
        "Difference: reproduced minus published in percentage points, ± half of the 95 % interval of the reproduced "
        "mean over n runs. Gain: over the student alone of the same source, respectively of the same seeds, in "
        "percentage points. Epochs: of this training and of the published one, phases before it not counted. "
        f"{apart(matches)}"
    )


def _published_fields(match: Match) -> tuple[Field, ...]:
    return (
        Field(f"{match.published:.2f}", "" if match.published_std is None else f"{match.published_std:.2f}"),
        Field(f"{match.reproduced:.2f}", "" if match.cell.std_percent is None else f"{match.cell.std_percent:.2f}"),
        Field(signed(match.difference), "" if match.half_width is None else f"{match.half_width:.2f}"),
        *(Field(NO_VALUE if gain is None else signed(gain)) for gain in (match.published_gain, match.reproduced_gain)),
        Field(str(match.cell.n)),
        Field(_epochs(match)),
        Field(match.paper),
    )


def _epochs(match: Match) -> str:
    """`3 of 240`."""
    known = (match.cell.epochs, match.published_epochs)
    return " of ".join(NO_VALUE if epochs is None else str(epochs) for epochs in known)


def _published_row(match: Match) -> dict[str, Any]:
    return {
        **match.cell.row("n"),
        "published_percent": match.published,
        "published_std": match.published_std,
        "reproduced_percent": match.reproduced,
        "reproduced_std": match.cell.std_percent,
        "difference_points": match.difference,
        "half_width_points": match.half_width,
        "published_gain_points": match.published_gain,
        "reproduced_gain_points": match.reproduced_gain,
        "epochs": match.cell.epochs,
        "published_epochs": match.published_epochs,
        "paper": match.paper,
        "source": match.source,
    }
