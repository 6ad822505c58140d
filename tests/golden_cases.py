"""Golden values of public code (tests/golden/more.json, never regenerated), and how a loss is held to them."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import golden_inputs
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import methods
from methods.base import Batch, Outputs, Scalar, Shapes, Task

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "more.json").read_text())["cases"]
ARGUMENTS = golden_inputs.SETS["public"]
EXACT = pytest.approx
"""To a relative 1e-6, pytest's own."""


@cache
def drawn() -> dict[str, Any]:
    return golden_inputs.make(**ARGUMENTS)


def leaf(x: np.ndarray) -> Tensor:
    return torch.tensor(x, requires_grad=True)


def leaves(name: str) -> list[Tensor]:
    """An input, or all maps of one."""
    value = drawn()[name]
    return [leaf(x) for x in value] if isinstance(value, list) else [leaf(value)]


def outputs(embedding: str, maps: str, logits: str, preacts: str | None = None) -> Outputs:
    tapped = tuple(leaves(maps))
    before = tuple(leaves(preacts)) if preacts else tapped
    return Outputs(leaves(logits)[0], leaves(embedding)[0], tapped, tapped[-1], 1, before)


def task(student: Outputs, teacher: Outputs) -> Task:
    shapes = []
    for each in (student, teacher):
        maps = tuple((m.shape[1], m.shape[2], m.shape[3]) for m in each.maps)
        shapes.append(Shapes(10, each.embedding.shape[1], maps, maps[-1], stem=1))
    return Task(shapes[0], shapes[1], torch.tensor(drawn()["train_labels"]), 240, classifier=nn.Linear(20, 10))


def built(name: str, student: Outputs, teacher: Outputs, **options: Scalar) -> Any:
    return methods.load(name, task(student, teacher), {name: options}).double()


def batch(step: str = "") -> Batch:
    index, labels = (torch.tensor(drawn()[key + step]) for key in ("index", "labels"))
    return Batch(labels, index, torch.tensor(239), torch.zeros(()), torch.Generator())


def fill(own: Sequence[nn.Parameter], case: str, stream: str) -> np.random.Generator:
    """Give parameters, in the order of the case's, their golden values, but for VID's last, which stay as initialised;
    returns the stream after them."""
    shapes = CASES[case]["parameters"]
    assert [list(p.shape) for p in own] == [shape for _, shape in shapes]
    given = [(name, shape) for name, shape in shapes if not name.endswith("log_scale")]
    generator = golden_inputs.stream(ARGUMENTS["seed"], stream)
    for parameter, value in zip(own[: len(given)], golden_inputs.parameters(generator, given), strict=True):
        parameter.data = torch.tensor(value)
    return generator


def probed(tensors: Sequence[Tensor], seed: int) -> tuple[float, float]:
    """Norm of the tensors' gradients, in one vector, and its product with the probe."""
    flat = torch.cat([torch.zeros_like(x).flatten() if x.grad is None else x.grad.flatten() for x in tensors])
    return float(flat.norm()), float(flat @ torch.tensor(golden_inputs.probe(len(flat), seed)))


def hold(case: str, value: Tensor, read: Sequence[Tensor], own: Sequence[Tensor] = ()) -> None:
    """Value and gradients are the case's."""
    known = CASES[case]
    assert float(value.detach()) == EXACT(known["value"])
    for tensor in (*read, *own):
        tensor.grad = None
    value.backward()
    assert probed(read, 7) == EXACT((known["grad_norm"], known["grad_probe"]))
    if own:
        assert probed(own, 8) == EXACT((known["own_grad_norm"], known["own_grad_probe"]))
