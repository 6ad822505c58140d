"""Losses in float64 and float32 against the papers' formulas written once more, a pair or a channel at a time."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import pytest
import torch
from losses import CLASSES, STUDENT, TEACHER, batch_of, loss_and_gradient, network, normal, task
from torch import Tensor

import methods
from methods.at import at_loss
from methods.cc import congruence_loss, kernel_loss
from methods.cka import cka_loss, map_cka_loss
from methods.dist import dist_loss
from methods.dkd import dkd_loss
from methods.fsp import fsp_loss
from methods.ickd import ickd_loss
from methods.itrd import correlation_loss, mutual_loss
from methods.kd import kd_loss
from methods.nst import nst_loss
from methods.pkt import pkt_loss
from methods.relations import standardized
from methods.vid import vid_loss

SIZE = 5
Loss = Callable[[Tensor, Tensor], Tensor]


def length(x: Tensor) -> Tensor:
    return x.square().sum().sqrt()


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / (length(a) * length(b))


def naive_pkt(student: Tensor, teacher: Tensor) -> Tensor:
    def probability(x: Tensor, i: int, j: int) -> Tensor:
        return (1 + cosine(x[i], x[j])) / sum(1 + cosine(x[i], other) for other in x)

    total = student.new_zeros(())
    for i, j in product(range(len(student)), repeat=2):
        p, q = probability(teacher, i, j), probability(student, i, j)
        total = total + p * ((p + 1e-7) / (q + 1e-7)).log()
    return total / len(student) ** 2


def naive_congruence(student: Tensor, teacher: Tensor, consecutive: bool = False) -> Tensor:
    pairs = [(i, j) for i, j in product(range(len(student)), repeat=2) if (j == i + 1 if consecutive else i != j)]
    gaps = [(s - t).abs() for s, t in zip(student, teacher, strict=True)]
    return sum((gaps[i] * gaps[j]).sum() for i, j in pairs) / len(pairs)


def naive_kernel(student: Tensor, teacher: Tensor) -> Tensor:
    def kernel(a: Tensor, b: Tensor) -> Tensor:
        x = 0.8 * cosine(a, b)
        return (1 + x + x**2 / 2) / torch.tensor(0.8).double().exp()

    pairs = list(product(range(len(student)), repeat=2))
    return sum((kernel(student[i], student[j]) - kernel(teacher[i], teacher[j])) ** 2 for i, j in pairs) / len(pairs)


def softened(logits: Tensor, temperature: float) -> Tensor:
    return torch.stack([(x / temperature).exp() / (x / temperature).exp().sum() for x in logits])


def naive_dist(student: Tensor, teacher: Tensor) -> Tensor:
    def rho(a: Tensor, b: Tensor) -> Tensor:
        return cosine(a - a.sum() / len(a), b - b.sum() / len(b))

    p, q = softened(student, 4.0), softened(teacher, 4.0)
    rows = sum(1 - rho(p[i], q[i]) for i in range(len(p))) / len(p)
    columns = sum(1 - rho(p[:, c], q[:, c]) for c in range(p.shape[1])) / p.shape[1]
    return 16 * (rows + columns)


def naive_kd(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    q, p = softened(student, temperature), softened(teacher, temperature)
    return temperature**2 * (p * (p / q).log()).sum() / len(p)


def naive_standardized(student: Tensor, teacher: Tensor) -> Tensor:
    def scaled(logits: Tensor) -> Tensor:
        return torch.stack([(x - x.mean()) / ((x - x.mean()).square().sum() / (len(x) - 1)).sqrt() for x in logits])

    return naive_kd(scaled(student), scaled(teacher), 2.0)


def naive_dkd(student: Tensor, teacher: Tensor) -> Tensor:
    total = student.new_zeros(())
    for q, p, y in zip(softened(student, 4.0), softened(teacher, 4.0), LABELS, strict=True):
        total = total + p[y] * (p[y] / q[y]).log() + (1 - p[y]) * ((1 - p[y]) / (1 - q[y])).log()
        for c in (c for c in range(len(p)) if c != y):
            a, b = p[c] / (1 - p[y]), q[c] / (1 - q[y])
            total = total + 8 * a * (a / b).log()
    return 16 * total / len(student)


def naive_cka(student: Tensor, teacher: Tensor) -> Tensor:
    size = range(len(student))

    def relation(x: Tensor) -> Tensor:
        return torch.stack([(x[i] * x[j]).sum() / length(x[i]) for i in size for j in size])

    return 1 - cosine(relation(student), relation(teacher))


def naive_map_cka(student: Tensor, teacher: Tensor) -> Tensor:
    def relation(x: Tensor) -> Tensor:
        rows = [torch.stack([(a * b).sum() for b in x]) for a in x]
        return torch.stack([cosine(a, b) for a in rows for b in rows])

    return 1 - cosine(relation(student), relation(teacher))


def naive_correlation(student: Tensor, teacher: Tensor) -> Tensor:
    size, total = len(student), student.new_zeros(())
    for a, b in zip(student.T, teacher.T, strict=True):
        a, b = ((x - x.sum() / size) / ((x - x.sum() / size).square().sum() / (size - 1)).sqrt() for x in (a, b))
        total = total + (1 - (a * b).sum() / size).abs() ** 3
    return total.log() / torch.tensor(2.0).double().log()


def naive_mutual(student: Tensor, teacher: Tensor) -> Tensor:
    pairs = list(product(range(len(student)), repeat=2))
    terms = [cosine(student[i], student[j]) ** 2 * (1 - cosine(teacher[i], teacher[j]) ** 2) for i, j in pairs]
    return sum(terms) / len(pairs)


def shrunk(x: Tensor, size: int) -> Tensor:
    """A map [C, H, W] by means over squares of positions."""
    step = x.shape[1] // size
    squares = [[x[:, step * i : step * (i + 1), step * j : step * (j + 1)] for j in range(size)] for i in range(size)]
    return torch.stack([torch.stack([s.mean((1, 2)) for s in row], 1) for row in squares], 1)


def of_one_size(student: Tensor, teacher: Tensor) -> list[tuple[Tensor, Tensor]]:
    size = min(student.shape[2], teacher.shape[2])
    return [(shrunk(s, size), shrunk(t, size)) for s, t in zip(student, teacher, strict=True)]


def naive_nst(student: Tensor, teacher: Tensor) -> Tensor:
    def kernel(one: Tensor, other: Tensor) -> Tensor:
        return sum(cosine(a, b) ** 2 for a in one for b in other) / (len(one) * len(other))

    pairs = of_one_size(student, teacher)
    return sum(kernel(t, t) + kernel(s, s) - 2 * kernel(s, t) for s, t in pairs) / len(pairs)


def naive_at(student: Tensor, teacher: Tensor) -> Tensor:
    def attention(x: Tensor) -> Tensor:
        active = sum(channel**2 for channel in x)
        return active / length(active)

    pairs = of_one_size(student, teacher)
    return sum((attention(s) - attention(t)).square().mean() for s, t in pairs) / len(pairs)


FRONT = 2
"""Channels of a map that stand for the front one of a flow."""


def fsp(student: Tensor, teacher: Tensor) -> Tensor:
    return fsp_loss((student[:, :FRONT], student[:, FRONT:]), (teacher[:, :FRONT], teacher[:, FRONT:]))


def naive_fsp(student: Tensor, teacher: Tensor) -> Tensor:
    channels = list(product(range(FRONT), range(FRONT, student.shape[1])))
    pairs = zip(student, teacher, strict=True)
    gaps = [((s[a] * s[b]).mean() - (t[a] * t[b]).mean()) ** 2 for s, t in pairs for a, b in channels]
    return sum(gaps) / len(gaps)


def naive_ickd(student: Tensor, teacher: Tensor) -> Tensor:
    def relation(x: Tensor) -> Tensor:
        rows = [torch.stack([(a * b).sum() for b in x]) for a in x]
        return torch.stack([row / length(row) for row in rows])

    pairs = zip(student, teacher, strict=True)
    return sum((relation(s) - relation(t)).square().sum() for s, t in pairs) / (len(student) * student.shape[1])


SCALES = [-1.0, 0.5, 3.0]


def naive_vid(student: Tensor, teacher: Tensor) -> Tensor:
    total = student.new_zeros(())
    for channel, scale in enumerate(SCALES):
        variance = torch.tensor(1 + math.exp(scale)).double().log() + 1e-5
        error = student[:, channel] - teacher[:, channel]
        total = total + ((error**2 / variance + variance.log()) / 2).mean()
    return total / len(SCALES)


LABELS = torch.tensor([0, 5, 2, 0, 3])
FORMULAS: dict[str, tuple[Loss, Loss, tuple[int, ...], tuple[int, ...]]] = {
    "pkt": (pkt_loss, naive_pkt, (4,), (9,)),
    "dist": (dist_loss, naive_dist, (6,), (6,)),
    "dkd": (partial(dkd_loss, labels=LABELS), naive_dkd, (6,), (6,)),
    "kd, standardized": (
        lambda s, t: kd_loss(standardized(s), standardized(t), 2.0),
        naive_standardized,
        (6,),
        (6,),
    ),
    "cka": (cka_loss, naive_cka, (6,), (4,)),
    "cka of maps": (map_cka_loss, naive_map_cka, (3, 2, 2), (5, 4, 4)),
    "itrd correlation": (correlation_loss, naive_correlation, (4,), (4,)),
    "itrd mutual": (mutual_loss, naive_mutual, (4,), (9,)),
    "nst by positions": (nst_loss, naive_nst, (3, 2, 2), (5, 2, 2)),
    "nst by channels": (nst_loss, naive_nst, (3, 8, 8), (5, 4, 4)),
    "fsp": (fsp, naive_fsp, (5, 3, 3), (5, 3, 3)),
    "ickd by channels": (ickd_loss, naive_ickd, (3, 2, 2), (3, 4, 4)),
    "ickd by positions": (ickd_loss, naive_ickd, (8, 1, 2), (8, 2, 2)),
    "ickd of one position": (ickd_loss, naive_ickd, (6, 1, 1), (6, 1, 1)),
    "at": (at_loss, naive_at, (3, 2, 2), (5, 4, 4)),
    "vid": (lambda s, t: vid_loss(s, s.new_tensor(SCALES), t), naive_vid, (3, 2, 2), (3, 2, 2)),
    "cc": (congruence_loss, naive_congruence, (4,), (4,)),
    "cc, consecutive": (
        partial(congruence_loss, pairs="consecutive"),
        partial(naive_congruence, consecutive=True),
        (4,),
        (4,),
    ),
    "cc kernel": (kernel_loss, naive_kernel, (4,), (9,)),
}
"""A loss, its formula, and the shapes of student and teacher."""


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_gradient_are_those_of_the_formula(name: str, dtype: torch.dtype) -> None:
    loss, naive, student_shape, teacher_shape = FORMULAS[name]
    student, teacher = 2 * normal(SIZE, *student_shape, seed=1), 2 * normal(SIZE, *teacher_shape, seed=2)
    expected, expected_gradient = loss_and_gradient(naive, student, teacher)
    value, gradient = loss_and_gradient(loss, student.to(dtype), teacher.to(dtype))
    assert value.dtype == gradient.dtype == dtype
    exact = dtype == torch.float64
    torch.testing.assert_close(value.double(), expected, rtol=1e-6 if exact else 1e-4, atol=0)
    scale = float(expected_gradient.abs().max())
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=0, atol=(1e-6 if exact else 1e-4) * scale)


def test_dkd_stands_logits_far_apart() -> None:
    student = torch.tensor([[1e4, 0.0, -1e4], [0.0, 1e4, 0.0]])
    value, gradient = loss_and_gradient(partial(dkd_loss, labels=torch.tensor([2, 1])), student, -student)
    assert value.isfinite()
    assert 0 < gradient.abs().max() < 1e3


@pytest.mark.parametrize(("epochs", "epoch", "ramp"), [(240, 0, 0.05), (240, 19, 1), (60, 1, 0.4), (60, 4, 1)])
def test_dkd_warms_up_in_proportion_to_the_schedule(epochs: int, epoch: int, ramp: float) -> None:
    student, teacher = network(STUDENT, SIZE, 0), network(TEACHER, SIZE, 50)
    labels = torch.arange(SIZE) % CLASSES
    batch = replace(batch_of(labels), epoch=torch.tensor(epoch))
    value = methods.load("dkd", replace(task(), epochs=epochs))(student, teacher, batch)
    torch.testing.assert_close(value, ramp * dkd_loss(student.logits, teacher.logits, labels))


def test_itrd_compares_the_students_own_similarities_where_widths_agree() -> None:
    method = methods.load("itrd", replace(task(), student=TEACHER), {"itrd": {"correlation": 0.0}}).double()
    student, teacher = network(TEACHER, SIZE, 0), network(TEACHER, SIZE, 50)
    value = method(student, teacher, batch_of(torch.arange(SIZE)))
    torch.testing.assert_close(value, 0.05 * naive_mutual(student.embedding, teacher.embedding))


@pytest.mark.parametrize("name", ["sp", "gkd"])
def test_terms_of_stages_are_added_or_averaged(name: str) -> None:
    student, teacher, batch = network(STUDENT, SIZE, 0), network(TEACHER, SIZE, 50), batch_of(torch.arange(SIZE))
    options = [{name: {"stages": 3, "average": average}} for average in (False, True)]
    added, averaged = (methods.load(name, task(), each)(student, teacher, batch) for each in options)
    torch.testing.assert_close(added, 3 * averaged)
    assert "average" not in methods.resolve(name)[name]
