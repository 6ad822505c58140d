"""What can be known to fail before any compute is spent: networks, methods and their option values."""

from collections.abc import Iterable

import torch
from torch import nn

import methods
from benchmark.errors import UsageError
from benchmark.models import check
from benchmark.spec import Run
from methods.base import Shapes, Task


def check_runs(runs: Iterable[Run]) -> None:
    """Build every network and every method of these runs once. Raises UsageError for the first that cannot be built."""
    distinct = {(run.pair, run.label): run for run in runs}.values()
    networks = {run.student.name: run for run in distinct}
    networks |= {run.teacher.student.name: run.teacher for run in distinct if run.teacher}
    shapes = {name: check(run.student, run.recipe) for name, run in networks.items()}
    for run in distinct:
        _check_method(run, shapes)


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
