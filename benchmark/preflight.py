"""What can be known to fail before any compute is spent: data, networks, methods and their option values."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

import methods
from benchmark.data import load
from benchmark.errors import UsageError
from benchmark.models import check
from benchmark.spec import Run
from methods.base import Shapes, Task


def check_runs(runs: Sequence[Run], data_dir: Path | None) -> dict[str, str]:
    """Read every data set and build every network and every method of these runs once.

    Returns, by run id, why a method cannot serve a pair. Raises UsageError for the first thing that cannot be had.
    """
    for dataset in {run.dataset.name: run.dataset for run in runs}.values():
        load(dataset, data_dir)
    distinct = {(run.pair, run.label): run for run in runs}.values()
    networks = {run.student.name: run for run in distinct}
    networks |= {run.teacher.student.name: run.teacher for run in distinct if run.teacher}
    shapes = {name: check(run.student, run.recipe) for name, run in networks.items()}
    reasons = {(run.pair, run.label): _check_method(run, shapes) for run in distinct}
    return {run.id: reason for run in runs if (reason := reasons[run.pair, run.label])}


def check_device(device: str, executor: str) -> None:
    """Raise UsageError if a GPU is asked for where the work is done here and there is none."""
    if device == "cuda" and executor != "slurm" and not torch.cuda.is_available():
        raise UsageError("device 'cuda' is not to be had on this machine; valid here: auto, cpu")


def _check_method(run: Run, shapes: dict[str, Shapes]) -> str | None:
    """Build the method, unless it cannot serve the pair: then say why."""
    teacher = shapes[run.teacher.student.name] if run.teacher else None
    student = shapes[run.student.name]
    classifier = nn.Linear(teacher.embedding, teacher.classes) if teacher else None
    task = Task(student, teacher, torch.zeros(2, dtype=torch.int64), run.recipe.epochs, classifier)
    try:
        reason = methods.unsupported(run.method, task, run.options)
        if reason is None:
            methods.load(run.method, task, run.options)
        return reason
    except ValueError as error:
        raise UsageError(f"method {run.label}: {error}") from None
