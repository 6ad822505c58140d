"""`python -m analysis results/<grid>`: figures, tables and statements of results folders, from their records alone."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from benchmark.ground.command import Parser, command, names, points, run_command
from benchmark.ground.errors import UsageError
from benchmark.records import Folder

if TYPE_CHECKING:
    from analysis.runs.load import Results
    from analysis.statistics.selection import Selection

SELECTED = "selection"
"""Below the first folder, what is written of a part of its results, so that it does not replace the whole."""


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Write everything, print the main table and what was written. Returns the exit code: 1 if merging met conflicts,
    2 for what cannot be used, else 0.
    """
    return _analyse(_parser().parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m analysis",
        description="Figures, tables and statements of results folders, made from their records alone.",
        epilog="python -m analysis.verify compares a folder with a reference, cell by cell; python -m analysis.plan "
        "says how many seeds a claim needs; python -m analysis.score computes metrics from kept predictions.",
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="a results folder, such as results/digits; several are analysed together",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"where everything goes (by default into the first folder; of a selection, into {SELECTED}/ there)",
    )
    parser.add_argument(
        "--merge",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        metavar="DIR",
        help="first copy the records of these folders, made on other machines, into the first folder; what contradicts "
        "its records is named and left out",
    )
    parser.add_argument(
        "--include-stale",
        action="store_true",
        help="count records of an older protocol or method revision where a cell and seed have no newer one",
    )
    parser.add_argument(
        "--delta",
        type=points,
        default=0.5,
        metavar="POINTS",
        help="percentage points within which a method is called equivalent to the student alone (by default 0.5)",
    )
    parser.add_argument(
        "--looks",
        type=int,
        choices=range(1, 11),
        default=1,
        metavar="N",
        help="how many times verdicts are looked at as seeds are added (analysis.plan --open: 3); each look tests at "
        "its share of 0.05",
    )
    add = parser.add_argument_group("what is shown; tests stay corrected for everything there is").add_argument
    for option, letter, what in (
        ("--methods", "M", "these methods, as the tables' CSV files call them; the student alone and teachers stay"),
        ("--pairs", "P", "these pairs, as TEACHER_STUDENT"),
        ("--datasets", "D", "these data sets"),
    ):
        add(option, nargs="+", action="extend", metavar=letter, help=f"{what}; by comma or space")
    metric = "instead of test accuracy: nll, agreement, cka, ... (python -m benchmark.grid --list metrics)"
    add("--metric", default="top1", help=metric)
    for name, what in (("figure", "figure over two columns"), ("table", "table of one line a method")):
        first = f"a {what} for the paper's first page (there unless --no-{name}1 is given)"
        add(f"--{name}1", action=argparse.BooleanOptionalAction, default=True, help=first)
    return parser


@threadpool_limits.wrap(limits=1, user_api="blas")  # whose number moves last digits
def _analyse(options: argparse.Namespace) -> int:
    target: Path = options.folders[0]
    for path in (*options.folders[len(options.merge) > 0 :], *options.merge):
        if not path.is_dir():
            raise UsageError(f"results folder {str(path)!r} does not exist")
    # Reading records and drawing need large libraries: bad input and --help need not wait for them.
    from analysis.report.writing import write_all
    from analysis.runs.load import load, progress
    from analysis.runs.merge import merge
    from analysis.runs.metrics import TOP1
    from analysis.runs.scored import filled
    from analysis.statistics.published import FILE, read
    from analysis.statistics.selection import select
    from analysis.statistics.transfer import Transfer, transfer
    from analysis.style import calling
    from analysis.tables.main import main_table
    from analysis.tables.markdown import markdown

    selection = _selection(options)
    merged = merge(target, options.merge) if options.merge else None
    results = load(options.folders, include_stale=options.include_stale)
    results, unknown = filled(results, selection.metric.of)
    published = read() if FILE.exists() else None
    shown, evidence = select(results.runs, selection, published, delta=options.delta, looks=options.looks)
    problems = [*(merged.conflicts if merged else ()), *results.problems, *unknown, *_derive_csv(results)]
    told = transfer(results) if selection.metric is TOP1 else Transfer()
    results = replace(results, runs=shown)
    out = options.out or (target if selection.whole else target / SELECTED)
    with calling(results.labels):
        written, notes = write_all(results, evidence, out, told, figure1=options.figure1, table1=options.table1)
        table = markdown(main_table(evidence))
    if not any(path.suffix == ".pdf" for path in written):
        problems.append("no run has finished, so that there is nothing to draw")
    print(table)
    if merged:
        print(merged.account(target))
    print(progress(results.runs), "wrote:", *(f"  {path}" for path in written), *notes, sep="\n")
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    return 1 if merged and merged.conflicts else 0


def _selection(options: argparse.Namespace) -> "Selection":
    from analysis.runs.metrics import metric
    from analysis.statistics.selection import Selection

    named = {name: names(f"--{name}", getattr(options, name)) for name in ("methods", "pairs", "datasets")}
    return Selection(**named, metric=metric(options.metric))


def _derive_csv(results: "Results") -> list[str]:
    """Rewrite each folder's runs.csv and costs.csv; a folder that cannot be written to is a warning."""
    problems = []
    for path, records in results.records.items():
        try:
            Folder(path).write_tables(records)
        except UsageError as error:
            problems.append(f"{error}; its runs.csv and costs.csv are not rewritten")
    return problems


if __name__ == "__main__":
    run_command(main)
