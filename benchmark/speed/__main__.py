"""Train a pair with every method side by side: a loop of the usual kind, and this suite. Prints how many times as fast.

python -m benchmark.speed --grid cifar100 --pair resnet32x4_resnet8x4

Both train the same networks with the same batch size on this CPU, step by step in turn; medians over rounds. Images are
noise of the data set's shape. With --threads 1 --workers 0 seconds are of processor time, which other work on the
machine does not lengthen, otherwise of the wall. The numbers land in
results/reference/speed/<pair>[-channels-last][-bfloat16]-<device>.json.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmark.cost.table import print_table
from benchmark.errors import Parser, UsageError, number, refuse, run_command, threads, usage_errors
from benchmark.errors.console import Terminal
from benchmark.files import write_json
from benchmark.records.measurements import device_slug
from benchmark.spec import Grid, Run, load_grid
from benchmark.spec.datasets import KNOWN


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        run(options, Terminal())
    except usage_errors() as error:
        return refuse(error)
    return 0


def parser() -> argparse.ArgumentParser:
    result = Parser(
        prog="python -m benchmark.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = result.add_argument
    add("--grid", default="cifar100", metavar="NAME|FILE", help="whose methods and recipe (default: cifar100)")
    add("--pair", metavar="P", help="one pair, as TEACHER_STUDENT (default: the grid's first)")
    add("--rounds", type=number, default=5, metavar="N", help="rounds of which the median is taken (default: 5)")
    add("--threads", type=threads, metavar="N", help="CPU threads (default: all cores)")
    add("--workers", type=int, default=2, metavar="N", help="the reference's loader processes (default: 2)")
    add("--channels-last", action="store_true", help="the suite's layout, as a recipe may ask for it")
    add("--bfloat16", action="store_true", help="the suite's precision, of student and teacher")
    add("--output", type=Path, default=Path("results/reference/speed"), metavar="DIR", help="where the JSON file goes")
    return result


def run(options: argparse.Namespace, console: Console) -> None:
    if options.workers < 0:
        raise UsageError(f"--workers {options.workers} is below 0")
    from benchmark.plan.cells import cells, select
    from benchmark.plan.values import Selection

    grid = load_grid(options.grid)
    if "student" not in grid.methods:
        raise UsageError(f"grid {grid.name!r} has no method 'student', which the others are compared with")
    pair = options.pair or grid.pairs[0].name
    runs = cells(select(grid, Selection(pairs=(pair,), seeds=grid.seeds[:1])))
    found = measured(grid, runs, options)
    device = device_slug(found["provenance"]["device"], found["provenance"]["threads"])
    flags = {"channels-last": options.channels_last, "bf16": options.bfloat16}
    path = options.output / f"{'-'.join([pair, *(name for name in flags if flags[name])])}-{device}.json"
    write_json(path, {"pair": pair, **found})
    show(found, [each.label for each in runs], console)
    console.print(f"wrote {path}")


def measured(grid: Grid, runs: Sequence[Run], options: argparse.Namespace) -> dict[str, Any]:
    """Everything that the file holds but the pair's name."""
    import torch

    from benchmark.cost.clock import Clock
    from benchmark.speed import losses, measure
    from benchmark.training.provenance import provenance

    if options.threads:
        torch.set_num_threads(options.threads)
    precision = "bfloat16" if options.bfloat16 else "float32"
    changes = {"precision": precision, "teacher_precision": precision, "channels_last": options.channels_last}
    known = KNOWN.get(runs[0].dataset.name)
    load, rounds, clock = os.getloadavg()[0], options.rounds, Clock(measure.CPU, alone=options.workers == 0)
    cohort = measure.Cohort(runs, runs[0].recipe.model_copy(update=changes), known.classes if known else 10)
    found = measure.loops(cohort, options.workers, rounds, clock)
    peak = measure.peak_flops(rounds, clock)
    return {
        **found,
        "ratios": measure.ratios([each.label for each in runs], found["seconds"]),
        "peak_flops_per_second": peak,
        "share_of_peak": found["cohort_flops"] / found["seconds"][f"cohort {len(runs)}"] / peak,
        "augmentation_images_per_second": measure.augmentation(cohort, rounds, clock),
        "loss_seconds": losses.measure(rounds, clock),
        "planning": measure.planning(grid, clock),
        "rounds": rounds,
        "clock": "processor" if clock.processor else "wall",
        "workers": options.workers,
        "recipe": cohort.recipe.model_dump(mode="json"),
        "load_average": [load, os.getloadavg()[0]],
        "processors": os.cpu_count(),
        "provenance": provenance(measure.CPU, True, resumed=0).model_dump(mode="json"),
    }


def show(found: dict[str, Any], labels: Sequence[str], console: Console) -> None:
    seconds, ratios = found["seconds"], found["ratios"]
    rows = [(label, seconds[f"reference {label}"], seconds[f"suite {label}"], ratios[label]) for label in labels]
    whole = sum(reference for _, reference, _, _ in rows)
    rows.append(("grid, as one cohort", whole, seconds[f"cohort {len(labels)}"], ratios["grid"]))
    milliseconds = ((label, (1e3 * reference, 1e3 * suite, ratio)) for label, reference, suite, ratio in rows)
    print_table("Milliseconds of a step", ("reference", "suite alone", "times as fast"), milliseconds, console)
    for line in notes(found):
        console.print(line)


def notes(found: dict[str, Any]) -> Iterator[str]:
    """What else was measured, a line each."""
    from benchmark.speed.losses import growth

    peak, fit, images = (
        found[key] for key in ("peak_flops_per_second", "cohort_fit", "augmentation_images_per_second")
    )
    sharing, ceiling = (found["ratios"][key] for key in ("ceiling_of_sharing", "ceiling"))
    yield f"sharing the teacher alone allows {sharing:.2f} times; with the suite's student and teacher, {ceiling:.2f}"
    yield f"{found['share_of_peak']:.0%} of a matrix product's rate, {peak / 1e9:.0f} GFLOP/s, is reached"
    yield f"cohort: {1e3 * fit['constant']:.0f} ms + {1e3 * fit['per_student']:.0f} ms a student"
    ratio = images["gather"] / images["pil"]
    yield f"augmentation: {images['gather']:.0f} images/s, PIL {images['pil']:.0f}: {ratio:.1f} times"
    for name, sizes in found["loss_seconds"].items():
        for form in ("suite", "textbook"):
            times = ", ".join(f"{1e3 * seconds[form]:.3g} ms at B = {size}" for size, seconds in sizes.items())
            yield f"{name}, {form}: {times}; it grows with B to the power of {growth(sizes, form):.1f}"
    yield f"planning {found['planning']['runs']:.0f} runs: {found['planning']['seconds']:.2f} s"


if __name__ == "__main__":
    run_command(main)
