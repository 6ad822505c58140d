"""A complete LaTeX document of two columns that holds every table and figure, and cites its numbers by macro."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from analysis.figures.canvas import Drawing
from analysis.statistics.evidence import Evidence
from analysis.statistics.gains import Comparison
from analysis.style import LEAST_P, display_name, enumerated
from analysis.tables.latex import escape
from analysis.tables.table import Table

TEMPLATE = Path(__file__).with_name("paper.tex")

FIRST = "figure1"
"""The figure that is made for a paper's first page."""

LISTED = 6
"""Methods of one verdict whose gains the text tells; of more it has the names, and tables the rest."""


def paper(
    evidence: Evidence, tables: Sequence[Table], figures: Sequence[Drawing], cite: Mapping[tuple[str, ...], str]
) -> str:
    """The document; it stands beside the folders `tables` and `figures`. `cite` is `numbers.citations`."""
    # Blocks, values and comments: no braces, of which LaTeX has its own.
    environment = Environment("<%", "%>", "<<", ">>", "<#", "#>", trim_blocks=True, undefined=StrictUndefined)
    environment.keep_trailing_newline = True
    environment.filters["tex"] = escape
    compared = sorted(evidence.over_alone, key=lambda each: -each.gain)
    verdicts = {each.verdict: [other for other in compared if other.verdict == each.verdict] for each in compared}
    most = max((each.pairs for each in compared), default=0)
    names = {each.method: _name(each, most) for each in evidence.over_alone}
    better, worse = (
        [names[each.method] for each in evidence.over_alone if each.verdict == verdict]
        for verdict in ("better", "worse")
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        datasets=dict.fromkeys(cell.dataset for cell in evidence.cells),
        better=better,
        worse=worse,
        points=evidence.metric.points,
        verdicts=verdicts,
        names=names,
        cite=cite,
        pointers=_pointers(evidence, tables, figures),
        tables=tables,
        # LaTeX keeps the order of figures: low ones first fill what tables leave of a page.
        figures=sorted(figures, key=lambda each: (each.name != FIRST, each.height)),
        listed=LISTED,
    )


def _name(each: Comparison, most: int) -> str:
    """With the number of its pairs, where others have more."""
    fewer = f" ({each.pairs} of {most} pairs)" if each.pairs < most else ""
    return display_name(each.method) + fewer


def _pointers(evidence: Evidence, tables: Sequence[Table], figures: Sequence[Drawing]) -> Iterator[str]:
    """What is where: tables and figures of one title together, whichever data sets they are of."""
    places: dict[str, list[str]] = {}
    for table in tables:
        places.setdefault(table.title, []).append(f"Table~\\ref{{tab:{table.name}}}")
    for figure in figures:
        places.setdefault(figure.title.partition(" on ")[0], []).append(f"Figure~\\ref{{fig:{figure.name}}}")
    yield from (f"{escape(title)}: {enumerated(listed)}." for title, listed in places.items())
    if all(cell.n == 0 for cell in evidence.students):
        yield "No run has finished yet."
    if evidence.ranking and evidence.ranking.p is not None:
        equals = "" if evidence.ranking.p < LEAST_P else "= "
        yield f"Friedman's test that all methods rank alike gives $p {equals}\\FriedmanP{{}}$."
