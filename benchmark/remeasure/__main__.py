"""Measure finished runs again, without training anything; what changes is printed.

python -m benchmark.remeasure flops results/NAME --data-dir DATA

flops: the suite used to count the gradient of a grouped convolution's weight as if groups = 1, up to 14 times too many
FLOPs. Where a student, or its method, has such convolutions, `cost.training_flops` of records and `step_flops` of
measurements are put right.

Nothing else of a file changes; runs.csv and costs.csv follow.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.errors import USAGE, Parser, run_command, usage_errors


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        from benchmark.remeasure import flops
        from benchmark.remeasure.results import Results

        for path in options.folders:
            flops.remeasure(Results(path, options.data_dir, options.dry_run))
    except usage_errors() as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    return 0


def parser() -> argparse.ArgumentParser:
    result = Parser(
        prog="python -m benchmark.remeasure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("measure", choices=("flops",), help="what is measured again")
    add("folders", nargs="+", type=Path, metavar="RESULTS", help="results folders, as results/digits")
    add("--data-dir", type=Path, metavar="DIR", help="where data sets lie that the suite does not bring along")
    add("--dry-run", action="store_true", help="print what would change, and leave it")
    return result


if __name__ == "__main__":
    run_command(main)
