"""What losses promise whatever the batch: gradients, invariances, degenerate samples, precision, memory."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from losses import (
    CLASSES,
    DIVERGENCES,
    LOSSES,
    NAMES,
    RELATIONAL,
    STUDENT,
    TEACHER,
    batch_of,
    each,
    loss_and_gradient,
    network,
    normal,
    task,
    tensors,
)
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import methods
from methods import relations
from methods.base import Batch, Outputs
from methods.fitnet import connector
from methods.gkd import similarity_graph
from methods.rkd import rkd_angle_loss, rkd_distance_loss

# What every method keeps to.


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_student_and_own_parameters_but_not_the_teacher(name: str) -> None:
    method = methods.load(name, task()).double()
    student, teacher = network(STUDENT, 6, 0), network(TEACHER, 6, 50)
    value = method(student, teacher, batch_of(torch.arange(6) % CLASSES))
    assert value.shape == ()
    assert value.isfinite()
    value.backward()
    assert all(x.grad is None for x in tensors(teacher))
    assert any(x.grad is not None and x.grad.abs().max() > 0 for x in tensors(student))
    for key, parameter in method.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    read = {tap: getattr(student, tap) for tap in method.reads}
    allowed = {id(x) for value in read.values() for x in (value if isinstance(value, tuple) else (value,))}
    assert {id(x) for x in tensors(student) if x.grad is not None} <= allowed


@pytest.mark.parametrize("name", NAMES)
def test_nothing_waits_for_the_device(name: str) -> None:
    """Tensors without data: whatever needs a value on the host raises."""
    method = methods.load(name, task()).to("meta")

    def on_meta(outputs: Outputs) -> Outputs:
        return outputs.map(lambda x: x.detach().to("meta").requires_grad_())

    labels = torch.zeros(8, dtype=torch.int64, device="meta")
    batch = Batch(labels, labels, *torch.zeros(2, device="meta"), torch.Generator())
    student, teacher = on_meta(network(STUDENT, 8, 0, torch.float32)), on_meta(network(TEACHER, 8, 50, torch.float32))
    method(student, teacher, batch).backward()


@each(RELATIONAL)
def test_zero_when_student_equals_teacher(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    for dtype in (torch.float64, torch.float32):
        x = normal(6, 4, dtype=dtype)
        value, gradient = loss_and_gradient(loss, x, x)
        assert value == 0
        assert gradient.abs().max() == 0


@each(DIVERGENCES)
def test_divergences_vanish_when_student_equals_teacher(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    x = normal(6, 4)
    value, gradient = loss_and_gradient(loss, x, x)
    assert value.abs() < 1e-14
    assert gradient.abs().max() < 1e-8  # pkt adds 1e-7 inside its logarithm


# Invariances.


@each(LOSSES)
@given(seed=st.integers(0, 2**16), order=st.permutations(range(6)))
def test_order_of_the_batch_does_not_matter(
    loss: Callable[[Tensor, Tensor], Tensor], seed: int, order: list[int]
) -> None:
    student, teacher = normal(6, 4, seed=seed), normal(6, 4, seed=seed + 1)
    value, gradient = loss_and_gradient(loss, student, teacher)
    permuted, permuted_gradient = loss_and_gradient(loss, student[order], teacher[order])
    torch.testing.assert_close(permuted, value, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(permuted_gradient, gradient[order], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("loss", [rkd_distance_loss, rkd_angle_loss])
@given(seed=st.integers(0, 2**16), scale=st.floats(1e-3, 1e3), shift=st.floats(-1e6, 1e6))
@example(seed=0, scale=1e-3, shift=1e6)
def test_rkd_sees_no_translation_scale_or_rotation(
    loss: Callable[[Tensor, Tensor], Tensor], seed: int, scale: float, shift: float
) -> None:
    x, other = normal(6, 4, seed=seed), normal(6, 3, seed=seed + 1)
    rotation = torch.linalg.qr(normal(4, 4, seed=seed + 2)).Q
    moved = scale * (x @ rotation) + shift * normal(4, seed=seed + 3)
    for a, b, expected in ((moved, other, loss(x, other)), (other, moved, loss(other, x)), (moved, x, 0.0 * x.sum())):
        torch.testing.assert_close(loss(a, b), expected, rtol=1e-5, atol=1e-9)


# Batches on which the usual code gives NaN or exploding gradients.

POOL = torch.cat([torch.zeros(1, 4), torch.eye(4), -torch.ones(1, 4), 3 * torch.eye(4)[:2]])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@each(LOSSES)
@given(chosen=st.lists(st.tuples(*[st.integers(0, len(POOL) - 1)] * 2), min_size=1, max_size=6))
def test_duplicate_zero_and_single_rows(
    loss: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype, chosen: list[tuple[int, int]]
) -> None:
    student, teacher = (POOL[list(rows)].to(dtype) for rows in zip(*chosen, strict=True))
    value, gradient = loss_and_gradient(loss, student, teacher)
    assert 0 <= value < 100
    assert gradient.abs().max() < 100


@each(RELATIONAL)
def test_one_sample_has_no_relations(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    value, gradient = loss_and_gradient(loss, normal(1, 4), normal(1, 3, seed=1))
    assert value < 1e-30  # SP compares the sample with itself, up to rounding
    assert gradient.abs().max() < 1e-12


@each(RELATIONAL)
def test_two_samples(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    value, gradient = loss_and_gradient(loss, normal(2, 4), normal(2, 3, seed=1))
    assert value.isfinite()
    assert gradient.abs().max() < 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("loss", [rkd_distance_loss, rkd_angle_loss])
def test_coincident_samples_have_no_relation_to_each_other(
    loss: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype
) -> None:
    student, teacher = normal(16, 512, seed=1, dtype=dtype), normal(16, 512, seed=2, dtype=dtype)
    student[3] = student[11]
    assert relations.squared_distances(student)[3, 11] == 0
    assert (relations.squared_distances(student) == 0).sum() == 16 + 2
    value, gradient = loss_and_gradient(loss, student, teacher)
    assert value.isfinite()
    assert gradient.abs().max() < 0.01
    value, gradient = loss_and_gradient(loss, student[3].expand(16, -1), teacher)
    assert value.isfinite()
    assert gradient.abs().max() == 0


def test_gkd_isolates_a_sample_that_resembles_no_other() -> None:
    features = torch.tensor([[1.0, 0.0], [1.0, 0.5], [-1.0, -1.0]])
    assert torch.equal(similarity_graph(features), torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))


# Precision and memory.


@each(LOSSES)
def test_bfloat16_inputs_are_computed_in_float32(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    student, teacher = normal(32, 64, seed=1), normal(32, 64, seed=2)
    half = student.bfloat16(), teacher.bfloat16()
    value = loss(*half)
    torch.testing.assert_close(value, loss(*(x.float() for x in half)), rtol=0, atol=0)
    torch.testing.assert_close(value.double(), loss(student, teacher), rtol=0.02, atol=0)


@pytest.mark.parametrize("loss", [rkd_distance_loss, rkd_angle_loss])
def test_float32_resolves_a_tight_cluster_far_from_the_origin(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    student = (1e3 + 1e-2 * normal(32, 64, seed=1)).float()
    teacher = (1e3 + 1e-2 * normal(32, 64, seed=2)).float()
    expected = loss_and_gradient(loss, student.double(), teacher.double())
    value, gradient = loss_and_gradient(loss, student, teacher)
    torch.testing.assert_close(value.double(), expected[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient.double(), expected[1], rtol=1e-3, atol=float(1e-5 * expected[1].abs().max()))


def test_float32_resolves_close_pairs_in_a_wide_batch() -> None:
    """Where centring does not help: classes far apart, samples of a class 10^4 times closer."""
    x = (normal(8, 64).repeat(4, 1) + 1e-4 * normal(32, 64, seed=1)).float()
    exact = torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(relations.distances(x).double(), exact, rtol=1e-6, atol=0)


class Largest(TorchDispatchMode):
    """Records the number of elements of the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        made = [x for x in (result if isinstance(result, tuple | list) else [result]) if isinstance(x, Tensor)]
        self.elements = max([self.elements, *(x.numel() for x in made)])
        return result


def test_angles_need_no_cubic_memory() -> None:
    size, width = 96, 64
    student, teacher = normal(size, width, dtype=torch.float32).requires_grad_(), normal(size, width, seed=1).float()
    saved: list[int] = []

    def pack(x: Tensor) -> Tensor:
        saved.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x), Largest() as largest:
        rkd_angle_loss(student, teacher).backward()
    assert max(saved) <= size**2
    assert largest.elements <= relations.CPU_BLOCK < size**2 * width < size**3


def test_connector_bridges_what_it_can() -> None:
    assert connector((2, 2), (8, 8)) is None
    assert connector((4, 8), (8, 4)) is None
    assert connector((9, 8), (8, 8))(3, 5)(torch.zeros(1, 3, 9, 8)).shape == (1, 5, 8, 8)  # type: ignore[misc]
