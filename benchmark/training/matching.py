"""For how many epochs the student alone trains on the FLOPs that a method's training takes."""

from collections.abc import Sequence
from pathlib import Path

import torch

import methods
from benchmark.data import load, training_data
from benchmark.spec import Grid, Match, Run
from benchmark.training.count import training_flops
from benchmark.training.member import Member, build_student, build_task
from benchmark.training.untrained import untrained

CPU = torch.device("cpu")


def matching_epochs(
    wanted: Sequence[Match], grid: Grid, data_dir: Path | None, download: bool
) -> dict[str, dict[str, dict[str, int]]]:
    """By control, data set and pair; none where a method cannot serve a pair. What a method's training takes includes
    the teacher's forward and phases, not the training of the teacher. Whole epochs come as near as half of one.

    Raises UsageError for data or networks that cannot be had.
    """
    found: dict[str, dict[str, dict[str, int]]] = {}
    flops: dict[str, int | None] = {}
    for each in wanted:
        for run in (each.alone, each.method):
            if run.hash not in flops:
                flops[run.hash] = _flops(run, grid, data_dir, download)
        alone, method = flops[each.alone.hash], flops[each.method.hash]
        if alone and method:
            epochs = max(1, round(method * each.alone.recipe.epochs / alone))
            found.setdefault(each.control, {}).setdefault(each.alone.dataset.name, {})[each.alone.pair] = epochs
    return found


def _flops(run: Run, grid: Grid, data_dir: Path | None, download: bool) -> int | None:
    """Of a run's training, on its own images; None for a method that cannot serve the pair. In whatever precision this
    machine has: a count does not depend on it, and the training may be another machine's."""
    splits = load(grid.located(run.dataset), data_dir, download=download)
    data = training_data(splits.train, run.recipe, CPU)
    with torch.random.fork_rng(devices=()):
        teacher = untrained(run.teacher, data, splits.classes) if run.teacher else None
        network = build_student(run, splits.classes, CPU)
        task = build_task(run, network, teacher.network if teacher else None, data)
        if methods.unsupported(run.method, task, run.options):
            return None
        member = Member(run, task, network, CPU, data.steps)
        return training_flops(member, teacher if member.reads else None, data)
