"""Results in many situations, drawn once: the figures are only looked at."""

from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import mkdtemp

import drawn_grids as grids
import fake_results as fake
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox

from analysis.figures import Drawing, draw_figures
from analysis.runs.load import Results, load
from analysis.statistics.cells import Cell
from analysis.statistics.evidence import Evidence, collect_evidence
from analysis.statistics.published import Match, Published

LONG = (
    ("vision_transformer_large_patch16_224", "mobilenetv3_small_100.lamb_in1k"),
    ("convnextv2_base.fcmae_ft_in22k", "efficientformerv2_s0.snap_dist_in1k"),
    ("resnet56", "resnet20"),
)
ODD = ("student", "kd", "rkd_da[distance=10,angle=20.5]", "größe_$x^2", "方法 & 100%", "kd+rkd_da+gkd[p=2,k=5]")
ALL = [
    "figure1",
    "accuracy_vs_budget",
    "gains",
    "ranks",
    "learning_curves",
    "relation_vs_gain",
    "published_vs_reproduced",
]
NO_CURVES = [name for name in ALL if name not in ("learning_curves", "relation_vs_gain")]
NO_RANKS = [name for name in ALL if name != "ranks"]
APPENDIX = "budget_appendix"
"""Goes with accuracy_vs_budget where budgets say the same."""


SITUATIONS = {
    "small": ALL,
    "measured": NO_CURVES,
    "published": ALL,
    "one pair": NO_RANKS,
    "one seed": ALL,
    "one method": ["accuracy_vs_budget", "learning_curves"],
    "one run": ["accuracy_vs_budget", "learning_curves"],
    "odd names": ALL,
    "holes": ALL,
    "two data sets": [
        *(
            "figure1",
            "accuracy_vs_budget-cifar100",
            "accuracy_vs_budget-digits",
            "gains",
            "ranks",
            "learning_curves-cifar100",
        ),
        *("relation_vs_gain", "published_vs_reproduced"),
    ],
}
"""The figures that each has, appendices apart."""


@cache
def results(situation: str) -> Results:
    """Results of a situation, made once; they are only read."""
    path = Path(mkdtemp()) / situation
    methods = list(grids.GAINS)
    match situation:
        case "small":
            grids.write(path, grids.PAIRS[:2], ["student", "kd", "fitnet", "sp", "rkd_d", "rkd_a", "rkd_da", "gkd"], 3)
        case "measured":
            fake.full_grid(path)
            fake.measure(path)
        case "published":
            grids.write(path, seeds=2)
        case "two data sets":
            grids.write(path, grids.PAIRS[:2], methods[:5], 2)
            fake.full_grid(path.parent / "digits")
            return load([path, path.parent / "digits"])
        case "one pair":
            grids.write(path, grids.PAIRS[5:6], seeds=3)
        case "one seed":
            grids.write(path, grids.PAIRS[:3], methods[:4], 1)
        case "one method":
            grids.write(path, grids.PAIRS[:2], ["kd"], 2)
        case "one run":
            grids.write(path, grids.PAIRS[:1], ["kd"], 1)
        case "odd names":
            grids.write(path, LONG, ODD, 3, dataset="a_rather_long_name_of_a_data_set_64x64")
        case "holes":
            grids.write(path, grids.PAIRS[:4], methods[:6], 3)
            for record in sorted((path / "records").iterdir())[::5]:
                record.unlink()
    return load([path])


def matches(evidence: Evidence) -> list[Match]:
    """As if every gain had been published, some far off, of a training ten times as long."""
    found = [(cell, evidence.gains.get((cell.dataset, cell.pair, cell.method))) for cell in evidence.cells]
    return [_match(cell, gain.gain, i) for i, (cell, gain) in enumerate(found) if gain]


def _match(cell: Cell, gain: float, i: int) -> Match:
    assert cell.epochs
    published = Published("A paper", "a table", 70.0, 0.2 if i % 2 else None, None, 10 * cell.epochs)
    return Match(cell, published, 0.0, None, None, gain - (i % 5 - 2) * 0.8, gain)


@cache
def drawn(situation: str) -> tuple[list[Drawing], list[str]]:
    found = results(situation)
    evidence = collect_evidence(found.runs)
    return draw_figures(found, replace(evidence, matches=matches(evidence)), figure1=True)


def texts(figure: Drawing) -> list[Text]:
    """Every text that can be seen. Ticks beyond the ends of their axis are made and never drawn."""
    found = [*figure.figure.texts, *(artist for artist in figure.figure.artists if isinstance(artist, Text))]
    for axes in figure.figure.axes:
        found += axes.texts
        found += [] if not axes.axison else [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]  # type: ignore[attr-defined]
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low - 1e-9 <= tick.get_loc() <= high + 1e-9]
            found += [tick.label1 for tick in ticks]
    return [text for text in found if text.get_text() and text.get_visible()]


def extents(figure: Drawing) -> list[tuple[str, Bbox]]:
    """Texts with their places in points."""
    figure.figure.draw_without_rendering()
    scale = Affine2D().scale(72 / figure.figure.dpi)
    return [(text.get_text(), text.get_window_extent().transformed(scale)) for text in texts(figure)]


def meeting(figure: Drawing) -> list[tuple[str, str]]:
    """Texts that lie over each other. Boxes of letters include room for accents and tails: a little may be shared."""
    pairs = combinations(extents(figure), 2)
    both = [(one, other, Bbox.intersection(first, second)) for (one, first), (other, second) in pairs]
    return [
        (one, other) for one, other, shared in both if shared is not None and min(shared.width, shared.height) >= 1.8
    ]


def marks(axes: Axes) -> list[tuple[float, float]]:
    """Of methods: places and accuracies."""
    shown = [line for line in axes.lines if line.get_linestyle() == "None" and line.get_marker() != "|"]
    lines = [line.get_xydata() for line in shown if line.get_markerfacecolor() != "none"]
    return [(float(across), float(up)) for line in lines for across, up in line]


def figure_named(situation: str, name: str) -> Drawing:
    return next(figure for figure in drawn(situation)[0] if figure.name == name)
