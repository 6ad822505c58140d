"""Fidelity: how often students answer as their teacher does where it is right and where it is wrong, and how often with
its second choice, each beside what students alone of the same accuracy would."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.lines import Line2D

from analysis.figures import beside, canvas, words
from analysis.figures.beside import TICK, Beside
from analysis.figures.canvas import GREY, Drawing, NotDrawnError
from analysis.statistics.evidence import Evidence
from analysis.statistics.fidelity import FAR, MEASURES, Fidelity
from analysis.style import CONTROL, Style, count, explained, signed, spanned


def drawings(found: Sequence[Fidelity], evidence: Evidence, look: Mapping[str, Style]) -> list[Drawing]:
    """A figure for each data set, of the pairs with something to compare with. Raises NotDrawnError if there is none,
    or more than a page holds.
    """
    compared = {each.block for each in found if each.excess is not None}
    shown = [each for each in found if each.block in compared]
    shown = [each for each in shown if each.excess is not None or each.method == CONTROL]
    if not shown:
        raise NotDrawnError("no pair has a method and the student alone with predictions")
    datasets = {each.dataset for each in shown}

    def of_dataset(own: Sequence[Fidelity]) -> Drawing:
        dataset = own[0].dataset
        figure = beside.draw([*map(_beside, own)], MEASURES, _legend(own), evidence, look)
        title = f"Fidelity to the teacher on {dataset}"
        data = {"": [each.row() for each in own]}
        return Drawing(canvas.stem("fidelity", dataset, datasets), title, _caption(own), _alt(own, look), data, figure)

    return beside.by_dataset(shown, of_dataset)


def _beside(each: Fidelity) -> Beside:
    assert each.observed.mean is not None
    expected = each.expected.mean if each.expected else None
    difference = each.estimate.interval() if each.estimate else None
    place = each.dataset, each.pair, each.method, each.measure
    return Beside(*place, each.observed.mean, expected, difference, each.mark, _far(each))


def _far(each: Fidelity) -> bool:
    return each.moved is not None and abs(each.moved) > FAR


def _legend(found: Sequence[Fidelity]) -> list[Line2D]:
    handles = [Line2D([], [], label="Expected of students alone as accurate", **TICK)]
    if any(each.interval for each in map(_beside, found)):
        handles.append(words.line("95 % interval of the difference", linewidth=1.0))
    if any(map(_far, found)):
        hollow = {**canvas.MARK, "markerfacecolor": "white", "markeredgecolor": GREY, "marker": "o"}
        handles.append(Line2D([], [], label=f"Not tested: more than {FAR:g} point of accuracy apart", **hollow))
    return handles


def _caption(found: Sequence[Fidelity]) -> str:
    said = explained((each.mark for each in found), "above", "below")
    tested = sum(each.p_holm is not None for each in found if each.measure == MEASURES[0])
    seeds = sorted({each.observed.n for each in found})
    established = ", ".join(said) if said else "no difference established"
    test = f"; {established} (moderated t-test, Holm-adjusted over cells, P < 0.05)" if tested else ""
    return (
        "Share of test images that student and teacher give one class, where the teacher is right and where it is "
        "wrong, and of the student's other answers that are the teacher's second choice, beside what students alone of "
        f"that accuracy would show; means over {spanned(seeds)} seeds{test}."
    )


def _alt(found: Sequence[Fidelity], look: Mapping[str, Style]) -> str:
    """With means over pairs."""
    wrong: dict[str, list[float]] = {}
    for each in found:
        if each.measure == "agreement_wrong" and each.excess is not None:
            wrong.setdefault(each.method, []).append(each.excess)
    listed = ", ".join(f"{look[method].name} {signed(fmean(own), 1)}" for method, own in wrong.items())
    return (
        f"Agreement with the teacher by method, {count(len({each.pair for each in found}), 'pair')}. Points more than "
        f"expected where the teacher is wrong: {listed or 'none'}."
    )
