"""What the numbers say in plain words: which methods beat the student alone, by how much, and what is open."""

from collections.abc import Iterable, Sequence

from analysis.statistics.basic import ALPHA
from analysis.statistics.cells import OfNetworks
from analysis.statistics.cells import pair_title as plain_title
from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import Comparison, Tested
from analysis.statistics.ladder import ladders
from analysis.statistics.places import by_block
from analysis.statistics.ranks import LEAST_DATASETS
from analysis.style import count, enumerated, listing_order, p_value, signed
from analysis.style import display_name as plain_name
from analysis.tables.markdown import escape
from analysis.tables.table import bracketed

VERDICTS = ("better", "worse", "equivalent", "open", "untested")


def summary(evidence: Evidence) -> str:
    """A Markdown page."""
    sections = [
        "# What these results say",
        _extent(evidence),
        "## Against the student alone",
        *_against_alone(evidence),
        "## Pair by pair",
        *_cells(evidence),
        *_budget_saved(evidence),
        "## Between methods",
        *_between(evidence),
        "## Ranks",
        _ranks(evidence),
        "## How to read this",
        _rules(evidence),
        *_holes(evidence),
    ]
    return "\n\n".join(sections) + "\n"


def _extent(evidence: Evidence) -> str:
    students = evidence.students
    done, asked = sum(cell.n for cell in students), sum(cell.seeds for cell in students)
    pairs = len({cell.block for cell in students})
    datasets = len({cell.dataset for cell in students})
    methods = len({cell.method for cell in students})
    varied = ", ".join(map(display_name, evidence.several_options))
    sentences = [
        f"{count(done, 'usable run')} of {asked}: {count(methods, 'method')} on {count(pairs, 'pair')} of "
        f"{count(datasets, 'data set')}. Gains are {evidence.metric.points} of "
        f"{evidence.metric.noun} after the last epoch, in brackets their 95 % intervals.",
        f"{escape(evidence.one_teacher)}." if evidence.one_teacher else "",
        f"{evidence.remark}." if evidence.remark else "",
        f"Options or revision differ between pairs for {varied}." if varied else "",
    ]
    return " ".join(filter(None, sentences))


def _against_alone(evidence: Evidence) -> list[str]:
    compared = evidence.over_alone
    if not compared:
        return ["No method can be compared: there is no pair with finished runs of both the student alone and another."]
    pairs = max(each.pairs for each in compared)
    return [_verdicts(compared, pairs), *_at_equal_budget(evidence), *_elsewhere(evidence), *_apart(evidence)]


def _at_equal_budget(evidence: Evidence) -> list[str]:
    """Of grids that have matched controls."""
    found = sorted(evidence.mean_at_equal_budget, key=lambda each: -each.gain)
    if not found:
        return []
    pairs = max(each.pairs for each in found)
    listed = [
        f"{verdict} {', '.join(f'{display_name(each.method)} {_measured(each, pairs)}' for each in own)}"
        for verdict in VERDICTS
        if (own := [each for each in found if each.verdict == verdict])
    ]
    return [
        "Against the student alone trained for as many FLOPs as the method, the teacher's forward and phases included, "
        f"on {count(pairs, 'pair')}: "
        f"{'; '.join(listed)}."
    ]


def _verdicts(compared: Sequence[Comparison], pairs: int) -> str:
    """Methods by verdict, each with its gain, the largest first, in bold where they are better."""
    these = f"on {'this pair' if pairs == 1 else f'these {pairs} pairs'}"
    phrases = {
        "better": ("beats the student alone", "beat the student alone"),
        "worse": ("is worse than the student alone", "are worse than the student alone"),
        "equivalent": ("is equivalent to the student alone", "are equivalent to the student alone"),
        "open": ("is open", "are open"),
        "untested": ("cannot be tested", "cannot be tested"),
    }
    lines = []
    for verdict in VERDICTS:
        members = sorted((each for each in compared if each.verdict == verdict), key=lambda each: -each.gain)
        if not members:
            continue
        bold = "**" if verdict == "better" else ""
        listed = enumerated(f"{bold}{display_name(each.method)}{bold} {_measured(each, pairs)}" for each in members)
        lines.append(f"- {listed} {phrases[verdict][len(members) > 1]} {these}.")
    return "\n".join(lines)


