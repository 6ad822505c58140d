"""Files of an analysis: tables in three forms, macros, summary, paper, figures."""

from collections.abc import Sequence
from pathlib import Path

from analysis import markup, numbers
from analysis.budget_table import budget_table
from analysis.cells import Cell
from analysis.evidence import Evidence
from analysis.gain_tables import comparison_row, gain_table, published_table
from analysis.main_table import main_table
from analysis.paper import Illustration, paper
from analysis.style import TEACHER
from analysis.summary import summary
from analysis.tables import Table
from benchmark.records import atomic, write_rows


def write_all(evidence: Evidence, out: Path) -> list[Path]:
    """Write everything below `out`; returns the paths in the order of writing."""
    tables = [main_table(evidence), budget_table(evidence)]
    if evidence.over_alone:
        tables.append(gain_table(evidence))
    if evidence.matches:
        tables.append(published_table(evidence.matches))
    written = [path for table in tables for path in write_table(table, out / "tables")]
    named = numbers.named(numbers.numbers(evidence))
    written.append(write_text(out / "tables" / "numbers.tex", numbers.macros(named)))
    written.append(out / "tables" / "numbers.csv")
    write_rows(written[-1], numbers.rows(named))
    if evidence.between:
        written.append(out / "tables" / "comparisons.csv")
        write_rows(written[-1], [comparison_row(each) for each in evidence.between])
    figures, drawn = _write_figures(evidence.cells, out / "figures")
    written += drawn
    written.append(write_text(out / "summary.md", summary(evidence)))
    written.append(write_text(out / "paper.tex", paper(evidence, tables, figures, numbers.citations(named))))
    return written


def write_text(path: Path, text: str) -> Path:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_table(table: Table, folder: Path) -> list[Path]:
    """A table as .md, .tex and .csv; returns their paths."""
    paths = [
        write_text(folder / f"{table.name}.md", markup.markdown(table)),
        write_text(folder / f"{table.name}.tex", markup.latex(table)),
        folder / f"{table.name}.csv",
    ]
    write_rows(paths[-1], table.data)
    return paths


def _write_figures(cells: Sequence[Cell], folder: Path) -> tuple[list[Illustration], list[Path]]:
    """Accuracy versus budget as .pdf and .png, and its data as .csv; nothing where no student has finished."""
    from analysis.figures import accuracy_vs_budget

    if not any(cell.n for cell in cells if cell.method != TEACHER):
        return [], []
    path = folder / "accuracy_vs_budget"
    accuracy_vs_budget(cells, path)
    columns = ("seeds", "n", "top1_percent", "std_percent", "parameters", "macs", "training_flops")
    write_rows(path.with_suffix(".csv"), [cell.row(*columns) for cell in cells if cell.n])
    caption = "Test accuracy against student parameters, MACs of one inference and training FLOPs."
    return [Illustration("figures/accuracy_vs_budget", caption)], [
        path.with_suffix(suffix) for suffix in (".pdf", ".png", ".csv")
    ]
