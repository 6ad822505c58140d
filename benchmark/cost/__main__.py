"""Measure what every method of a grid costs on this device: time, memory, energy, FLOPs of a training step; latency.

python -m benchmark.cost --grid cifar100

Each method runs alone, its rounds interleaved with those of the pair's other methods, on noise and with untrained
networks, so that no data and no finished run are needed. The medians land in results/<grid>/measured/<device>.json,
where forecasts and figures find them.
"""

import argparse
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmark.cost.table import print_table
from benchmark.ground.command import DEVICES, Parser, command, names, number, run_command, threads
from benchmark.ground.console import Terminal
from benchmark.ground.errors import COMPLETE
from benchmark.plan.choices import method_names
from benchmark.records import Folder
from benchmark.records.measurements import Measured, Measurement, write
from benchmark.spec import Dataset, Grid, Run, digest, load_grid

if TYPE_CHECKING:
    import torch


@command
def main(arguments: Sequence[str] | None = None) -> int:
    run(parser().parse_args(arguments), Terminal())
    return COMPLETE


def parser() -> argparse.ArgumentParser:
    result = Parser(
        prog="python -m benchmark.cost", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = result.add_argument
    add("--grid", default="digits", metavar="NAME|FILE", help="a grid of this suite, or a TOML file of your own")
    add("--methods", nargs="+", action="extend", metavar="M", help="as for benchmark.grid (default: all of the grid)")
    add("--pairs", nargs="+", action="extend", metavar="P", help="only these pairs, as TEACHER_STUDENT")
    add("--datasets", nargs="+", action="extend", metavar="D", help="only these data sets")
    add("--data-dir", type=Path, metavar="DIR", help="where data sets lie whose number of classes is not known by name")
    add("--results-dir", type=Path, default=Path("results"), metavar="DIR", help="files land in DIR/<grid>/measured")
    add("--device", choices=DEVICES, default="auto", help="auto: a GPU where there is one")
    add("--threads", type=threads, metavar="N", help="CPU threads (default: the grid's, else all cores)")
    add("--rounds", type=number, default=5, metavar="N", help="measurements of which the median is taken (default: 5)")
    return result


def run(options: argparse.Namespace, console: Console) -> None:
    """Measure pair after pair; what is measured is written at once."""
    from benchmark.plan.cells import cells, select
    from benchmark.plan.matched import assumed
    from benchmark.plan.values import Selection

    grid = load_grid(options.grid)
    wanted = Selection(
        methods=method_names(options.methods, grid),
        seeds=grid.seeds[:1],
        pairs=names("--pairs", options.pairs),
        datasets=names("--datasets", options.datasets),
    )
    grid = select(grid, wanted)
    runs = cells(assumed(grid))
    teachers = {teacher.id: teacher for each in runs if (teacher := each.teacher)}
    device = prepare(options.device, options.threads or grid.threads, runs)
    classes = {dataset.name: class_count(dataset, grid, options.data_dir) for dataset in grid.datasets}
    measure((*teachers.values(), *runs), classes, device, options, grid, console)


def prepare(name: str, threads: int | None, runs: Sequence[Run]) -> "torch.device":
    """Raises UsageError for a GPU that is not there, or cannot compute as the runs want."""
    import torch

    from benchmark.training.preflight import check_device

    if threads:
        torch.set_num_threads(threads)
    return check_device(name, runs)


def class_count(dataset: Dataset, grid: Grid, data_dir: Path | None) -> int:
    """Raises UsageError for a data set that is neither known by name nor found."""
    from benchmark.data import load
    from benchmark.spec.datasets import KNOWN

    if dataset.name in KNOWN and not dataset.label_column:
        return KNOWN[dataset.name].classes
    return load(grid.located(dataset), data_dir).classes


def measure(
    runs: Sequence[Run],
    classes: dict[str, int],
    device: "torch.device",
    options: argparse.Namespace,
    grid: Grid,
    console: Console,
) -> None:
    """Measure and write group after group of runs that share pair, data set, recipe and seed; print each."""
    from benchmark.cost.measure import Measurer

    measurer = Measurer(device, options.rounds)
    folder = Folder(options.results_dir / grid.name)
    named: dict[str, list[Run]] = {}
    for each in runs:
        named.setdefault(work(each, classes), []).append(each)
    groups: dict[tuple[str, str], list[Run]] = {}
    for first, *_ in named.values():
        groups.setdefault((first.pair, first.cohort_key), []).append(first)
    unmetered: set[str] = set()
    for place, group in enumerate(groups.values(), 1):
        measured, reasons = measurer.measure(group, classes[group[0].dataset.name])
        alike = {each.label: named[work(each, classes)] for each in group}
        rows = [renamed(each, other) for each in measured for other in alike[each.method]]
        path = write(folder, described(grid, rows, measurer.clock.processor, device))
        show(rows, f"{place} of {len(groups)}: {group[0].dataset.name} {group[0].pair or 'teacher'}", console)
        for label, reason in reasons.items():
            console.print(f"n/a: {label}: {reason}")
        unmetered |= {row.method for row in rows if row.step_joules is None}
    for line in not_measured(unmetered, measurer.clock.processor, device.type):
        console.print(f"not measured: {line}")
    console.print(f"wrote {path}")


def not_measured(unmetered: Collection[str], processor: bool, device: str) -> Iterator[str]:
    """What the numbers do not say, a line each. unmetered: methods whose energy is not known."""
    if unmetered:
        yield "energy: no counter can be read (a CPU's as a rule by root alone; none of a part of a GPU, or of AMD's)"
    if device == "cuda":
        yield "captured steps: these are made as they are written, and training is faster"
    if not processor:
        yield "an idle machine: seconds are of the wall, and other work lengthens them"


def work(run: Run, classes: dict[str, int]) -> str:
    """Hash of what a run's cost depends on. A forecast's kind leaves out options, which may be of no consequence or of
    much, and the number of classes."""
    from benchmark.plan.forecast import step_key

    return digest([step_key(run), run.options, classes[run.dataset.name]])


def renamed(measurement: Measurement, run: Run) -> Measurement:
    """What was measured once, under the name of another cell of the same work."""
    teacher = run.teacher.student.name if run.teacher else ""
    names = {"dataset": run.dataset.name, "pair": run.pair, "teacher": teacher}
    return measurement.model_copy(update={**names, "student": run.student.name, "method": run.label})


def described(grid: Grid, rows: Sequence[Measurement], processor: bool, device: "torch.device") -> Measured:
    """The measurements with what they were made on, as the file holds them."""
    from benchmark.training.provenance import provenance

    return Measured(
        grid=grid.name,
        provenance=provenance(device, grid.recipe.deterministic, resumed=0),
        clock="processor" if processor else "wall",
        measurements=tuple(rows),
    )


def show(rows: Sequence[Measurement], title: str, console: Console) -> None:
    metered = any(row.step_joules is not None for row in rows)
    heads = ["step ms", "teacher ms", "images/s", "memory MB", "GFLOP", "latency ms", *["step J"] * metered]
    print_table(title, heads, ((row.method, numbers(row)[: len(heads)]) for row in rows), console)


def numbers(row: Measurement) -> tuple[float, ...]:
    times = (1e3 * row.step_seconds, 1e3 * row.teacher_seconds, row.images_per_second)
    sizes = (row.memory_bytes / 1e6, row.step_flops / 1e9)
    return (*times, *sizes, 1e3 * row.latency_seconds, row.step_joules or math.nan)


if __name__ == "__main__":
    run_command(main)