def _measured(each: Comparison, pairs: int) -> str:
    """`+2.40 [+1.71, +3.10] (on 5 of the 6)`."""
    fewer = f"(on {each.pairs} of the {pairs})" if each.pairs < pairs else ""
    return " ".join(filter(None, [signed(each.gain), bracketed(each.interval), fewer]))


def _elsewhere(evidence: Evidence) -> list[str]:
    """What these pairs say of others."""
    known = [each for each in evidence.over_alone if each.elsewhere]
    if not known:
        return []
    apart = [each for each in known if each.elsewhere and not each.elsewhere.low <= 0 <= each.elsewhere.high]
    named = [f"{display_name(each.method)} {bracketed(each.elsewhere)}" for each in apart]
    over = (
        f"intervals over pairs leave out 0 for {enumerated(named)}" if named else "no interval over pairs leaves out 0"
    )
    text = f"On other pairs gains may differ: {over}."
    if spread := evidence.spread:
        text += (
            f" Beyond the noise of seeds, a method's gain differs from pair to pair by {spread.pairs:.1f} "
            f"{evidence.metric.points} (SD), "
            f"methods' mean gains by {spread.methods:.1f}."
        )
    return [text]


def _apart(evidence: Evidence) -> list[str]:
    compared = evidence.over_alone
    differing = [f"{display_name(each.method)} (in {each.differs})" for each in compared if each.differs]
    lacking = dict.fromkeys(display_name(cell.method) for cell in evidence.without_gain)
    sentences = {
        "Trained otherwise than the student alone, and therefore not ranked": differing,
        "Without a gain on some pair, since it is measured against another teacher than the student alone": lacking,
    }
    return [f"{sentence}: {', '.join(names)}." for sentence, names in sentences.items() if names]


def _cells(evidence: Evidence) -> list[str]:
    """A line for each pair: every cell by its verdict, and who may be best."""
    gains = list(evidence.gains.values())
    tested = [gain for gain in gains if gain.p_holm is not None]
    if not tested:
        return ["No cell can be tested: that takes two runs beside two of the student alone, and some spread."]
    counts = [f"{n} {verdict}" for verdict in VERDICTS if (n := sum(gain.verdict == verdict for gain in gains))]
    titles = {cell.block: pair_title(cell) for cell in evidence.cells}
    lines = []
    for members in by_block(gains):
        block = members[0].block
        own = sorted(members, key=lambda gain: -gain.gain)
        listed = [f"{verdict} {named}" for verdict in VERDICTS if (named := _gains(own, verdict))]
        of_best = {method for *pair, method in evidence.best if (*pair,) == block}
        best = [display_name(method) for method in sorted(of_best, key=listing_order)]
        listed += [f"not told apart from the best {', '.join(best)}"] if best else []
        lines.append(f"- {titles[block]}: {'; '.join(listed)}.")
    return [f"Of {count(len(gains), 'cell')}, {enumerated(counts)}.", "\n".join(lines)]


def _gains(members: Iterable[Tested], verdict: str) -> str:
    """Where a cell is open its interval says what it may be."""
    return ", ".join(
        f"{display_name(each.method)} {signed(each.gain)}{f' {bracketed(each.interval)}' if verdict == 'open' else ''}"
        for each in members
        if each.verdict == verdict
    )


