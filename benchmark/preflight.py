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


def check_runs(runs: Sequence[Run], data_dir: Path | None) -> None:
    """Read every data set and build every network and every method of these runs once.

    Raises UsageError for the first that cannot be had.
    """
    for dataset in {run.dataset.name: run.dataset for run in runs}.values():
        load(dataset, data_dir)
    distinct = {(run.pair, run.label): run for run in runs}.values()
    networks = {run.student.name: run for run in distinct}
    networks |= {run.teacher.student.name: run.teacher for run in distinct if run.teacher}
    shapes = {name: check(run.student, run.recipe) for name, run in networks.items()}
    for run in distinct:
        _check_method(run, shapes)


def check_device(device: str, executor: str) -> None:
    """Raise UsageError if a GPU is asked for where the work is done here and there is none."""
    if device == "cuda" and executor != "slurm" and not torch.cuda.is_available():
        raise UsageError("device 'cuda' is not to be had on this machine; valid here: auto, cpu")


def _check_method(run: Run, shapes: dict[str, Shapes]) -> None:
    teacher = shapes[run.teacher.student.name] if run.teacher else None
    student = shapes[run.student.name]
    classifier = nn.Linear(teacher.embedding, teacher.classes) if teacher else None
    task = Task(student, teacher, torch.zeros(2, dtype=torch.int64), run.recipe.epochs, classifier)
    try:
        if methods.unsupported(run.method, task, run.options) is None:
            methods.load(run.method, task, run.options)
    except ValueError as error:
        raise UsageError(f"method {run.label}: {error}") from None
