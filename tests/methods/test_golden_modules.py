"""Methods that learn or remember, against values that public code gave."""

from collections.abc import Callable, Sequence
from typing import Any

import golden_inputs
import numpy as np
import pytest
import torch
from golden_cases import ARGUMENTS, CASES, EXACT, batch, built, drawn, fill, hold, leaf, leaves, outputs, task
from torch import Tensor, nn

import methods
from methods import irg
from methods.ab import ActivationBoundaries
from methods.base import Batch, Method, Outputs
from methods.crd import ContrastiveRepresentationDistillation
from methods.ft import FactorTransfer
from methods.hkd import HolisticKnowledgeDistillation
from methods.memory import Bank
from methods.reviewkd import KnowledgeReview, hierarchical_context_loss
from methods.rrd import RelationalRepresentationDistillation
from methods.simkd import ReusedClassifier
from methods.srrl import SoftmaxRegression

# Graphs of instances.


def zoo_outputs(whose: str, embedding: str, logits: str) -> Outputs:
    """With the maps of the last two stages cut as the case's note says."""
    *_, earlier, later = drawn()[whose]
    half = later.shape[1] // 2
    maps = leaf(earlier[:, :half]), leaf(later[:, : 2 * half])
    return Outputs(leaves(logits)[0], leaves(embedding)[0], maps, maps[-1])


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("irg", {}),
        ("irg_vertices", {"vertices": 1.0, "edges": 0.0, "transformation": 0.0}),
        ("irg_edges", {"vertices": 0.0, "edges": 1.0, "transformation": 0.0}),
        ("irg_transformation", {"vertices": 0.0, "edges": 0.0, "transformation": 1.0}),
    ],
)
def test_instance_graphs(case: str, options: dict[str, Any]) -> None:
    student, teacher = zoo_outputs("ms", "es", "ls"), zoo_outputs("mt", "et", "lt")
    value = irg.InstanceRelationshipGraph(task(student, teacher), **options)(student, teacher, batch())
    hold(case, value, [*student.maps, student.embedding, student.logits])


@pytest.mark.parametrize(
    ("case", "loss", "factor"),
    [
        ("irg_semckd_edges", irg.edge_loss, 1.0),
        ("irg_caffe_edges", irg.caffe_edge_loss, 0.5),  # whose layer gives half of its gradient
        ("irg_caffe_edges_autograd", irg.caffe_edge_loss, 1.0),
    ],
)
def test_edges_of_embeddings(case: str, loss: Callable[[Tensor, Tensor], Tensor], factor: float) -> None:
    (student,), (teacher,) = leaves("es"), leaves("et")
    value = loss(student, teacher)
    hold(case, value.detach() + factor * (value - value.detach()), [student])


def test_change_of_edges() -> None:
    student, teacher = leaves("ms")[1:3], leaves("mt")[1:3]
    hold("irg_semckd_edge_transformation", irg.edge_movement_loss(tuple(student), tuple(teacher)), student)


@pytest.mark.parametrize("form", ["semckd", "caffe"])
def test_the_other_forms_of_instance_graphs_are_their_terms(form: str) -> None:
    student, teacher = outputs("es", "ms", "ls"), outputs("et", "mt", "lt")
    options = {"irg": {"form": form, "edges": 3.0, "transformation": 2.0}}
    value = methods.load("irg", task(student, teacher), options)(student, teacher, batch())
    pair = student.embedding, teacher.embedding
    moved = irg.edge_movement_loss(student.maps[2:], teacher.maps[2:])
    expected = 3 * irg.caffe_edge_loss(*pair) if form == "caffe" else 3 * irg.edge_loss(*pair) + 2 * moved
    torch.testing.assert_close(value, expected)


# Memories.


class Given(nn.Module):
    """The case's negatives, in place of drawn ones."""

    def forward(self, batch: Batch) -> Tensor:
        step = "" if torch.equal(batch.index, torch.tensor(drawn()["index"])) else "2"
        return torch.tensor(drawn()["negatives" + step])


def remembered(method: Any, generator: np.random.Generator, *banks: Bank) -> None:
    for bank in banks:
        bank.rows = torch.tensor(golden_inputs.bank(generator, ARGUMENTS["images"]))
    method.negatives = Given()


def two_steps(name: str, method: Method, own: Sequence[nn.Parameter]) -> None:
    """Both steps of a case, without an optimiser."""
    for step in ("", "2"):
        student, teacher = outputs("es" + step, "ms", "ls" + step), outputs("et" + step, "mt", "lt" + step)
        hold(f"{name}_step{step or 1}", method(student, teacher, batch(step)), [student.embedding], own)
        method.after_step(nn.Identity(), batch(step))


def state_probe(state: Tensor) -> float:
    return float((state * torch.tensor(golden_inputs.probe(tuple(state.shape), 9))).sum())


