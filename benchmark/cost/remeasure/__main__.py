"""Measure finished runs again, without training anything; what changes is printed.

python -m benchmark.cost.remeasure flops results/NAME --data-dir DATA
python -m benchmark.cost.remeasure relations results/NAME --data-dir DATA
python -m benchmark.cost.remeasure predictions results/NAME results/teachers --data-dir DATA

flops: the suite used to count the gradient of a grouped convolution's weight as if groups = 1, up to 14 times too many
FLOPs. Where a student, or its method, has such convolutions, `cost.training_flops` of records and `step_flops` of
measurements are put right.

relations: of how much of the teacher's geometry students have, made again on a stratified sample of test images, with
debiased CKA (`relations_version` 1), where the weights of student and teacher were kept; other records stay as they
are, and say so by having no `relations_version`. The same machine, libraries and threads give what training would have.

predictions: what networks say of the test images (`predictions/`), where their weights were kept, and its hash; for
`python -m analysis.score` and the table of fidelity, of teachers (results/teachers) too.

Nothing else of a file changes; runs.csv and costs.csv follow.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmark.ground.command import Parser, command, run_command
from benchmark.ground.errors import COMPLETE


@command
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    from benchmark.cost.remeasure import flops, predictions, relations
    from benchmark.cost.remeasure.results import Results

    remeasure = {"flops": flops, "relations": relations, "predictions": predictions}[options.measure].remeasure
    for path in options.folders:
        remeasure(Results(path, options.data_dir, options.dry_run))
    return COMPLETE


def parser() -> argparse.ArgumentParser:
    result = Parser(
        prog="python -m benchmark.cost.remeasure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = result.add_argument
    add("measure", choices=("flops", "relations", "predictions"), help="what is measured again")
    add("folders", nargs="+", type=Path, metavar="RESULTS", help="results folders, as results/digits")
    add("--data-dir", type=Path, metavar="DIR", help="where data sets lie that the suite does not bring along")
    add("--dry-run", action="store_true", help="print what would change, and leave it")
    return result


if __name__ == "__main__":
    run_command(main)
