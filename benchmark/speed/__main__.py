"""Train a pair by several methods, in a loop of the usual kind and in this suite. Prints how many times as fast it is.

python -m benchmark.speed --grid cifar100 --pair resnet32x4_resnet8x4

Both train the same networks with the same batch size on one device, step by step in turn; medians over rounds. The loop
has torch's own settings: TF32 in convolutions on a GPU, and cuDNN's search for the fastest. Images are noise of the
data set's shape. On a CPU with --threads 1 --workers 0 seconds are of processor time, which other work on the machine
does not lengthen, otherwise of the wall. The numbers land in
results/reference/speed/<pair>[-channels-last][-bf16|-tf32]-<device>.json.
"""

import argparse
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmark.cost.table import print_table
from benchmark.ground.command import DEVICES, Parser, command, number, run_command, threads
from benchmark.ground.console import Terminal
from benchmark.ground.errors import COMPLETE, UsageError
from benchmark.ground.files import write_json
from benchmark.records.measurements import device_slug
from benchmark.spec import LABELS_ONLY, Grid, Precision, Run, load_grid
from benchmark.spec.datasets import KNOWN
from benchmark.speed import METHODS, PEERS


@command
def main(arguments: Sequence[str] | None = None) -> int:
    run(parser().parse_args(arguments), Terminal())
    return COMPLETE


