"""Methods on the axis of their average rank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import canvas, words
from analysis.figures.canvas import GREY, INK, ONE_COLUMN, SMALL, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.statistics.ranks import Ranking
from analysis.style import Style, count, display_name

STEP = 0.145
"""Inches between two methods' names."""
RANK, MARK = 0.3, 0.14
"""Inches of a rank's number and of a method's mark beside its name."""
LEAST_AXIS, LONGEST_NAME = 1.2, 2.2
"""Inches: where a column leaves the axis less, the figure goes over two."""


@dataclass(frozen=True)
class Entry:
    """A method's name, its average rank, where that is on the axis as a share of it, and its look."""

    name: str
    rank: float
    share: float
    style: Style

    @property
    def width(self) -> float:
        """Inches of rank, mark and name."""
        return RANK + MARK + words.text_width(self.name, SMALL) + 0.05


def drawings(found: Ranking | None, look: Mapping[str, Style]) -> list[Drawing]:
    """One figure for all data sets. Raises NotDrawnError if there are not two methods on two pairs."""
    if found is None:
        raise NotDrawnError("average ranks need two methods with results on two pairs")
    ranks = dict(zip(found.methods, found.average, strict=True))
    data = {"": [{"method": method, "average_rank": rank, "n": len(found.blocks)} for method, rank in ranks.items()]}
    order = ", ".join(f"{look[method].name} {rank:.2f}" for method, rank in ranks.items())
    alt = f"Average ranks, best first: {order}."
    return [Drawing("ranks", "Average ranks", _caption(found), alt, data, draw(found, look))]


def _caption(found: Ranking) -> str:
    left_out = f" Left out for their holes: {', '.join(map(display_name, found.left_out))}." if found.left_out else ""
    test = "" if found.p is None else f" Friedman's test that all rank alike: P = {found.p:.2g}."
    return (
        f"Average ranks of methods by mean test accuracy over {count(len(found.blocks), 'pair')}, within "
        f"{count(found.datasets, 'data set')} first; 1 is best.{test}{left_out}"
    )


def draw(found: Ranking, look: Mapping[str, Style]) -> Figure:
    """The best rank stands to the left; the better half of the methods is named there."""
    half = (len(found.methods) + 1) // 2
    entries = _entries(found, look)
    sides = entries[:half], entries[half:][::-1]
    sheet = ONE_COLUMN
    left, right = _margins(*sides, sheet)
    if sheet - left - right < LEAST_AXIS:
        sheet = TWO_COLUMNS
        left, right = _margins(*sides, sheet)
    width = sheet - left - right
    under, depth = 0.08, 0.08 + half * STEP
    figure = canvas.sheet(sheet, 0.25 + depth + 0.1)
    axes = canvas.panel(figure, left, 0.25, width, depth)
    axes.set(xlim=(0, width), ylim=(depth, 0))
    axes.axis("off")
    _draw_axis(axes, len(entries), width)
    for side, members, edge in ((1, sides[0], 0.05 - left), (-1, sides[1], width + right - 0.05)):
        for i, entry in enumerate(members):
            _draw_entry(axes, entry, entry.share * width, under + (i + 0.5) * STEP, edge, side)
    return figure


def _entries(found: Ranking, look: Mapping[str, Style]) -> list[Entry]:
    span = max(1, len(found.methods) - 1)
    return [
        Entry(words.shortened(words.printable(look[m].name), LONGEST_NAME, SMALL), rank, (rank - 1) / span, look[m])
        for m, rank in zip(found.methods, found.average, strict=True)
    ]


def _margins(left: Sequence[Entry], right: Sequence[Entry], sheet: float) -> tuple[float, float]:
    """The narrowest that let every name end before its line comes down from the axis."""
    before = after = 0.15
    while before + after < sheet:
        width = sheet - before - after
        wider = [
            any(before + entry.share * width < entry.width + 0.1 for entry in left),
            any(after + (1 - entry.share) * width < entry.width + 0.1 for entry in right),
        ]
        if not any(wider):
            break
        before, after = before + 0.01 * wider[0], after + 0.01 * wider[1]
    return before, after


def _draw_axis(axes: Axes, methods: int, width: float) -> None:
    axes.plot([0, width], [0, 0], color=INK, linewidth=0.8, clip_on=False)
    apart = width / max(1, methods - 1)
    step = next(step for step in (1, 2, 5, 10, methods) if step * apart >= 0.2 or step == methods)
    for rank in range(1, methods + 1):
        x, numbered = (rank - 1) * apart, (rank - 1) % step == 0
        axes.plot([x, x], [0, -0.05 if numbered else -0.03], color=INK, linewidth=0.6, clip_on=False)
        if numbered:
            axes.text(x, -0.07, str(rank), ha="center", va="bottom", fontsize=SMALL)


def _draw_entry(axes: Axes, entry: Entry, x: float, y: float, edge: float, side: int) -> None:
    """From the outside in: rank, mark, name, and a line to the place on the axis."""
    name_at = edge + side * (RANK + MARK)
    axes.plot([x, x, edge + side * entry.width], [0, y, y], color=GREY, linewidth=0.6, clip_on=False, zorder=1)
    mark_at = edge + side * (RANK + MARK / 2 - 0.01)
    axes.plot(mark_at, y, color=entry.style.colour, marker=entry.style.marker, clip_on=False, **canvas.MARK)
    align = "left" if side > 0 else "right"
    axes.text(edge, y, f"{entry.rank:.2f}", color=GREY, ha=align, va="center_baseline", fontsize=SMALL)
    axes.text(name_at, y, entry.name, ha=align, va="center_baseline", fontsize=SMALL)
