"""Methods by their average rank, among the ranks of which it is the mean."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from scipy.stats import rankdata

from analysis.figures import canvas, words
from analysis.figures.canvas import GREY, ONE_COLUMN, SMALL, Drawing, NotDrawnError
from analysis.runs.metrics import Metric
from analysis.statistics.evidence import Evidence
from analysis.statistics.places import Block
from analysis.statistics.ranks import Ranking
from analysis.style import Style, count, display_name

ROW, AROUND = 0.19, 0.5
"""Inches of a method, and of the axis and its label."""


def drawings(evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """One figure for all data sets. Raises NotDrawnError if there are not two methods on two pairs."""
    found = evidence.ranking
    if found is None:
        raise NotDrawnError("average ranks need two methods with results on two pairs")
    ranks = by_pair(found, evidence)
    data = [
        {"method": method, "average_rank": average, "dataset": dataset, "pair": pair, "rank": rank}
        for method, average in zip(found.methods, found.average, strict=True)
        for (dataset, pair), rank in ranks[method].items()
    ]
    listed = ", ".join(f"{look[m].name} {rank:.2f}" for m, rank in zip(found.methods, found.average, strict=True))
    alt = f"Average ranks, best first: {listed}."
    return [
        Drawing("ranks", "Average ranks", _caption(found, evidence.metric), alt, {"": data}, draw(found, ranks, look))
    ]


def _caption(found: Ranking, metric: Metric) -> str:
    left_out = f" Left out for their holes: {', '.join(map(display_name, found.left_out))}." if found.left_out else ""
    test = "" if found.p is None else f" Friedman's test that all rank alike: P = {found.p:.2g}."
    within = f", within {count(found.datasets, 'data set')} first" if found.datasets > 1 else ""
    return (
        f"Average ranks by mean {metric.noun} over {count(len(found.blocks), 'pair')}{within}; 1 is best. Bars: the "
        f"ranks on single pairs.{test}{left_out}"
    )


def by_pair(found: Ranking, evidence: Evidence) -> dict[str, dict[Block, float]]:
    """Of each ranked method: its rank on each pair that counts."""
    ranks: dict[str, dict[Block, float]] = {method: {} for method in found.methods}
    for block in found.blocks:
        means = {cell.method: cell.top1_percent for cell in evidence.cells if cell.block == block}
        scores = rankdata([-evidence.metric.sign * (means[method] or 0.0) for method in found.methods])
        for method, rank in zip(found.methods, scores, strict=True):
            ranks[method][block] = float(rank)
    return ranks


def draw(found: Ranking, ranks: Mapping[str, Mapping[Block, float]], look: Mapping[str, Style]) -> Figure:
    """A row for each method, the best above."""
    figure = canvas.sheet(ONE_COLUMN, ROW * len(found.methods) + AROUND)
    axes = figure.subplots()
    for y, (method, average) in enumerate(zip(found.methods, found.average, strict=True)):
        style, single = look[method], list(ranks[method].values())
        # A bar for each pair, one beside another where their ranks are the same.
        for rank in set(single):
            high = 0.09 * single.count(rank) ** 0.5
            axes.vlines(rank, y - high, y + high, colors=GREY, linewidth=1.2, alpha=0.6, zorder=2)
        axes.plot(average, y, color=style.colour, marker=style.marker, zorder=3, clip_on=False, **canvas.MARK)
        axes.axhline(y, color=canvas.GRID, linewidth=0.5, zorder=0)
    names = [words.shortened(words.printable(look[method].name), 1.2, SMALL) for method in found.methods]
    labels = [f"{name}  {average:.1f}" for name, average in zip(names, found.average, strict=True)]
    axes.set_yticks(range(len(names)), labels)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(0.7, len(names) + 0.3))
    axes.set_xlabel("Rank (1 is best)", fontsize=SMALL)
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    axes.set_xticks(range(1, len(names) + 1, -(-len(names) // 10)))
    return figure