def _budget_saved(evidence: Evidence) -> list[str]:
    """Of grids with a ladder of students: the readings whose intervals leave out the student's own size."""
    lines, number = [], 0
    for ladder in ladders(evidence):
        number += len(ladder.readings)
        lines += [f"- {escape(ladder.sentence(each))}." for each in ladder.readings if each.settled]
    if not number:
        return []
    text = (
        f"{len(lines)} of {count(number, 'reading')} leave out the student's own size, without correction for them all."
    )
    return ["## Budget saved", text, *(["\n".join(lines)] if lines else [])]


def _between(evidence: Evidence) -> list[str]:
    """A line for each method that beats others of the same protocol: what was trained otherwise, as controls are, is
    for `comparisons.csv`."""
    compared = [
        each for each in evidence.between if not each.differs and not {each.method, each.over} & evidence.otherwise
    ]
    if not compared:
        return ["There are no two methods of one protocol with runs on the same pair."]
    beaten: dict[str, list[str]] = {}
    for each in compared:
        if each.established:
            winner, loser = (each.method, each.over) if each.gain > 0 else (each.over, each.method)
            beaten.setdefault(winner, []).append(f"{display_name(loser)} by {abs(each.gain):.2f}")
    established = sum(each.established for each in compared)
    tested = sum(each.verdict != "untested" for each in compared)
    are = "is" if established == 1 else "are"
    among = " of one protocol" if len(compared) < len(evidence.between) else ""
    text = f"{established} of {count(tested, 'difference')} between two methods{among} {are} established."
    if untested := len(compared) - tested:
        text += f" {count(untested, 'other')} cannot be tested, for too few runs or no spread."
    lines = [f"- {display_name(winner)} beats {enumerated(losers)}" for winner, losers in beaten.items()]
    return [text, *(["\n".join(lines)] if lines else [])]


def _ranks(evidence: Evidence) -> str:
    found = evidence.ranking
    if found is None:
        return "Ranks need at least two methods that have results on the same two pairs."
    order = ", ".join(
        f"{display_name(method)} {rank:.1f}" for method, rank in zip(found.methods, found.average, strict=True)
    )
    over = f"{count(len(found.blocks), 'pair')} of {count(found.datasets, 'data set')}"
    test = f"they are not tested over fewer than {LEAST_DATASETS} data sets"
    if found.p is not None:
        verdict = "do not rank alike" if found.p < ALPHA else "may all rank alike"
        test = f"by Friedman's test over data sets the methods {verdict} (p {equals(found.p)})"
    text = f"Average ranks over {over}: {order}; {test}."
    return text + (f" Left out to have a complete table: {found.dropped}." if found.left_out else "")


def _rules(evidence: Evidence) -> str:
    looks = f" and for {evidence.looks} looks at the data" if evidence.looks > 1 else ""
    equivalent = f"*Equivalent*: the 90 % interval lies within ±{evidence.delta:g} points. " if evidence.delta else ""
    return (
        "The unit of replication is a run: one seed of one method on one pair. *Better* and *worse* are established: "
        "t-tests with variances moderated within a pair, p < 0.05 after Holm's correction for all cells, all methods "
        f"or each two of them{looks}. {equivalent}*Open*: "
        "neither is shown, which is no sign of no effect. Intervals hold for one gain at a time, so that one may leave "
        "out 0 where nothing is established. All of it is about these pairs and teachers, but for intervals over pairs."
    )


def _holes(evidence: Evidence) -> list[str]:
    lines = [
        f"- {display_name(cell.method)} on {pair_title(cell)}: {cell.state}"
        + (f" ({escape(cell.note)})" if cell.note else "")
        for cell in evidence.cells
        if cell.state != "done"
    ]
    return ["## Holes", "\n".join(" ".join(line.split()) for line in lines)] if lines else []


def equals(p: float) -> str:
    """`= 0.031` or `< 0.001`."""
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def display_name(label: str) -> str:
    return escape(plain_name(label))


def pair_title(cell: OfNetworks) -> str:
    return escape(plain_title(cell))
