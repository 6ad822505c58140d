"""Words and legends of figures: how wide they are, how they are broken and shortened, and where their lines go.

Lengths are in inches.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.text import Text

from analysis.figures.canvas import FONT, GREY, INK, MARK, TEXT
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
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if text_width(short, points) <= width:
            return short
    return "…"


def mark(style: Style) -> Line2D:
    """A method in a legend."""
    return Line2D([], [], color=style.colour, marker=style.marker, label=printable(style.name), **MARK)


def line(label: str, **look: Any) -> Line2D:
    """A kind of line in a legend."""
    return Line2D([], [], label=label, **{"color": GREY, "linewidth": 0.8, **look})


def note(text: str) -> Line2D:
    """Words in a legend that stand for themselves."""
    return Line2D([], [], linestyle="none", label=text)


GAP, LINE = 0.17, 0.15
"""Between the entries of a legend, and from one of its lines to the next."""


def _sample(handle: Line2D) -> float:
    """Width of the line or mark before an entry's label."""
    if handle.get_linestyle() != "None":
        return 0.26
    return 0.0 if handle.get_marker() == "None" else 0.14


def legend_lines(handles: Sequence[Line2D], width: float) -> list[list[Line2D]]:
    """Entries as text flows: line by line."""
    lines: list[list[Line2D]] = []
    used = width
    for handle in handles:
        wide = _sample(handle) + text_width(str(handle.get_label()))
        if not lines or used + wide > width:
            lines.append([])
            used = 0.0
        lines[-1].append(handle)
        used += wide + GAP
    return lines


def draw_legend(figure: Figure, lines: Iterable[Sequence[Line2D]], left: float, top: float) -> None:
    """The lines of a legend below each other, beginning at a place."""
    width, height = figure.get_size_inches()
    for i, handles in enumerate(lines):
        x, y = left, 1 - (top + (i + 0.5) * LINE) / height
        for handle in handles:
            sample, label = _sample(handle), str(handle.get_label())
            if sample:
                shown = Line2D([], [], transform=figure.transFigure)
                shown.update_from(handle)
                ends = [x, x + 0.2] if sample > 0.2 else [x + 0.05]
                shown.set_data([end / width for end in ends], [y] * len(ends))
                figure.add_artist(shown)
            figure.add_artist(Text((x + sample) / width, y, label, va="center_baseline", fontsize=TEXT, color=INK))
            x += sample + text_width(label) + GAP


def wrapped(text: str, width: float, points: float = TEXT) -> list[str]:
    """Words in lines no wider than `width`."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, points) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
