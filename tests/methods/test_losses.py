"""Losses against golden values and against naive float64 formulas."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from losses import (
    CLASSES,
    LOSSES,
    STUDENT,
    TEACHER,
    batch_of,
    each,
    loss_and_gradient,
    network,
    normal,
    task,
)
from torch import Tensor

import methods
from methods import relations
from methods.base import Method, Outputs, Shapes, Task
from methods.fitnet import FitNet
from methods.gkd import class_edges, gkd_loss, neighbour_mask, similarity_graph
from methods.kd import kd_loss
from methods.rkd import rkd_angle_loss, rkd_distance_loss
from methods.sp import sp_loss

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "losses.json").read_text())

# The formulas once more, as a reader of the papers would write them: one pair and one triplet at a time.


def huber(x: Tensor) -> Tensor:
    return 0.5 * x**2 if x.abs() < 1 else x.abs() - 0.5


def naive_kd(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    total = student.new_zeros(())
    for s, t in zip(student / temperature, teacher / temperature, strict=True):
        p, q = t.exp() / t.exp().sum(), s.exp() / s.exp().sum()
        total = total + sum(p[c] * (p[c] / q[c]).log() for c in range(len(p)))
    return temperature**2 * total / len(student)


def naive_distance(student: Tensor, teacher: Tensor) -> Tensor:
    pairs = [(i, j) for i in range(len(student)) for j in range(len(student)) if i != j]

    def relation(x: Tensor) -> list[Tensor]:
        lengths = [(x[i] - x[j]).pow(2).sum().sqrt() for i, j in pairs]
        return [length / (sum(lengths) / len(lengths)) for length in lengths]

    return sum(huber(s - t) for s, t in zip(relation(student), relation(teacher), strict=True)) / len(student) ** 2


def naive_angle(student: Tensor, teacher: Tensor) -> Tensor:
    def cosine(x: Tensor, i: int, j: int, k: int) -> Tensor:
        a, b = x[i] - x[j], x[k] - x[j]
        return a @ b / (a.pow(2).sum().sqrt() * b.pow(2).sum().sqrt())

    size = range(len(student))
    triplets = [(i, j, k) for i in size for j in size for k in size if i != j != k]
    return sum(huber(cosine(student, *t) - cosine(teacher, *t)) for t in triplets) / len(student) ** 3


def naive_sp(student: Tensor, teacher: Tensor) -> Tensor:
    def relation(x: Tensor) -> list[Tensor]:
        products = [torch.stack([(a * b).sum() for b in x]) for a in x]
        return [row / row.pow(2).sum().sqrt() for row in products]

    return (
        sum((s - t).pow(2).sum() for s, t in zip(relation(student), relation(teacher), strict=True)) / len(student) ** 2
    )


def naive_gkd(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None = None,
    kind: str = "all",
    neighbours: int = 0,
    power: int = 1,
) -> Tensor:
    size = range(len(student))

    def graph(x: Tensor) -> Tensor:
        rows = [a.flatten() / a.pow(2).sum().sqrt() for a in x]
        cosine = [[(rows[i] @ rows[j]).clamp(min=0) if i != j else x.new_zeros(()) for j in size] for i in size]
        adjacency = torch.stack([torch.stack(row) for row in cosine])
        factors = torch.diag(torch.stack([d**-0.5 if d > 0 else torch.zeros_like(d) for d in adjacency.sum(1)]))
        adjacency = factors @ adjacency @ factors
        if labels is not None and kind != "all":
            same = torch.tensor([[float(labels[i] == labels[j]) for j in size] for i in size], dtype=x.dtype)
            adjacency = adjacency * (same if kind == "intra" else 1 - same)
        return adjacency

    target, compared = graph(teacher), graph(student)
    if neighbours:
        mask = torch.zeros_like(target)
        for i in size:
            for j in sorted(size, key=lambda j: -target[i, j].item())[:neighbours]:
                if target[i, j] > 0:
                    mask[i, j] = mask[j, i] = 1
        target, compared = target * mask, compared * mask
    raised, target_raised = torch.eye(len(student), dtype=target.dtype), torch.eye(len(student), dtype=target.dtype)
    for _ in range(power):
        raised, target_raised = raised @ compared, target_raised @ target
    return (target_raised - raised).pow(2).sum()


# Golden values: rows i and columns j of closed-form inputs.


def closed_form(width: int, a: float, b: float, c: float) -> Tensor:
    i, j = torch.arange(8.0, dtype=torch.float64)[:, None], torch.arange(float(width), dtype=torch.float64)
    return torch.sin(a + b * i + c * j * (1 + 0.3 * i))


S, T = closed_form(5, 0.3, 1.7, 0.9).abs(), closed_form(7, 0.8, 1.1, 0.5).abs()
LOGITS_S, LOGITS_T = 3 * closed_form(10, 0.1, 0.7, 1.3), 4 * closed_form(10, 0.4, 0.9, 0.6)
LABELS = torch.arange(8) % 4


def method_term(name: str, **options: float) -> Tensor:
    """What the method registered as `name` gives on the golden inputs."""
    shapes = [Shapes(10, x.shape[1], ((1, 1, x.shape[1]),), (1, 1, x.shape[1])) for x in (S, T)]
    method = methods.load(name, Task(*shapes, LABELS, epochs=1), {name: options})
    student = Outputs(LOGITS_S, S, (S[:, None, None],), S[:, None, None])
    teacher = Outputs(LOGITS_T, T, (T[:, None, None],), T[:, None, None])
    term = method(student, teacher, batch_of(LABELS))
    return term if method.ce_weight == 1 else term + method.ce_weight * method.classification(LOGITS_S, LABELS)


GOLDEN_CASES: dict[str, Callable[[], Tensor]] = {
    "s[0]": lambda: S[0],
    "kd": lambda: kd_loss(LOGITS_S, LOGITS_T),
    "ce": lambda: Method(task()).classification(LOGITS_S, LABELS),
    "0.1 ce + 0.9 kd": lambda: method_term("kd"),
    "rkd distance": lambda: rkd_distance_loss(S, T),
    "rkd angle": lambda: rkd_angle_loss(S, T),
    "rkd 25 distance + 50 angle": lambda: method_term("rkd_da"),
    "rkd distance, normalized": lambda: method_term("rkd_d", normalize=True) / 25,
    "rkd angle, normalized": lambda: method_term("rkd_a", normalize=True) / 50,
    "sp": lambda: method_term("sp") / 3000,
    "gkd mask row sums, 3 neighbours": lambda: neighbour_mask(similarity_graph(T), 3).sum(1),
    "gkd dense, intra": lambda: gkd_loss(S, T, class_edges(LABELS, "intra")),
    "gkd dense, inter": lambda: gkd_loss(S, T, class_edges(LABELS, "inter")),
    **{f"gkd dense, power {p}": partial(gkd_loss, S, T, power=p) for p in (1, 2, 3)},
    **{f"gkd 3 neighbours, power {p}": partial(gkd_loss, S, T, power=p, neighbours=3) for p in (1, 2, 3)},
}


def test_every_golden_value_has_a_case() -> None:
    assert set(GOLDEN_CASES) == set(GOLDEN) - {"about"}


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_golden_value(name: str) -> None:
    expected = torch.tensor(GOLDEN[name], dtype=torch.float64)
    tolerance = 1e-6 if name == "s[0]" else 1e-12  # s[0] is known to six digits
    torch.testing.assert_close(GOLDEN_CASES[name](), expected, rtol=0, atol=tolerance)


# Values and gradients against the naive formulas.

LABELS_7 = torch.tensor([0, 1, 0, 2, 1, 0, 2])
FORMULAS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], tuple[int, ...], tuple[int, ...]]] = {
    "kd": (kd_loss, naive_kd, (CLASSES,), (CLASSES,)),
    "kd, T = 2": (partial(kd_loss, temperature=2.0), partial(naive_kd, temperature=2.0), (CLASSES,), (CLASSES,)),
    "rkd distance": (rkd_distance_loss, naive_distance, (4,), (9,)),
    "rkd angle": (rkd_angle_loss, naive_angle, (4,), (9,)),
    "sp": (sp_loss, naive_sp, (3, 2, 2), (5, 3, 3)),
    "gkd": (gkd_loss, naive_gkd, (3, 2, 2), (5, 3, 3)),
    "gkd, 2 neighbours, power 3": (
        partial(gkd_loss, neighbours=2, power=3),
        partial(naive_gkd, neighbours=2, power=3),
        (3, 2, 2),
        (5, 3, 3),
    ),
    **{
        f"gkd, {kind}, 3 neighbours": (
            partial(gkd_loss, edges=class_edges(LABELS_7, kind), neighbours=3, power=2),
            partial(naive_gkd, labels=LABELS_7, kind=kind, neighbours=3, power=2),
            (3, 2, 2),
            (5, 3, 3),
        )
        for kind in ("intra", "inter")
    },
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_gradient_are_those_of_the_formula(name: str, dtype: torch.dtype) -> None:
    loss, naive, student_shape, teacher_shape = FORMULAS[name]
    student, teacher = 2 * normal(7, *student_shape, seed=1) + 1, 2 * normal(7, *teacher_shape, seed=2) + 1
    expected, expected_gradient = loss_and_gradient(naive, student, teacher)
    value, gradient = loss_and_gradient(loss, student.to(dtype), teacher.to(dtype))
    assert value.dtype == gradient.dtype == dtype
    tolerance = {"rtol": 1e-10, "atol": 1e-13} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(value.double(), expected, **tolerance)
    torch.testing.assert_close(gradient.double(), expected_gradient, **tolerance)


@each(LOSSES)
def test_gradient_is_the_derivative(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    student, teacher = normal(5, 3, seed=3).requires_grad_(), normal(5, 3, seed=4)
    assert torch.autograd.gradcheck(lambda x: loss(x, teacher), student)


@pytest.mark.parametrize("vertices", [1, 3, 7])
def test_blocks_of_vertices_do_not_change_angles(vertices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher = normal(7, 4, seed=1), normal(7, 9, seed=2)
    expected = loss_and_gradient(naive_angle, student, teacher)
    monkeypatch.setattr(relations, "CPU_BLOCK", vertices * 7**2)
    torch.testing.assert_close(loss_and_gradient(rkd_angle_loss, student, teacher), expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("size", [(4, 4), (8, 8), (2, 2), (6, 5)], ids=["same", "twice", "half", "larger"])
@pytest.mark.parametrize("relu", [True, False])
def test_fitnet_is_its_formula(size: tuple[int, int], relu: bool) -> None:
    height, width = size
    shapes = [
        Shapes(CLASSES, 2, ((1, 16, 16), (3, *size), (2, 1, 1)), (2, 1, 1)),
        Shapes(CLASSES, 2, ((1, 16, 16), (5, 4, 4), (2, 1, 1)), (2, 1, 1)),
    ]
    method = FitNet(Task(*shapes, LABELS, epochs=1), relu=relu).double()
    outputs = [network(s, 6, seed) for s, seed in zip(shapes, (10, 20), strict=True)]
    convolution = method.regressor[0]
    x, target = outputs[0].maps[1], outputs[1].maps[1].detach()
    if size == (2, 2):  # every input pixel adds a 4x4 patch, the outermost ring of which is cut off
        patches = torch.einsum("bcp,cok->bokp", x.flatten(2), convolution.weight.flatten(2))
        regressed = F.fold(patches.flatten(1, 2), (4, 4), (4, 4), padding=1, stride=2)
    else:
        kernel, stride = ((3, 3), 2) if size == (8, 8) else ((height - 3, width - 3), 1)
        patches = F.unfold(x, kernel, padding=1 if stride == 2 else 0, stride=stride)
        regressed = torch.einsum("bkp,ok->bop", patches, convolution.weight.flatten(1)).unflatten(2, (4, 4))
    regressed = regressed + convolution.bias[:, None, None]
    mean, variance = regressed.mean((0, 2, 3), True), regressed.var((0, 2, 3), False, keepdim=True)
    regressed = (regressed - mean) / (variance + 1e-5).sqrt()
    expected = 100 * ((regressed.clamp(min=0) if relu else regressed) - target).pow(2).mean()
    value = method(*outputs, batch_of(LABELS))
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=0)
    gradients = torch.autograd.grad(value, x), torch.autograd.grad(expected, x)
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


def test_gkd_is_the_mean_over_two_maps_and_the_embedding() -> None:
    student, teacher, labels = network(STUDENT, 6, 0), network(TEACHER, 6, 50), torch.arange(6) % CLASSES
    taps = [(student.maps[1], teacher.maps[1]), (student.maps[2], teacher.maps[2])]
    taps.append((student.embedding, teacher.embedding))
    expected = 25 * sum(naive_gkd(s, t) for s, t in taps) / 3
    value = methods.load("gkd", task())(student, teacher, batch_of(labels))
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=0)
    options = {"edges": "inter", "neighbours": 2, "power": 2}
    expected = 25 * sum(naive_gkd(s, t, labels, "inter", 2, 2) for s, t in taps) / 3
    value = methods.load("gkd", task(), {"gkd": options})(student, teacher, batch_of(labels))
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_variants_count_stages_from_the_back(stages: int) -> None:
    student, teacher, labels = network(STUDENT, 6, 0), network(TEACHER, 6, 50), torch.arange(6) % CLASSES
    pairs = list(zip(student.maps, teacher.maps, strict=True))[1:]
    expected = 3000 * sum(naive_sp(s, t) for s, t in pairs[-stages:])
    value = methods.load("sp", task(), {"sp": {"stages": stages}})(student, teacher, batch_of(labels))
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=0)
    taps = [*pairs[:-1], (student.embedding, teacher.embedding)][-stages:]
    expected = 25 * sum(naive_gkd(s, t) for s, t in taps) / stages
    value = methods.load("gkd", task(), {"gkd": {"stages": stages}})(student, teacher, batch_of(labels))
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", ["kd", "kd+sp"])
def test_kd_may_leave_out_the_squared_temperature(name: str) -> None:
    student, teacher, batch = network(STUDENT, 6, 0), network(TEACHER, 6, 50), batch_of(torch.arange(6) % CLASSES)
    usual, plain = (methods.load(name, task(), {"kd": {"t_squared": t}}) for t in (True, False))
    weight = 1.0 if "+" in name else 0.9
    difference = 15 / 16 * weight * naive_kd(student.logits, teacher.logits)
    torch.testing.assert_close(usual(student, teacher, batch) - plain(student, teacher, batch), difference)


@pytest.mark.parametrize(
    ("name", "options", "tap"),
    [
        ("sp", {}, 3),
        ("fitnet", {"stage": 1}, 1),
        ("fitnet", {"stage": 2}, 2),
        ("fitnet", {"stage": 3}, 3),
    ],
)
def test_one_map_is_read(name: str, options: dict[str, int], tap: int) -> None:
    method = methods.load(name, task(), {name: options}).double()
    student, teacher = network(STUDENT, 6, 0), network(TEACHER, 6, 50)
    value = method(student, teacher, batch_of(torch.arange(6)))
    value.backward()
    assert [x.grad is not None for x in student.maps] == [i == tap for i in range(4)]
    if name == "sp":
        torch.testing.assert_close(value, 3000 * naive_sp(student.maps[tap], teacher.maps[tap]), rtol=1e-10, atol=0)


@pytest.mark.parametrize("neighbours", [7, 8, 128])
def test_gkd_with_as_many_neighbours_as_samples_is_dense(neighbours: int) -> None:
    student, teacher = normal(7, 4, seed=1).abs(), normal(7, 9, seed=2).abs()
    torch.testing.assert_close(gkd_loss(student, teacher, neighbours=neighbours), gkd_loss(student, teacher))


@pytest.mark.parametrize("name", ["rkd_d", "rkd_da"])
def test_rkd_at_several_depths_is_the_mean_over_two_maps_and_the_embedding(name: str) -> None:
    student, teacher = network(STUDENT, 6, seed=1), network(TEACHER, 6, seed=2)
    batch = batch_of(torch.arange(6) % CLASSES)
    options = {"stages": 3, "distance": 25.0}
    found = methods.load(name, task(), {name: options})(student, teacher, batch)
    pairs = [(s.maps[i], t.maps[i]) for s, t in [(student, teacher)] for i in (1, 2)]
    pairs.append((student.embedding, teacher.embedding))
    flat = [(s.flatten(1), t.flatten(1)) for s, t in pairs]
    expected = sum(25 * naive_distance(s, t) + (50 * naive_angle(s, t) if name == "rkd_da" else 0) for s, t in flat) / 3
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


def test_rkd_at_more_depths_than_a_network_has_stages_is_not_applicable() -> None:
    reason = methods.unsupported("rkd_d", task(), {"rkd_d": {"stages": 4}})
    assert reason == "student: the network has 3 stages, 4 are needed"
    with pytest.raises(ValueError, match="stages = 0"):
        methods.load("rkd_d", task(), {"rkd_d": {"stages": 0}})


@pytest.mark.parametrize("relation", [relations.gram, relations.squared_distances])
def test_relations_of_channels_last_maps_are_those_of_contiguous_ones(relation: Callable[[Tensor], Tensor]) -> None:
    maps = normal(6, 3, 4, 5, seed=3)
    last = maps.to(memory_format=torch.channels_last)
    torch.testing.assert_close(relation(last), relation(maps), rtol=1e-12, atol=1e-12)
    tangent = normal(6, 6, seed=4)
    gradients = []
    for x in (maps, last):
        leaf = x.clone().requires_grad_()
        gradients.append(torch.autograd.grad((relation(leaf) * tangent).sum(), leaf)[0])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-12, atol=1e-12)


def test_a_gram_matrix_has_a_gradient_where_autocast_rounds_its_products() -> None:
    x = normal(6, 5, seed=3).float()
    plain, rounded = (x.clone().requires_grad_() for _ in range(2))
    relations.gram(plain).square().sum().backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        products = relations.gram(rounded)
    products.float().square().sum().backward()
    assert (products.dtype, plain.grad is not None, rounded.grad is not None) == (torch.bfloat16, True, True)
    torch.testing.assert_close(rounded.grad, plain.grad, rtol=0.05, atol=0.05)
