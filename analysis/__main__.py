"""`python -m analysis results/<grid>`: figures and tables of results folders, from their records alone."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis import markup
from analysis.cells import pool
from analysis.load import Results, load
from analysis.published import FILE, compare, read
from analysis.tables import Table, cost_table, main_table
from benchmark.errors import UsageError
from benchmark.records import Folder, atomic, write_rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Write everything, print the main table and what was written. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        results = load(options.folders)
        problems = [*results.problems, *_derive_csv(results)]
        cells = pool(results.runs)
        table = main_table(cells)
        costs = cost_table(cells, results.runs.device.dropna())
        out = options.out or options.folders[0]
        written = [path for each in (table, costs) for path in write_table(each, out / "tables")]
        # Drawing libraries take most of a second to import: bad input and --help need not wait for them.
        from analysis.figures import draw_figures
        from analysis.report import page

        figures, notes = draw_figures(results, compare(cells, read() if FILE.exists() else {}))
        written += [path for figure in figures for path in figure.write(out / "figures")]
        written.append(out / "report.html")
        with atomic(written[-1]) as temporary:
            temporary.write_text(page(results, cells, [table, costs], figures, "", notes), encoding="utf-8")
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(markup.markdown(table))
    print(_progress(results), "wrote:", *(f"  {path}" for path in written), *notes, sep="\n")
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis", description="Figures and tables of results folders, made from their records alone."
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="a results folder, such as results/digits"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where figures/ and tables/ go (by default into the first folder)"
    )
    return parser


def _derive_csv(results: Results) -> list[str]:
    """Rewrite each folder's runs.csv and costs.csv; a folder that cannot be written to is a warning."""
    problems = []
    for path, records in results.records.items():
        try:
            Folder(path).write_tables(records)
        except UsageError as error:
            problems.append(f"{error}; its runs.csv and costs.csv are not rewritten")
    return problems


def write_table(table: Table, folder: Path) -> list[Path]:
    """A table as .md, .tex and .csv; returns their paths."""
    paths = []
    for suffix, text in ((".md", markup.markdown(table)), (".tex", markup.latex(table))):
        paths.append(folder / f"{table.name}{suffix}")
        with atomic(paths[-1]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    paths.append(folder / f"{table.name}.csv")
    write_rows(paths[-1], table.data)
    return paths


def _progress(results: Results) -> str:
    """`digits: 45 of 48 runs done, 1 diverged, 2 missing`, a line for each data set."""
    lines = []
    for dataset, statuses in results.runs.groupby("dataset").status:
        counts = statuses.value_counts().sort_index()
        others = [f", {count} {str(status).replace('_', ' ')}" for status, count in counts.items() if status != "done"]
        lines.append(f"{dataset}: {counts.get('done', 0)} of {len(statuses)} runs done{''.join(others)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
