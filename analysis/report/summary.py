"""What the numbers say in plain words: which methods beat the student alone, by how much, what is not established."""

from collections.abc import Sequence

from analysis.statistics.cells import OfPair
from analysis.statistics.cells import pair_title as plain_title
from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import Comparison
from analysis.statistics.paired import ALPHA, differences_needed, smallest_p
from analysis.style import TEACHER, count, p_value, signed
from analysis.style import display_name as plain_name
from analysis.tables.markdown import escape
from analysis.tables.table import bracketed


def summary(evidence: Evidence) -> str:
    """A Markdown page."""
    sections = [
        "# What these results say",
        _extent(evidence),
        "## Against the student alone",
        *_against_alone(evidence.over_alone),
        *_apart(evidence.over_alone),
        "## Pair by pair",
        *_cells(evidence),
        "## Between methods",
        *_between(evidence.between),
        "## Ranks",
        _ranks(evidence),
        "## How sure is sure",
        _rules(),
        *_holes(evidence),
    ]
    return "\n\n".join(sections) + "\n"


def _extent(evidence: Evidence) -> str:
    students = [cell for cell in evidence.cells if cell.method != TEACHER]
    done, asked = sum(cell.n for cell in students), sum(cell.seeds for cell in students)
    pairs = len({(cell.dataset, cell.pair) for cell in students})
    datasets = len({cell.dataset for cell in students})
    methods = len({cell.method for cell in students})
    varied = ", ".join(map(display_name, evidence.several_options))
    return (
        f"{count(done, 'usable run')} of {asked}: {count(methods, 'method')} on {count(pairs, 'pair')} of "
        f"{count(datasets, 'data set')}. All claims are about these pairs and teachers. Gains are in percentage "
        "points of test top-1 accuracy after the last epoch, each run against the student alone of its pair and seed."
        + (f" Not with the same options, or of the same revision, on all pairs: {varied}." if varied else "")
    )


def _against_alone(compared: Sequence[Comparison]) -> list[str]:
    if not compared:
        return ["No method can be compared: there is no pair with finished runs of both the student alone and another."]
    better = [each for each in compared if each.established and each.gain > 0]
    worse = [each for each in compared if each.established and each.gain < 0]
    open_ = sorted((each for each in compared if not each.established), key=lambda each: -each.gain)
    lines = [
        *(f"- **{display_name(each.method)} beats the student alone** by {_measured(each)}." for each in better),
        *(f"- **{display_name(each.method)} is worse than the student alone**: {_measured(each)}." for each in worse),
        *(f"- Not established: {display_name(each.method)}, {_measured(each)}." for each in open_),
    ]
    return ["\n".join(lines), *_too_few(compared)]


def _measured(each: Comparison) -> str:
    interval = f"95 % interval {bracketed(each.interval)}" if each.interval else "no interval, for want of seeds"
    wins = each.improvement * each.n
    return (
        f"{signed(each.gain)} points ({interval}; wins {wins:g} of {each.n} paired runs on "
        f"{count(each.pairs, 'pair')}; p = {p_value(each.p)}, after Holm's correction {p_value(each.p_holm)})".replace(
            "= <", "<"
        )
    )


