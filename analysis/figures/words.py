"""Words and legends of figures: how wide they are, how they are shortened, how many stand side by side.

Lengths are in inches.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D

from analysis.figures.canvas import FONT, GREY, MARK, SMALL, TEXT
from analysis.style import Style


def text_width(text: str, points: float = TEXT, weight: str = "normal") -> float:
    """Of the longest line."""
    return max(_line_width(line, points, weight) for line in text.split("\n"))


@cache
def _line_width(line: str, points: float, weight: str) -> float:
    font = get_font(findfont(FontProperties(family=FONT, weight=weight)))
    # Large letters are not fitted to pixels, so that their width scales.
    font.set_size(100, 72)
    font.set_text(line, 0.0)
    return float(font.get_width_height()[0]) / 64 / 72 * points / 100


@cache
def _characters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=FONT))).get_charmap())


def printable(text: str) -> str:
    """A name on one line; a character that the figures' font lacks stands as its code point."""
    line = " ".join(text.split())
    return "".join(letter if ord(letter) in _characters() else f"[U+{ord(letter):04X}]" for letter in line)


def shortened(text: str, width: float, points: float = TEXT) -> str:
    """Text cut in its middle, where names of one kind are most alike, until it is no wider than `width`."""
    if text_width(text, points) <= width:
        return text

    def short(kept: int) -> str:
        return f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"

    fitting = bisect_right(range(2, len(text)), width, key=lambda kept: text_width(short(kept), points))
    return short(fitting + 1) if fitting else "…"


def broken(text: str, width: float, points: float = TEXT) -> str:
    """Text on one line where it has room, else on two, broken at the space that leaves the longer one shortest; each
    `shortened`."""
    breaks = [(text[:i], text[i + 1 :]) for i, letter in enumerate(text) if letter == " "]
    if text_width(text, points) <= width or not breaks:
        return shortened(text, width, points)
    lines = min(breaks, key=lambda two: max(text_width(line, points) for line in two))
    return "\n".join(shortened(line, width, points) for line in lines)


def far(named: Sequence[str]) -> str:
    """What a figure's scale leaves out, for its caption."""
    said = named[0] if len(named) == 1 else f"{len(named)} cells"
    return f" Not shown, far from all others: {said}." if named else ""


def mark(style: Style) -> Line2D:
    """A method in a legend."""
    return Line2D([], [], color=style.colour, marker=style.marker, label=printable(style.name), **MARK)


def line(label: str, **look: Any) -> Line2D:
    """A kind of line in a legend."""
    return Line2D([], [], label=label, **{"color": GREY, "linewidth": 0.8, **look})


def legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Below all panels, in as many columns as the sheet is wide."""
    columns = _columns(handles, figure.get_figwidth())
    figure.legend(handles=handles, loc="outside lower left", ncols=columns)


def legend_height(handles: Sequence[Line2D], width: float) -> float:
    """What `legend` takes of a sheet of that width."""
    return 0.08 + 0.145 * -(-len(handles) // _columns(handles, width))


def _columns(handles: Sequence[Line2D], width: float) -> int:
    widest = max(text_width(str(handle.get_label()), SMALL) for handle in handles)
    return min(len(handles), max(1, int((width - 0.1) / (widest + 0.36))))
