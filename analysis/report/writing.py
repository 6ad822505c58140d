"""Files of an analysis: tables in three forms, macros, figures, summary, paper, report."""

from collections.abc import Iterator
from pathlib import Path

from analysis.report import numbers
from analysis.report.short import short_names
from analysis.report.summary import summary
from analysis.runs.load import Results
from analysis.runs.metrics import TOP1, Metric, renamed
from analysis.statistics.cells import pair_title
from analysis.statistics.evidence import Evidence
from analysis.statistics.ladder import ladders
from analysis.statistics.transfer import Transfer
from analysis.style import CONTROL
from analysis.tables.budget import budget_table
from analysis.tables.errors import errors_table, left_out_table
from analysis.tables.fidelity import fidelity_table, mcnemar_table
from analysis.tables.first import first_table
from analysis.tables.gains import comparison_row, gain_table
from analysis.tables.ladder import ladder_table
from analysis.tables.latex import latex
from analysis.tables.main import main_table
from analysis.tables.markdown import markdown
from analysis.tables.published import published_table
from analysis.tables.strangers import strangers_table
from analysis.tables.table import Table
from benchmark.ground.files import atomic, write_rows


def write_all(
    results: Results,
    evidence: Evidence,
    out: Path,
    transfer: Transfer | None = None,
    *,
    figure1: bool = False,
    table1: bool = False,
) -> tuple[list[Path], list[str]]:
    """Write everything below `out`; returns the paths in the order of writing, and why what could not be drawn was not.

    `evidence` is what `collect_evidence` makes of the results, `transfer` what predictions add to it; `figure1`,
    `table1`: also those for a first page.
    """
    # Drawing libraries take most of a second to import: a single table need not wait for them.
    from analysis.figures import draw_figures
    from analysis.report.page import page
    from analysis.report.paper import paper

    shown = {cell.place for cell in evidence.cells}
    told = (transfer or Transfer()).shown(shown)
    tables = [*_tables(evidence, told, table1=table1)]
    written = [path for table in tables for path in write_table(table, out / "tables", evidence.metric)]
    named = numbers.named(numbers.numbers(evidence))
    text = numbers.macros(named) + short_names(named.values(), evidence.cells)
    written.append(write_text(out / "tables" / "numbers.tex", text))
    written.append(out / "tables" / "numbers.csv")
    write_rows(written[-1], numbers.rows(named))
    if compared := [*evidence.between, *evidence.mean_at_equal_budget]:
        written.append(out / "tables" / "comparisons.csv")
        write_rows(written[-1], [comparison_row(each) for each in compared])
    figures, notes = draw_figures(results, evidence, told, figure1=figure1)
    notes += told.notes
    written += [path for figure in figures for path in figure.write(out / "figures")]
    said = summary(evidence)
    written.append(write_text(out / "summary.md", said))
    written.append(write_text(out / "paper.tex", paper(evidence, tables, figures, numbers.citations(named))))
    written.append(write_text(out / "report.html", page(results, evidence, tables, figures, said, notes)))
    return written, notes


def _tables(evidence: Evidence, told: Transfer, *, table1: bool) -> Iterator[Table]:
    """All that there is something to say in."""
    titles = {cell.block: pair_title(cell) for cell in evidence.cells}
    if table1 and evidence.over_alone:
        yield first_table(evidence)
    yield main_table(evidence)
    yield budget_table(evidence)
    if evidence.metric is TOP1 and (errors := errors_table(evidence)):
        yield errors
    if told.left_out:
        yield left_out_table(told.left_out)
    if evidence.over_alone:
        yield gain_table(evidence)
    if told.fidelity:
        yield fidelity_table(told.fidelity, titles)
    if told.strangers:
        yield strangers_table(told.strangers, titles)
    if any(each.over == CONTROL for each in told.discordances):
        yield mcnemar_table(told.discordances, titles, told.compared)
    if rungs := [ladder for ladder in ladders(evidence) if ladder.readings]:
        yield ladder_table(rungs)
    if evidence.matches:
        yield published_table(evidence.matches)


def write_text(path: Path, text: str) -> Path:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_table(table: Table, folder: Path, metric: Metric = TOP1) -> list[Path]:
    """A table as .md, .tex and .csv; returns their paths."""
    paths = [
        write_text(folder / f"{table.name}.md", markdown(table)),
        write_text(folder / f"{table.name}.tex", latex(table)),
        folder / f"{table.name}.csv",
    ]
    write_rows(paths[-1], renamed(table.data, metric))
    return paths
