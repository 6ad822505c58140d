"""`python -m analysis.score results/<grid> --metric NAME`: any metric of finished runs, from what they said of the test
images, which lies beside their records (`predictions/`). Nothing is trained, and no image is needed.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from benchmark.ground.command import Parser, command, names, run_command
from benchmark.ground.errors import COMPLETE, INCOMPLETE

if TYPE_CHECKING:
    from analysis.runs.alike import Row
    from benchmark.metrics import Metric


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Print each metric by cell. Returns the exit code: INCOMPLETE if predictions are missing or cannot be used, which
    are named, and USAGE for bad input."""
    return _score(_parser().parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m analysis.score",
        description="Metrics of finished runs from the predictions beside their records, without training.",
    )
    add = parser.add_argument
    add("folders", nargs="+", type=Path, metavar="FOLDER", help="a results folder, such as results/digits")
    metric = "by comma or space; python -m benchmark.grid --list metrics has them"
    add("--metric", nargs="+", action="extend", required=True, metavar="NAME", help=metric)
    add("--out", type=Path, metavar="FILE", help="also a CSV file with a row for each run")
    return parser


@threadpool_limits.wrap(limits=1, user_api="blas")  # whose number moves last digits
def _score(options: argparse.Namespace) -> int:
    # Reading records needs large libraries: bad input and --help need not wait for them.
    from analysis.runs.load import load, progress
    from analysis.runs.scored import RUN, scored
    from analysis.style import calling
    from benchmark.ground.files import write_rows
    from benchmark.metrics import named

    metrics = [named(name) for name in names("--metric", options.metric) or ()]
    results = load(options.folders)
    problems = dict.fromkeys(results.problems)
    table: dict[tuple[object, ...], Row] = {}
    for metric in metrics:
        rows, said = scored(results, metric)
        problems |= dict.fromkeys(said)
        print(f"{metric.title} ({metric.unit.symbol}, {metric.better} is better), mean ± SD (runs):")
        with calling(results.labels):
            print(*_lines(rows, metric) if rows else ["  of no run"], sep="\n")
        for row in rows:
            table.setdefault(tuple(row[name] for name in RUN), {}).update(row)
    print(progress(results.runs))
    if options.out and table:
        columns = (*RUN, *(metric.name for metric in metrics))
        write_rows(options.out, [{name: row.get(name) for name in columns} for row in table.values()])
        print(f"wrote: {options.out}")
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    return INCOMPLETE if problems else COMPLETE


def _lines(rows: "Sequence[Row]", metric: "Metric") -> Iterator[str]:
    """`digits resnet_l_resnet_s KD: 97.12 ± 0.30 (3)` for every cell."""
    from analysis.runs.alike import CELL, grouped
    from analysis.statistics.basic import summarise
    from analysis.style import display_name, listing_order

    cells = grouped(rows, *CELL)
    for cell in sorted(cells, key=lambda own: (own[0]["dataset"], own[0]["pair"], listing_order(own[0]["method"]))):
        first, values = cell[0], [row[metric.name] for row in cell]
        sample = summarise([100 * value for value in values if value is not None])
        mean = "not defined" if sample.mean is None else f"{sample.mean:.2f}"
        spread = "" if sample.std is None else f" ± {sample.std:.2f}"
        yield f"  {first['dataset']} {first['pair']} {display_name(first['method'])}: {mean}{spread} ({sample.n})"


if __name__ == "__main__":
    run_command(main)
