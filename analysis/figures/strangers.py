"""Strangers: how near students are to the teacher that they learnt from, each beside how near they are to teachers of
other seeds, which they never saw."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.lines import Line2D

from analysis.figures import beside, canvas, words
from analysis.figures.beside import TICK, Beside
from analysis.figures.canvas import Drawing
from analysis.statistics.evidence import Evidence
from analysis.statistics.strangers import MEASURES, Nearness
from analysis.style import Style, explained, signed, spanned
from benchmark.metrics import METRICS


def drawings(found: Sequence[Nearness], evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """A figure for each data set, with a panel for each measure that its predictions allow. Raises NotDrawnError where
    rows are more than a page holds."""
    datasets = {each.dataset for each in found}

    def of_dataset(own: Sequence[Nearness]) -> Drawing:
        dataset = own[0].dataset
        measures = [name for name in MEASURES if any(each.measure == name for each in own)]
        figure = beside.draw([*map(_beside, own)], measures, _legend(own), evidence, look)
        title = f"Own teacher and strangers on {dataset}"
        data = {"": [each.row() for each in own]}
        name = canvas.stem("strangers", dataset, datasets)
        return Drawing(name, title, _caption(own), _alt(own, measures[-1], look), data, figure)

    return beside.by_dataset(found, of_dataset)


def _beside(each: Nearness) -> Beside:
    place = each.dataset, each.pair, each.method, each.measure
    return Beside(*place, each.own, each.strangers, each.more.interval(), each.mark)


def _legend(found: Sequence[Nearness]) -> list[Line2D]:
    handles = [Line2D([], [], label="Beside teachers of other seeds", **TICK)]
    if any(each.more.interval() for each in found):
        handles.append(words.line("95 % interval of the difference", linewidth=1.0))
    return handles


def _caption(found: Sequence[Nearness]) -> str:
    said = explained((each.mark for each in found), "nearer to the own", "less near to the own")
    seeds = sorted({each.n for each in found})
    return (
        "How near students are to the teacher that they learnt from, beside how near they are to teachers of other "
        f"seeds, which they never saw: KL (lower is nearer) and correlations; means over {spanned(seeds)} students; "
        f"{', '.join(said) or 'no difference established'} (moderated t-test over seeds, Holm-adjusted "
        "over cells, P < 0.05)."
    )


def _alt(found: Sequence[Nearness], measure: str, look: Mapping[str, Style]) -> str:
    """With means over pairs."""
    more: dict[str, list[float]] = {}
    for each in found:
        if each.measure == measure:
            more.setdefault(each.method, []).append(each.more.value)
    listed = ", ".join(f"{look[method].name} {signed(fmean(own), 1)}" for method, own in more.items())
    return (
        "Nearness to the own teacher and to strangers by method. "
        f"{METRICS[measure].title}, own less strangers ({METRICS[measure].unit.differences}): {listed}."
    )
