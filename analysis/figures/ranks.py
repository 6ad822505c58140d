"""Critical-difference diagram: methods on the axis of their average rank, bars joining those not told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import canvas, words
from analysis.figures.canvas import GREY, INK, ONE_COLUMN, SMALL, TWO_COLUMNS, Drawing, NotDrawnError
from analysis.figures.layout import lanes
from analysis.statistics.paired import ALPHA
from analysis.statistics.ranks import Ranking
from analysis.style import Style, display_name

STEP, BAR = 0.145, 0.075
"""Inches between two methods' names, and between two bars."""
RANK, MARK = 0.3, 0.14
"""Inches of a rank's number and of a method's mark beside its name."""
LEAST_AXIS, LONGEST_NAME = 1.2, 2.2
"""Inches: where a column leaves the axis less, the figure goes over two."""
EDGE = 0.04
"""Inches that a bar goes beyond its methods' ranks."""
WORDS, WORD_LINE = 6.5, 0.12
"""Points and inches of the lines that name the test."""


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
    data = {
        "": [{"method": method, "average_rank": rank, "n": len(found.blocks)} for method, rank in ranks.items()],
        "_pairwise": [{"method": a, "over": b, "p_holm": p} for (a, b), p in found.adjusted.items()],
    }
    order = ", ".join(f"{look[method].name} {rank:.2f}" for method, rank in ranks.items())
    alt = f"Critical-difference diagram. Average ranks, best first: {order}."
    return [Drawing("ranks", "Average ranks", _caption(found), alt, data, draw(found, look, _test(found)))]


def _test(found: Ranking) -> str:
    """What is written below the diagram."""
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.2g}"
    text = (
        f"Friedman's test over n = {len(found.blocks)} pairs: {p}. Bars join methods that Wilcoxon's signed-rank tests "
        f"(Holm) do not tell apart at {ALPHA:g}."
    )
    if found.smallest_p >= ALPHA:
        text += " With so few pairs they cannot."
    return text


def _caption(found: Ranking) -> str:
    left_out = f" Left out for their holes: {', '.join(map(display_name, found.left_out))}." if found.left_out else ""
    return (
        f"Average ranks of methods by mean test accuracy over n = {len(found.blocks)} (data set, pair) blocks; 1 is "
        f"best. Friedman's test that all rank alike, by permutation within blocks: p = {found.p:.2g} (chi-square "
        f"{found.statistic:.1f}). Bars join neighbours of which no two are told apart by Wilcoxon's signed-rank test "
        f"at {ALPHA:g}, Holm-corrected over {len(found.adjusted)} comparisons. Nemenyi's critical distance would be "
        f"{found.critical_distance:.2f}.{left_out}"
    )


def draw(found: Ranking, look: Mapping[str, Style], test: str) -> Figure:
    """The best rank stands to the left; the better half of the methods is named there. `test` names the tests below."""
    half = (len(found.methods) + 1) // 2
    entries = _entries(found, look)
    sides = entries[:half], entries[half:][::-1]
    sheet = ONE_COLUMN
    left, right = _margins(*sides, sheet)
    if sheet - left - right < LEAST_AXIS:
        sheet = TWO_COLUMNS
        left, right = _margins(*sides, sheet)
    width = sheet - left - right
    shares = dict(zip(found.methods, (entry.share for entry in entries), strict=True))
    spans = [(shares[group[0]] * width - EDGE, shares[group[-1]] * width + EDGE) for group in found.groups]
    levels = lanes([start for start, _ in spans], [end for _, end in spans], 0.04)
    under = 0.08 + (max(levels, default=-1) + 1) * BAR
    texts = words.wrapped(test, sheet - 0.1, WORDS)
    depth = under + half * STEP
    figure = canvas.sheet(sheet, 0.25 + depth + 0.06 + len(texts) * WORD_LINE + 0.05)
    axes = canvas.panel(figure, left, 0.25, width, depth)
    axes.set(xlim=(0, width), ylim=(depth, 0))
    axes.axis("off")
    _draw_axis(axes, len(entries), width)
    for (start, end), level in zip(spans, levels, strict=True):
        y = 0.08 + level * BAR
        axes.plot([start, end], [y, y], color=INK, linewidth=2.2, solid_capstyle="butt", zorder=3, clip_on=False)
    for side, members, edge in ((1, sides[0], 0.05 - left), (-1, sides[1], width + right - 0.05)):
        for i, entry in enumerate(members):
            _draw_entry(axes, entry, entry.share * width, under + (i + 0.5) * STEP, edge, side)
    for i, text in enumerate(texts):
        y = (0.05 + (len(texts) - i - 0.5) * WORD_LINE) / figure.get_figheight()
        figure.text(0.5, y, text, ha="center", va="center", fontsize=WORDS)
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
