"""The sheet that figures are drawn on: a paper's widths, its type and line weights, and files that repeat byte by byte.

Lengths are in inches.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.statistics.gains import Comparison
from analysis.style import Style
from benchmark.ground.files import atomic, write_rows
from benchmark.spec import digest

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

STEPS = (1, 2, 5, 10)
"""Of the numbers on an axis (`Axes.locator_params`)."""

MARK: dict[str, Any] = {"markersize": 4.8, "markeredgecolor": "black", "markeredgewidth": 0.4, "linestyle": "none"}
SMALL_MARK: dict[str, Any] = {**MARK, "markersize": 3.4}
"""Where there are many."""

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
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.2,
    "legend.labelspacing": 0.3,
    "legend.handlelength": 1.4,
    "legend.borderpad": 0.2,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
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
    "figure.dpi": 250,
    "savefig.dpi": "figure",
}


@contextmanager
def settings() -> Iterator[None]:
    """The look of every figure, in force while it is drawn and written, whatever the user's own matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


class NotDrawnError(Exception):
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

    @property
    def wide(self) -> bool:
        """Whether it goes over both columns."""
        return float(self.figure.get_figwidth()) > ONE_COLUMN

    @property
    def height(self) -> float:
        """In a paper, in its own inches."""
        return float(self.figure.get_figheight())

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
    others = {_plain(each) for each in datasets if each != dataset}
    if not others:
        return name
    plain = _plain(dataset)
    return f"{name}-{plain}{f'-{digest(dataset)}' if plain in others else ''}"


def _plain(dataset: str) -> str:
    """As a file may be called everywhere, and LaTeX includes it."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", dataset)


def sheet(width: float, height: float) -> Figure:
    """An empty figure that can measure its texts, and makes room for all of them by itself."""
    figure = Figure(figsize=(width, min(height, TALLEST)), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def lay_out(figure: Figure) -> None:
    """Find the places of all panels and keep them, so that names can be put where there is room."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def draw_marks(axes: Axes, marks: Iterable[tuple[float, float, Style]], form: Mapping[str, Any] = MARK) -> None:
    """Marks at their places; those of one look together, because hundreds of artists take long to draw."""
    found: dict[Style, list[tuple[float, float]]] = {}
    for x, y, style in marks:
        found.setdefault(style, []).append((x, y))
    for style, places in found.items():
        axes.plot(*zip(*places, strict=True), color=style.colour, marker=style.marker, zorder=3, **form)


def draw_mean(axes: Axes, compared: Comparison, y: float, style: Style, form: Mapping[str, Any] = MARK) -> None:
    """A gain over pairs with its interval for these pairs, and thin for pairs like these."""
    if compared.elsewhere:
        axes.hlines(y, compared.elsewhere.low, compared.elsewhere.high, colors=GREY, linewidth=0.5, zorder=2)
    if compared.interval:
        axes.hlines(y, compared.interval.low, compared.interval.high, colors=INK, linewidth=1.4, zorder=3)
    axes.plot(compared.gain, y, color=style.colour, marker=style.marker, zorder=4, **form)


def point_beyond(axes: Axes, x: float, y: float, number: str) -> None:
    """An arrow with a number at the edge that it lies beyond."""
    low, high = axes.get_xlim()
    end, text, side = (low, f"← {number}", "left") if x < low else (high, f"{number} →", "right")
    axes.text(end, y, text, fontsize=TINY, ha=side, va="center")


def size(axes: Axes) -> tuple[float, float]:
    """Width and height of axes, once they are laid out."""
    box = axes.get_window_extent()
    return float(box.width / axes.figure.dpi), float(box.height / axes.figure.dpi)