def _too_few(compared: Sequence[Comparison]) -> list[str]:
    """Where not even a method that won every run could have been established, say what it would take."""
    short = [each for each in compared if each.smallest >= ALPHA]
    if not short:
        return []
    most = max(short, key=lambda each: each.independent)
    at_most = " at most" if any(each.independent < most.independent for each in short) else ""
    alike = ", those with a training in common counted once," if most.independent < most.n else ""
    names = ", ".join(display_name(each.method) for each in short)
    who = "nothing" if len(short) == len(compared) else f"no gain of {names}"
    seeds = -(-differences_needed(most.tests) * most.n // (most.independent * most.pairs))
    return [
        f"With {count(most.independent, 'paired run')}{at_most}{alike} and {count(most.tests, 'method')} tested at "
        f"once, the smallest p that the test can give is {p_value(smallest_p(most.independent))}, after correction "
        f"{p_value(most.smallest)}: {who} could have been established, whatever the gain. "
        f"{count(seeds, 'seed')} a pair would be the least that could."
    ]


def _apart(compared: Sequence[Comparison]) -> list[str]:
    differing = [f"{display_name(each.method)} (in {each.differs})" for each in compared if each.differs]
    if not differing:
        return []
    return [f"Trained otherwise than the student alone, and therefore not ranked: {', '.join(differing)}."]


def _cells(evidence: Evidence) -> list[str]:
    tested = [gain for gain in evidence.gains.values() if gain.p is not None]
    if not tested:
        return ["No cell has two paired seeds, so that none can be tested."]
    titles = {(cell.dataset, cell.pair): pair_title(cell) for cell in evidence.cells}
    established = [
        f"- {display_name(gain.method)} on {titles[gain.dataset, gain.pair]}: {signed(gain.gain)} points "
        f"{bracketed(gain.interval)}, p {_equals(gain.p_holm)}"
        for gain in tested
        if gain.established
    ]
    cells = count(len(tested), "cell")
    text = (
        f"By paired t-tests over seeds, Holm-corrected for {cells}, {len(established)} of the differences from the "
        f"student alone {'is' if len(established) == 1 else 'are'} established."
    )
    return [text, *(["Established:\n\n" + "\n".join(established)] if established else [])]


def _between(compared: Sequence[Comparison]) -> list[str]:
    if not compared:
        return ["There are no two methods with runs in common."]
    established = [
        f"- {display_name(each.method if each.gain > 0 else each.over)} beats "
        f"{display_name(each.over if each.gain > 0 else each.method)} by {abs(each.gain):.2f} points "
        f"(p {_equals(each.p_holm)} after Holm's correction)"
        for each in compared
        if each.established
    ]
    open_ = f"{len(compared) - len(established)} of {count(len(compared), 'difference')} between two methods"
    lines = [f"{open_} {'is' if len(compared) - len(established) == 1 else 'are'} not established."]
    return lines + (["\n".join(established)] if established else [])


def _ranks(evidence: Evidence) -> str:
    found = evidence.ranking
    if found is None:
        return "Ranks need at least two methods that have results on the same two pairs."
    order = ", ".join(
        f"{display_name(method)} {rank:.1f}" for method, rank in zip(found.methods, found.average, strict=True)
    )
    verdict = "do not rank alike" if found.p < ALPHA else "may all rank alike: no order is established"
    left_out = ", ".join(f"{display_name(name)} ({count(holes, 'hole')})" for name, holes in found.left_out.items())
    text = (
        f"Average ranks over {count(len(found.blocks), 'pair')}: {order}. By Friedman's test (permutation "
        f"p {_equals(found.p)}) the methods {verdict}."
    )
    return text + (f" Left out to have a complete table: {left_out}." if left_out else "")


def _rules() -> str:
    return (
        "The unit of replication is a run: one seed of one method on one pair. *Established* means p < 0.05 after "
        "Holm's correction, over all pairs by the sign-flip test, which assumes no distribution, and in a single "
        "cell by the paired t-test, which assumes normal differences because a few seeds cannot tell. Intervals hold "
        "for one method at a time and are not corrected, so that one may leave out 0 where nothing is established. "
        "Whether a gain carries over to other pairs is another question: gains.csv gives the interval over pairs, "
        "which two or three pairs leave wide."
    )


def _holes(evidence: Evidence) -> list[str]:
    lines = [
        f"- {display_name(cell.method)} on {pair_title(cell)}: {cell.state}"
        + (f" ({escape(cell.note)})" if cell.note else "")
        for cell in evidence.cells
        if cell.state != "done"
    ]
    return ["## Holes", "\n".join(" ".join(line.split()) for line in lines)] if lines else []


def _equals(p: float | None) -> str:
    """`= 0.031` or `< 0.001`."""
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def display_name(label: str) -> str:
    return escape(plain_name(label))


def pair_title(cell: OfPair) -> str:
    return escape(plain_title(cell))
