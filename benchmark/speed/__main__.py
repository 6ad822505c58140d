"""Train a pair with every method side by side: a loop of the usual kind, and this suite. Prints how many times as fast.

python -m benchmark.speed --grid cifar100 --pair resnet32x4_resnet8x4

Both train the same networks with the same batch size on this CPU, step by step in turn; medians over rounds. Images are
noise of the data set's shape. With --threads 1 --workers 0 seconds are of processor time, which other work on the
machine does not lengthen, otherwise of the wall. The numbers land in
results/reference/speed/<pair>[-channels-last][-bfloat16]-<device>.json.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmark.console import Terminal
from benchmark.errors import USAGE, Parser, UsageError, number, run_command, threads, usage_errors
from benchmark.files import write_json
from benchmark.records.measurements import device_slug
from benchmark.spec import Run, load_grid

BATCHES = 8


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        run(options, Terminal())
    except usage_errors() as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
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
    import torch

    from benchmark.cost.clock import Clock
    from benchmark.plan.cells import cells, select
    from benchmark.plan.values import Selection
    from benchmark.speed import losses, measure
    from benchmark.training.provenance import provenance

    if options.threads:
        torch.set_num_threads(options.threads)
    grid = load_grid(options.grid)
    if "student" not in grid.methods:
        raise UsageError(f"grid {grid.name!r} has no method 'student', which the others are compared with")
    pair = options.pair or grid.pairs[0].name
    chosen = select(grid, Selection(pairs=(pair,), seeds=grid.seeds[:1]))
    runs = cells(chosen)
    material = material_for(runs, options)
    load, clock = os.getloadavg()[0], Clock(torch.device("cpu"), alone=options.workers == 0)
    found: dict[str, Any] = measure.loops(material, options.workers, options.rounds, clock)
    found["ratios"] = measure.ratios([each.label for each in runs], found["seconds"])
    found["peak_flops_per_second"] = measure.peak_flops(options.rounds, clock)
    reached = found["cohort_flops"] / found["seconds"][f"cohort {len(runs)}"]
    found["share_of_peak"] = reached / found["peak_flops_per_second"]
    found["augmentation_images_per_second"] = measure.augmentation(material, options.rounds, clock)
    found["loss_seconds"] = losses.measure(options.rounds, clock)
    found["planning"] = measure.planning(grid, clock)
    origin = provenance(torch.device("cpu"), True, resumed=0)
    about = {
        "pair": pair,
        "rounds": options.rounds,
        "clock": "processor" if clock.processor else "wall",
        "workers": options.workers,
        "recipe": material.recipe.model_dump(mode="json"),
        "load_average": [load, os.getloadavg()[0]],
        "processors": os.cpu_count(),
        "provenance": origin.model_dump(mode="json"),
    }
    path = options.output / f"{slug(pair, options)}-{device_slug(origin.device, origin.threads)}.json"
    write_json(path, {**about, **found})
    show(found, [each.label for each in runs], console)
    console.print(f"wrote {path}", soft_wrap=True, markup=False, highlight=False)


def material_for(runs: Sequence[Run], options: argparse.Namespace) -> Any:
    """Noise of the data set's shape, and the recipe with the layout and precision asked for."""
    import torch

    from benchmark.data import Images
    from benchmark.spec.datasets import KNOWN
    from benchmark.speed.measure import Material

    precision = "bfloat16" if options.bfloat16 else "float32"
    changes = {"precision": precision, "teacher_precision": precision, "channels_last": options.channels_last}
    recipe = runs[0].recipe.model_copy(update=changes)
    known = KNOWN.get(runs[0].dataset.name)
    classes = known.classes if known else 10
    count, size = BATCHES * recipe.batch_size, recipe.input_size
    pixels = torch.randint(256, (count, size, size, recipe.channels), dtype=torch.uint8)
    return Material(runs, Images(pixels, torch.arange(count) % classes), recipe, classes)


def slug(pair: str, options: argparse.Namespace) -> str:
    flags = {"channels-last": options.channels_last, "bf16": options.bfloat16}
    return "-".join([pair, *(name for name, given in flags.items() if given)])


def show(found: dict[str, Any], labels: Sequence[str], console: Console) -> None:
    seconds, ratios = found["seconds"], found["ratios"]
    table = Table(title="Milliseconds of a step", title_justify="left", box=None)
    for head in ("method", "reference", "suite alone", "times as fast"):
        table.add_column(head, justify="left" if head == "method" else "right")
    for label in labels:
        values = (1e3 * seconds[f"reference {label}"], 1e3 * seconds[f"suite {label}"], ratios[label])
        table.add_row(label, *(f"{value:.4g}" for value in values))
    whole = 1e3 * sum(seconds[f"reference {label}"] for label in labels)
    values = (whole, 1e3 * seconds[f"cohort {len(labels)}"], ratios["grid"])
    table.add_row("grid, as one cohort", *(f"{value:.4g}" for value in values))
    console.print(table)
    for line in notes(found):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


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
