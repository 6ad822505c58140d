"""The sheet that figures are drawn on: a paper's widths, its type and line weights, and files that repeat byte by byte.

Lengths are in inches, from the left and from the top.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.text import Text

from analysis.style import Style
from benchmark.records import atomic, write_rows

ONE_COLUMN, TWO_COLUMNS = 3.25, 6.875
"""Widths of figures in a two-column paper."""

TALLEST = 9.0
"""Height of a page's text, less its caption."""

FONT = "DejaVu Sans"
"""Comes with matplotlib, so that figures look alike on every machine."""

TEXT, SMALL, TINY = 7.5, 7.0, 6.0
"""Sizes of letters in points."""

INK, GREY, LIGHT, GRID, BAND = "#222222", "#6E6E6E", "#B8B8B8", "#E4E4E4", "#F3F3F3"
DASHED = (0, (5, 2))
DOTTED = (0, (1, 1.5))

MARK: dict[str, Any] = {"markersize": 4.8, "markeredgecolor": "black", "markeredgewidth": 0.4, "linestyle": "none"}
INCOMPLETE: dict[str, Any] = {**MARK, "fillstyle": "bottom", "markerfacecoloralt": "white"}
"""Half filled: some of the cell's seeds have no result."""

SETTINGS: dict[Any, Any] = {
    "font.family": FONT,
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.titlesize": TEXT,
    "axes.titleweight": "normal",
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": TEXT,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "xtick.minor.width": 0.4,
    "xtick.major.pad": 2.5,
    "ytick.major.pad": 2.5,
    "axes.labelpad": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    # Names may hold a dollar sign, which must not start a formula.
    "text.parse_math": False,
    # TrueType fonts, embedded: publishers refuse matplotlib's default Type 3.
    "pdf.fonttype": 42,
    "svg.hashsalt": "figures",
    "savefig.dpi": 250,
}


@contextmanager
def settings() -> Iterator[None]:
    """The look of every figure, in force while it is drawn and written."""
    with matplotlib.rc_context(SETTINGS):
        yield


class NotDrawn(Exception):
    """There is nothing to draw; the message says why, for people."""


Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Drawing:
    """A figure, the numbers it shows, and words about it.

    `name` is its files' stem; `caption` states n, interval and test, as a paper's caption must; `alt` says to those who
    cannot see it what it shows. `data` has the rows of its CSV file, and of further ones by the ends of their names.
    """

    name: str
    title: str
    caption: str
    alt: str
    data: Mapping[str, Rows]
    figure: Figure

    def write(self, folder: Path) -> list[Path]:
        """As .pdf and .png, and its data as .csv; returns their paths."""
        paths = []
        # Without dates and versions the bytes depend on the numbers alone.
        for suffix, metadata in ((".pdf", {"CreationDate": None}), (".png", {"Software": None})):
            paths.append(folder / f"{self.name}{suffix}")
            with atomic(paths[-1]) as temporary, settings():
                self.figure.savefig(temporary, format=suffix[1:], metadata=metadata)
        for end, rows in self.data.items():
            paths.append(folder / f"{self.name}{end}.csv")
            write_rows(paths[-1], rows)
        return paths

    def svg(self) -> bytes:
        """For a page that nothing else belongs to."""
        stream = BytesIO()
        with settings():
            self.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        return stream.getvalue()


def stem(name: str, dataset: str, datasets: Iterable[str]) -> str:
    """Of the files of a figure that each data set has one of."""
    return name if set(datasets) == {dataset} else f"{name}-{dataset}"


def sheet(width: float, height: float) -> Figure:
    """An empty figure that can measure its texts."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def panel(figure: Figure, left: float, top: float, width: float, height: float, **options: Any) -> Axes:
    """Axes at a place of a figure."""
    sheet_width, sheet_height = figure.get_size_inches()
    place = (left / sheet_width, 1 - (top + height) / sheet_height, width / sheet_width, height / sheet_height)
    return figure.add_axes(place, **options)


def size(axes: Axes) -> tuple[float, float]:
    """Width and height of axes."""
    place = axes.get_position()
    width, height = axes.figure.get_size_inches()
    return place.width * width, place.height * height


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
