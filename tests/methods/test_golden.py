"""Methods against values and gradients that public code gave."""

from collections.abc import Callable

import pytest
from golden_cases import CASES, batch, fill, hold, outputs, task
from torch import Tensor

import methods
from methods.base import Batch, Outputs, Scalar, Task
from methods.cka import cka_loss
from methods.pkt import pkt_loss

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


def read_by(student: Outputs, word: str) -> tuple[Tensor, ...]:
    """The tensors that `es`, `ls`, `ms` or `ms[1:]` of a case's inputs means."""
    name, _, first = word.partition("[")
    return {"es": (student.embedding,), "ls": (student.logits,), "ms": student.maps[int(first[:1] or 0) :]}[name]


@pytest.mark.parametrize("name", FORMS)
def test_value_and_gradients_are_those_of_public_code(name: str) -> None:
    known = CASES[name]
    of_student, of_teacher, *_ = known["inputs"].split("; ")
    taught = of_teacher[:2] if of_teacher[:2] in ("mf", "mb") else "mt"
    student, teacher = outputs("es", "ms", "ls"), outputs("et", taught, "lt")
    term = FORMS[name](task(student, teacher))
    own = list(term.parameters()) if "parameters" in known else []  # type: ignore[attr-defined]
    if own:
        fill(own, name, name.partition("_")[0])
    value = term(student, teacher, batch()) - OFFSETS.get(name, 0)
    hold(name, value, read_by(student, of_student), own)
