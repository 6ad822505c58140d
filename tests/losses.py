"""What the tests of losses have in common: random outputs of two networks, and every loss of two tensors."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

import methods
from methods.base import Batch, Outputs, Shapes, Task
from methods.cc import kernel_loss
from methods.cka import cka_loss
from methods.dist import dist_loss
from methods.gkd import gkd_loss
from methods.kd import kd_loss
from methods.pkt import pkt_loss
from methods.rkd import rkd_angle_loss, rkd_distance_loss
from methods.sp import sp_loss

CLASSES = 5
STUDENT = Shapes(CLASSES, 6, ((3, 8, 8), (3, 8, 8), (4, 4, 4), (6, 2, 2)), (6, 2, 2), stem=1)
TEACHER = Shapes(CLASSES, 9, ((5, 16, 16), (5, 16, 16), (7, 8, 8), (9, 4, 4)), (9, 4, 4), stem=1)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def task() -> Task:
    classifier = nn.Linear(TEACHER.embedding, CLASSES).requires_grad_(False)
    return Task(STUDENT, TEACHER, torch.arange(20) % CLASSES, epochs=2, classifier=classifier)


NAMES = [
    name
    for name in methods.names(installed=False)
    if methods.reads(name) and not methods.unsupported(name, task()) and not methods.load(name, task()).phases
]
"""Methods that teach these networks, in the main schedule alone."""


def batch_of(labels: Tensor) -> Batch:
    return Batch(labels, torch.arange(len(labels)), torch.tensor(0), torch.zeros(()), torch.Generator())


def network(shapes: Shapes, size: int, seed: int, dtype: torch.dtype = torch.float64) -> Outputs:
    """Random outputs of a network, all of them leaves that ask for a gradient."""

    def leaf(*shape: int) -> Tensor:
        nonlocal seed
        seed += 1
        return normal(size, *shape, seed=seed, dtype=dtype).requires_grad_()

    maps, logits, embedding = tuple(leaf(*shape) for shape in shapes.maps), leaf(shapes.classes), leaf(shapes.embedding)
    pooled_map, preacts = leaf(*shapes.pooled_map), tuple(leaf(*shape) for shape in shapes.maps)
    return Outputs(logits, embedding, maps, pooled_map, shapes.stem, preacts)


def tensors(outputs: Outputs) -> tuple[Tensor, ...]:
    return (outputs.logits, outputs.embedding, *outputs.maps, outputs.pooled_map, *outputs.preacts)


def loss_and_gradient(
    loss: Callable[[Tensor, Tensor], Tensor], student: Tensor, teacher: Tensor
) -> tuple[Tensor, Tensor]:
    student = student.detach().clone().requires_grad_()
    value = loss(student, teacher)
    (gradient,) = torch.autograd.grad(value, student)
    return value.detach(), gradient


DIVERGENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cka": cka_loss,
    "dist": dist_loss,
    "kd": kd_loss,
    "pkt": pkt_loss,
}
"""Zero for equal inputs up to rounding alone."""
RELATIONAL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rkd distance": rkd_distance_loss,
    "rkd angle": rkd_angle_loss,
    "cc kernel": kernel_loss,
    "sp": sp_loss,
    "gkd": gkd_loss,
    "gkd, 2 neighbours": partial(gkd_loss, neighbours=2),
}
LOSSES = DIVERGENCES | RELATIONAL


def each(losses: dict[str, Callable[[Tensor, Tensor], Tensor]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("loss", [pytest.param(loss, id=name) for name, loss in losses.items()])
