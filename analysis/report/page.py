"""The page itself: figures as inline images, tables that sort, styles and script inside."""

import re
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from analysis.figures.canvas import Drawing
from analysis.report.listing import holes, origins, runs
from analysis.runs.load import Results, counted
from analysis.runs.metrics import Metric
from analysis.runs.shared import distinct
from analysis.statistics.evidence import Evidence
from analysis.tables.table import Table
from benchmark.ground.files import rows_as_csv

HERE = Path(__file__).parent

PIXELS = 134
"""On a screen for an inch of paper: letters of 7.5 points become as large as the page's."""


def page(
    results: Results,
    evidence: Evidence,
    tables: Sequence[Table],
    figures: Sequence[Drawing],
    summary: str,
    notes: Sequence[str] = (),
) -> str:
    """One HTML page that loads nothing. `summary` is Markdown; `notes` say what could not be made, and why."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    environment.filters |= {"base64": _base64, "csv": rows_as_csv}
    template = environment.from_string(_text("page.html"))
    return (
        template.render(
            title=f"Results: {', '.join(sorted(set(map(str, results.runs.dataset))))}",
            lead=_lead(results, evidence.metric),
            style=Markup(_text("page.css")),
            script=Markup(_text("page.js")),
            summary=_prose(summary),
            tables=tables,
            figures=figures,
            pixels=PIXELS,
            holes=holes(evidence.cells),
            notes=[*results.problems, *notes],
            provenance=origins(results.records),
            runs=runs(distinct(results.runs), evidence.metric),
        )
        + "\n"
    )


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _prose(markdown: str) -> Markup:
    """Markdown below the page's own heading; what looks like HTML in it stays text."""
    lowered = re.sub(r"^(#+ )", r"#\1", markdown, flags=re.MULTILINE)
    return Markup(MarkdownIt("commonmark", {"html": False}).render(lowered))


def _lead(results: Results, metric: Metric) -> str:
    done = counted(distinct(results.runs).status)
    return f"{done}. {metric.title} after the last epoch, unless said otherwise."


def _base64(content: bytes) -> str:
    return b64encode(content).decode("ascii")
