"""Methods against values and gradients that public code gave (tests/golden/more.json, which is never regenerated)."""

import json
from collections.abc import Callable
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
from methods.cka import cka_loss
from methods.pkt import pkt_loss

CASES: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "more.json").read_text())["cases"]
SEED = golden_inputs.SETS["public"]["seed"]
CLASSES, STEM = 10, 1
TOLERANCE = 1e-6
"""Relative."""

Term = Callable[[Outputs, Outputs, Batch], Tensor]
Form = Callable[[Task], Term]


def registered(name: str, **options: Scalar) -> Form:
    """A method with a weight of 1, unless the options say otherwise."""
    known = methods.complete_options(name)[name]
    weight = {"weight": 1.0} if "weight" in known else {}
    return lambda task: methods.load(name, task, {name: weight | options}).double()


def of_embeddings(loss: Callable[[Tensor, Tensor], Tensor]) -> Form:
    return lambda task: lambda student, teacher, _: loss(student.embedding, teacher.embedding)


FORMS: dict[str, Form] = {
    "pkt": registered("pkt"),
    "pkt_kdzoo": of_embeddings(lambda s, t: pkt_loss(s, t, epsilon=1e-6)),
    "cc_consecutive": registered("cc", pairs="consecutive"),
    "cc_expected": registered("cc"),
    "cc_kernel": registered("cc_kernel"),
    "dist_tau1": registered("dist", temperature=1.0),
    "dist_tau4": registered("dist"),
    "nst": registered("nst"),
    "nst_larger_teacher": registered("nst"),
    "fsp": registered("fsp"),
    "fsp_stages": registered("fsp", stem=False),
    "cka_rows": registered("cka", samples=1.0, classes=0.0, maps=0.0),
    "cka_columns": registered("cka", samples=0.0, classes=1.0, maps=0.0),
    "cka_rows_plain": lambda task: lambda student, teacher, _: cka_loss(student.logits, teacher.logits, scaled=False),
    "cka_maps": registered("cka", samples=0.0, classes=0.0, maps=1.0),
    "itrd_correlation": registered("itrd", correlation=1.0, mutual=0.0),
    "itrd_mutual": registered("itrd", correlation=0.0, mutual=1.0),
    "ickd": registered("ickd"),
    "at": registered("at"),
    "at_larger_teacher": registered("at"),
    "at_kdzoo": registered("at", weight=1 / 3),
    "vid": registered("vid"),
    "vid_larger_teacher": registered("vid"),
    "dkd": registered("dkd"),
    "dkd_target_only": registered("dkd", beta=0.0),
    "dkd_standardized": registered("dkd", standardize=True, temperature=2.0),
    "kd_standardized": registered("kd", standardize=True, temperature=2.0),
}
"""What gives the value of a case."""
OFFSETS = {"cka_rows": 1, "cka_columns": 1, "cka_rows_plain": 1, "cka_maps": 3}
"""How much a term is above the public value: there an alignment counts as it is, here as what it lacks of 1."""


@cache
def drawn() -> dict[str, Any]:
    return golden_inputs.make(**golden_inputs.SETS["public"])


def named(expression: str) -> list[np.ndarray]:
    """The arrays that a word such as `ms[1:]` or `es` of a case's `inputs` means."""
    name, _, part = expression.partition("[")
    value = drawn()[name]
    if not isinstance(value, list):
        return [value]
    return value[int(part[:-2]) :] if part.endswith(":]") else [value[int(part[:-1])]] if part else value


def outputs(embedding: str, maps: str, logits: str) -> Outputs:
    """One network's golden outputs, leaves that ask for a gradient."""

    def leaf(x: np.ndarray) -> Tensor:
        return torch.tensor(x, requires_grad=True)

    tapped = tuple(leaf(x) for x in drawn()[maps])
    return Outputs(leaf(drawn()[logits]), leaf(drawn()[embedding]), tapped, tapped[-1], stem=STEM)


def shapes(of: Outputs) -> Shapes:
    maps = tuple((m.shape[1], m.shape[2], m.shape[3]) for m in of.maps)
    return Shapes(CLASSES, of.embedding.shape[1], maps, maps[-1], stem=STEM)


def probed(gradient: Tensor, seed: int) -> tuple[float, float]:
    """Norm of a gradient, flattened, and its product with the probe."""
    return float(gradient.norm()), float(gradient @ torch.tensor(golden_inputs.probe(len(gradient), seed)))


def fill(module: nn.Module, case: dict[str, Any], stream: str) -> list[Tensor]:
    """Give a module's parameters, which stand in the order of the case's, their golden values."""
    kept = [(name, shape) for name, shape in case["parameters"] if not name.endswith("log_scale")]
    values = golden_inputs.parameters(golden_inputs.stream(SEED, stream), kept)
    own = list(module.parameters())
    assert [list(p.shape) for p in own] == [shape for _, shape in case["parameters"]]
    for parameter, value in zip(own, values, strict=False):
        parameter.data = torch.tensor(value)
    return own


@pytest.mark.parametrize("name", FORMS)
def test_value_and_gradients_are_those_of_public_code(name: str) -> None:
    case = CASES[name]
    of_student, _, of_teacher = (part.strip() for part in case["inputs"].partition(";"))
    taught = "mf" if "mf" in of_teacher else "mb" if "mb" in of_teacher else "mt"
    student, teacher = outputs("es", "ms", "ls"), outputs("et", taught, "lt")
    task = Task(shapes(student), shapes(teacher), torch.tensor(drawn()["train_labels"]), epochs=240)
    term = FORMS[name](task)
    own = fill(term, case, name.partition("_")[0]) if "parameters" in case else []  # type: ignore[arg-type]
    index, labels = (torch.tensor(drawn()[key]) for key in ("index", "labels"))
    value = term(student, teacher, Batch(labels, index, 239, torch.zeros(()), torch.Generator()))
    assert float(value.detach()) == pytest.approx(case["value"] + OFFSETS.get(name, 0), rel=TOLERANCE)
    value.backward()
    read = {"es": [student.embedding], "ls": [student.logits], "ms": student.maps}[of_student[:2]]
    read = read[-len(named(of_student)) :]
    gradient = torch.cat([torch.zeros_like(x).flatten() if x.grad is None else x.grad.flatten() for x in read])
    assert probed(gradient, 7) == pytest.approx((case["grad_norm"], case["grad_probe"]), rel=TOLERANCE)
    if own:
        gradient = torch.cat([p.grad.flatten() for p in own if p.grad is not None])
        assert probed(gradient, 8) == pytest.approx((case["own_grad_norm"], case["own_grad_probe"]), rel=TOLERANCE)
