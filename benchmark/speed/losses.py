"""What the relational losses cost as their formulas read and as the suite computes them, and how that grows."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

import methods
from benchmark.cost.clock import Clock, interleaved
from benchmark.speed.textbook import LOSSES
from methods.base import Batch, Outputs, Shapes, Task

RELATIONAL = ("rkd_d", "rkd_a", "sp", "gkd")
SHAPES = Shapes(classes=100, embedding=256, maps=((64, 32, 32), (128, 16, 16), (256, 8, 8)), pooled_map=(256, 8, 8))
"""Of resnet32x4 and resnet8x4 at 32 pixels, as teacher and as student."""

Costs = dict[str, dict[str, dict[str, float]]]


def measure(device: torch.device, rounds: int, clock: Clock, sizes: Sequence[int] = (64, 128, 256)) -> Costs:
    """Seconds of forward and backward by method, batch size, and form: textbook or suite."""
    costs: Costs = {name: {} for name in RELATIONAL}
    for size in sizes:
        student, teacher = _outputs(size, device), _outputs(size, device)
        for name in RELATIONAL:
            works: dict[str, Callable[[], object]] = {
                form: partial(_backward, loss, student) for form, loss in _forms(name, teacher).items()
            }
            costs[name][str(size)] = interleaved(works, rounds, clock)
    return costs


def _forms(name: str, teacher: Outputs) -> dict[str, Callable[[Outputs], Tensor]]:
    """A method's loss in both forms, of the student's outputs."""
    device = teacher.logits.device
    index = torch.arange(len(teacher.logits), device=device)
    labels = index % SHAPES.classes
    method = methods.load(name, Task(SHAPES, SHAPES, labels, epochs=1)).to(device)
    epoch, progress = torch.zeros(2, device=device)
    batch = Batch(labels, index, epoch, progress, torch.Generator())
    return {
        "textbook": lambda student: LOSSES[name](student, teacher),
        "suite": lambda student: method(student, teacher, batch),
    }


def _backward(loss: Callable[[Outputs], Tensor], student: Outputs) -> None:
    maps = tuple(output.detach().requires_grad_() for output in student.maps)
    embedding = student.embedding.detach().requires_grad_()
    loss(replace(student, embedding=embedding, maps=maps, pooled_map=maps[-1])).backward()


def _outputs(size: int, device: torch.device) -> Outputs:
    maps = tuple(torch.rand(size, *shape, device=device) for shape in SHAPES.maps)
    logits, embedding = (torch.rand(size, width, device=device) for width in (SHAPES.classes, SHAPES.embedding))
    return Outputs(logits, embedding, maps, maps[-1])


def growth(seconds: dict[str, dict[str, float]], form: str) -> float:
    """The power of the batch size that a loss's time grows with, from the smallest one to the largest."""
    sizes = sorted(seconds, key=int)
    small, large = (seconds[size][form] for size in (sizes[0], sizes[-1]))
    return math.log(large / small) / math.log(int(sizes[-1]) / int(sizes[0]))