def parser() -> argparse.ArgumentParser:
    result = Parser(
        prog="python -m benchmark.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = result.add_argument
    add("--grid", default="cifar100", metavar="NAME|FILE", help="whose recipe (default: cifar100)")
    add("--pair", metavar="P", help="one pair, as TEACHER_STUDENT (default: the grid's first)")
    named = f"student and others, as for benchmark.grid (default: {' '.join(METHODS)}, as far as the grid has them)"
    add("--methods", nargs="+", action="extend", metavar="M", help=named)
    add("--device", choices=DEVICES, default="auto", help="auto: a GPU where there is one")
    add("--rounds", type=number, default=5, metavar="N", help="rounds of which the median is taken (default: 5)")
    add("--threads", type=threads, metavar="N", help="CPU threads (default: all cores)")
    add("--workers", type=int, default=2, metavar="N", help="the reference's loader processes (default: 2)")
    add("--channels-last", action="store_true", help="the suite's layout, as a recipe may ask for it")
    precision = result.add_mutually_exclusive_group()
    precision.add_argument("--bfloat16", action="store_true", help="the suite's precision, of student and teacher")
    precision.add_argument("--tf32", action="store_true", help="the same; for a GPU")
    add("--output", type=Path, default=Path("results/reference/speed"), metavar="DIR", help="where the JSON file goes")
    return result


def run(options: argparse.Namespace, console: Console) -> None:
    if options.workers < 0:
        raise UsageError(f"--workers {options.workers} is below 0")
    from benchmark.plan.cells import cells, select
    from benchmark.plan.choices import method_names
    from benchmark.plan.values import Selection

    grid = load_grid(options.grid)
    chosen = method_names(options.methods or [name for name in METHODS if name in grid.methods], grid)
    if LABELS_ONLY not in chosen:
        raise UsageError(f"--methods {' '.join(chosen)}: {LABELS_ONLY!r}, which others are compared with, is missing")
    pair = options.pair or grid.pairs[0].name
    grid = select(grid, Selection(pairs=(pair,), methods=chosen, seeds=grid.seeds[:1]))
    found = measured(grid, cells(grid), options)
    device = device_slug(found["provenance"]["device"], found["provenance"]["threads"])
    flags = {"channels-last": options.channels_last, "bf16": options.bfloat16, "tf32": options.tf32}
    path = options.output / f"{'-'.join([pair, *(name for name in flags if flags[name])])}-{device}.json"
    write_json(path, {"pair": pair, **found})
    show(found, console)
    console.print(f"wrote {path}")


def measured(grid: Grid, runs: Sequence[Run], options: argparse.Namespace) -> dict[str, Any]:
    """Everything that the file holds but the pair's name."""
    import torch

    from benchmark.cost.clock import Clock
    from benchmark.speed import losses, measure
    from benchmark.training.device import check_precision, device_named
    from benchmark.training.provenance import provenance

    if options.threads:
        torch.set_num_threads(options.threads)
    device = device_named(options.device)
    precision: Precision = "bfloat16" if options.bfloat16 else "tf32" if options.tf32 else "float32"
    changes = {"precision": precision, "teacher_precision": precision, "channels_last": options.channels_last}
    recipe = runs[0].recipe.model_copy(update=changes)
    check_precision(recipe, device)
    known = KNOWN.get(runs[0].dataset.name)
    load, rounds, clock = os.getloadavg()[0], options.rounds, Clock(device, alone=options.workers == 0)
    cohort = measure.Cohort(runs, recipe, known.classes if known else 10, device)
    found = measure.loops(cohort, options.workers, rounds, clock)
    seconds, labels = found["seconds"], [each.label for each in cohort.runs]
    peak = measure.peak_flops(device, precision, rounds, clock)
    return {
        **found,
        "ratios": measure.ratios(labels, sum(alone.teacher is not None for alone in cohort.isolated), seconds),
        "of_kd": measure.of_kd(labels, seconds),
        "peak_flops_per_second": peak,
        "share_of_peak": found["cohort_flops"] / seconds[f"cohort {len(labels)}"] / peak,
        "augmentation_images_per_second": measure.augmentation(cohort, rounds, clock),
        "loss_seconds": losses.measure(device, rounds, clock),
        "planning": measure.planning(grid, clock),
        "not_measured": [*cohort.not_applicable, *measure.left_out(labels, clock)],
        "rounds": rounds,
        "clock": "processor" if clock.processor else "wall",
        "workers": options.workers,
        "recipe": cohort.recipe.model_dump(mode="json"),
        "load_average": [load, os.getloadavg()[0]],
        "processors": os.cpu_count(),
        "provenance": provenance(device, recipe.deterministic, resumed=0).model_dump(mode="json"),
    }


def show(found: dict[str, Any], console: Console) -> None:
    seconds, ratios, of_kd = (found[name] for name in ("seconds", "ratios", "of_kd"))
    labels = [name.removeprefix("suite ") for name in seconds if name.startswith("suite ") and name != "suite teacher"]
    rows = []
    for label in labels:
        parts = (of_kd[part].get(label, math.nan) for part in ("with_teacher", "without_teacher"))
        times = (1e3 * seconds[f"reference {label}"], 1e3 * seconds[f"suite {label}"])
        rows.append((label, (*times, ratios[label], *parts)))
    shared = len(set(PEERS) & set(labels))
    cohorts = {"grid": (len(labels), f"{len(labels)} together"), "peers": ("peers", f"{shared} of RepDistiller's")}
    for name, (key, title) in cohorts.items():
        if name in ratios:
            together = 1e3 * seconds[f"cohort {key}"]
            rows.append((title, (together * ratios[name], together, ratios[name])))
    heads = ("reference", "suite", "times as fast", "of KD", "teacher aside")
    print_table("Milliseconds of a step", heads, rows, console)
    for line in notes(found):
        console.print(line)


def notes(found: dict[str, Any]) -> Iterator[str]:
    """What else was measured, a line each, and what was not."""
    from benchmark.speed.losses import growth

    peak, fit, images = (
        found[key] for key in ("peak_flops_per_second", "cohort_fit", "augmentation_images_per_second")
    )
    sharing, ceiling = (found["ratios"][key] for key in ("ceiling_of_sharing", "ceiling"))
    yield f"sharing the teacher alone allows {sharing:.2f} times; with the suite's student and teacher, {ceiling:.2f}"
    product = f"a matrix product's rate in {found['recipe']['precision']}, {peak / 1e9:.0f} GFLOP/s"
    yield f"{found['share_of_peak']:.0%} of {product}, is reached"
    if fit:
        yield f"cohort: {1e3 * fit['constant']:.3g} ms + {1e3 * fit['per_student']:.3g} ms a student"
    ratio = images["gather"] / images["pil"]
    yield f"augmentation: {images['gather']:.0f} images/s, PIL {images['pil']:.0f}: {ratio:.1f} times"
    for name, sizes in found["loss_seconds"].items():
        for form in ("suite", "textbook"):
            times = ", ".join(f"{1e3 * seconds[form]:.3g} ms at B = {size}" for size, seconds in sizes.items())
            yield f"{name}, {form}: {times}; it grows with B to the power of {growth(sizes, form):.1f}"
    yield f"planning {found['planning']['runs']:.0f} runs: {found['planning']['seconds']:.2f} s"
    yield from (f"not measured: {line}" for line in found["not_measured"])


if __name__ == "__main__":
    run_command(main)