def test_contrasted_representations() -> None:
    crd = built("crd", outputs("es", "ms", "ls"), outputs("et", "mt", "lt"), weight=1.0, negatives=24)
    assert isinstance(crd, ContrastiveRepresentationDistillation)
    own = [*crd.student_embedding.parameters(), *crd.teacher_embedding.parameters()]
    remembered(crd, fill(own, "crd_step1", "crd"), crd.student_bank, crd.teacher_bank)
    two_steps("crd", crd, own)
    assert crd.normalisers.tolist() == EXACT(CASES["crd_step1"]["Z"])
    known = CASES["crd_step2"]
    banks = state_probe(crd.student_bank.rows), state_probe(crd.teacher_bank.rows)
    assert banks == EXACT((known["memory_v1_probe"], known["memory_v2_probe"]))


def test_holistic_knowledge() -> None:
    hkd = built("hkd", outputs("es", "ms", "ls"), outputs("et", "mt", "lt"), weight=1.0, negatives=24)
    assert isinstance(hkd, HolisticKnowledgeDistillation)
    sides = hkd.student_side, hkd.teacher_side
    parts = [side.embedding for side in sides] + [side.graph for side in sides]
    own = [parameter for part in parts for parameter in part.parameters()]
    remembered(hkd, fill(own, "hkd_step1", "hkd"), *(side.bank for side in sides))
    two_steps("hkd", hkd, own)
    known = CASES["hkd_step2"]
    banks = tuple(state_probe(side.bank.rows) for side in sides)
    assert banks == EXACT((known["memory_l_probe"], known["memory_ab_probe"]))


def test_resemblance_to_a_queue() -> None:
    length = 3 * ARGUMENTS["size"]
    rrd = built("rrd", outputs("es", "ms", "ls"), outputs("et", "mt", "lt"), queue=length)
    assert isinstance(rrd, RelationalRepresentationDistillation)
    own = [*rrd.student_embedding.parameters(), *rrd.teacher_embedding.parameters()]
    rrd.queue = torch.tensor(golden_inputs.queue(fill(own, "rrd_step1", "rrd"), length))
    two_steps("rrd", rrd, own)
    assert state_probe(rrd.queue) == EXACT(CASES["rrd_step2"]["queue_probe"])


# Connectors.


def test_paraphrased_factors() -> None:
    student, teacher = outputs("es", "ms", "ls"), outputs("et", "mt", "lt")
    for case, factors in (("ft", "attention"), ("ft_flat", "flat")):
        ft = built("ft", student, teacher, weight=1.0, factors=factors)
        assert isinstance(ft, FactorTransfer)
        paraphrasing, translating = list(ft.paraphraser.parameters()), list(ft.translator.parameters())
        fill(paraphrasing, "ft_reconstruction", "ft_paraphraser")
        hold("ft_reconstruction", ft.reconstruction(None, teacher, batch()), [student.maps[3]], paraphrasing)
        fill(translating, case, "ft_translator")
        hold(case, ft(student, teacher, batch()), [student.maps[3]], translating)


def test_activation_boundaries() -> None:
    student, teacher = outputs("es", "ms", "ls", "ps"), outputs("et", "mt", "lt", "pt")
    ab = built("ab", student, teacher)
    assert isinstance(ab, ActivationBoundaries)
    fill(own := list(ab.parameters()), "ab", "ab")
    hold("ab", ab.boundaries(student, teacher, batch()), student.preacts[1:], own)


def test_reviewed_knowledge() -> None:
    student, teacher = outputs("es", "ms", "ls"), outputs("et", "mt", "lt")
    review = built("reviewkd", student, teacher, weight=1.0)
    assert isinstance(review, KnowledgeReview)
    fill(own := list(review.parameters()), "reviewkd", "reviewkd")
    hold("reviewkd", review(student, teacher, batch()), [*student.maps[1:], student.embedding], own)


def test_hierarchical_context() -> None:
    student, teacher = leaves("ms")[1:], leaves("mf")[1:]
    value = torch.stack([hierarchical_context_loss(*pair) for pair in zip(student, teacher, strict=True)]).sum()
    hold("hierarchical_context", value, student)


def give(classifier: nn.Module, name: str) -> None:
    for parameter, values in zip(classifier.parameters(), (name + "_w", name + "_b"), strict=True):
        parameter.data = torch.tensor(drawn()[values])


def test_reused_classifier() -> None:
    student, teacher = outputs("es", "ms", "ls"), outputs("et", "mt", "lt")
    simkd = built("simkd", student, teacher)
    assert isinstance(simkd, ReusedClassifier)
    give(simkd.classifier, "map_head")
    fill(own := list(simkd.projector.parameters()), "simkd", "simkd")
    hold("simkd", simkd(student, teacher, batch()), [student.maps[3]], own)
    logits, known = simkd.predict(student).detach(), CASES["simkd"]
    probe = torch.tensor(golden_inputs.probe(tuple(logits.shape), 9))
    assert (float(logits.sum()), float((logits * probe).sum())) == EXACT((known["logits_sum"], known["logits_probe"]))


def test_softmax_regression() -> None:
    student, teacher = outputs("es", "ms", "ls"), outputs("et", "mt", "lt")
    srrl = built("srrl", student, teacher, kd=0.0)
    assert isinstance(srrl, SoftmaxRegression)
    give(srrl.classifier, "head")
    fill(own := list(srrl.connector.parameters()), "srrl", "srrl")
    hold("srrl", srrl(student, teacher, batch()), [student.embedding], own)
