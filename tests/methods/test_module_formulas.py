"""Losses of methods that learn or remember, in float64, against their formulas written once more."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from losses import CLASSES, STUDENT, TEACHER, batch_of, loss_and_gradient, network, normal, task
from method_tasks import shapes
from method_tasks import task as method_task
from torch import Tensor, nn

import methods
from methods.ab import boundary_loss
from methods.base import Batch, Outputs
from methods.connectors import BatchNorm, Conv2d, channels_pooled, pooled, statistics_kept
from methods.crd import nce_loss
from methods.ft import factor_loss
from methods.hkd import info_nce_loss, neighbourhoods
from methods.irg import caffe_edge_loss, edge_loss, movement_loss
from methods.memory import WIDTH, Bank, Negatives
from methods.reviewkd import hierarchical_context_loss
from methods.rrd import resemblance_loss

Loss = Callable[[Tensor, Tensor], Tensor]
SIZE = 5


def unit(x: Tensor) -> Tensor:
    return x / x.square().sum().sqrt()


def naive_edges(x: Tensor) -> list[Tensor]:
    squared = [((a - b) ** 2).sum() for a in x for b in x]
    return [each / max(squared) for each in squared]


def naive_edge_loss(student: Tensor, teacher: Tensor) -> Tensor:
    gaps = [(s - t) ** 2 for s, t in zip(naive_edges(student), naive_edges(teacher), strict=True)]
    return sum(gaps) / len(gaps)


def naive_movement(maps: Tensor) -> list[Tensor]:
    """Of [B, 3 C, 4, 2]: the first C channels of a stage, and the others of the next, at half the size."""
    moved = []
    for sample in maps:
        earlier, later = sample[:2], sample[2:, :2, :1]
        total = sample.new_zeros(())
        for c in range(2):
            for y in range(2):
                total += (earlier[c, 2 * y : 2 * y + 2].mean() - later[2 * c : 2 * c + 2, y, 0].mean()) ** 2
        moved.append(total)
    return [each / max(moved) for each in moved]


def movement_of_one(student: Tensor, teacher: Tensor) -> Tensor:
    return movement_loss(*((m[:, :2], m[:, 2:, :2, :1]) for m in (student, teacher)))


def naive_movement_loss(student: Tensor, teacher: Tensor) -> Tensor:
    gaps = [(s - t) ** 2 for s, t in zip(naive_movement(student), naive_movement(teacher), strict=True)]
    return sum(gaps) / len(gaps)


QUEUE = normal(7, 4, seed=9)


def naive_resemblance(student: Tensor, teacher: Tensor) -> Tensor:
    total = student.new_zeros(())
    for s, t in zip(student, teacher, strict=True):
        p = [(t @ q / 0.02).exp() for q in QUEUE]
        q = [(s @ q / 0.1).exp() for q in QUEUE]
        total -= sum(a / sum(p) * (b / sum(q)).log() for a, b in zip(p, q, strict=True))
    return total / len(student)


def naive_info_nce(student: Tensor, teacher: Tensor) -> Tensor:
    """Of scores with themselves as negatives, but for the first column."""
    total = student.new_zeros(())
    for row in student:
        total -= (row[0] / 0.07).exp().div(sum((score / 0.07).exp() for score in row)).log()
    return total / len(student)


def naive_nce(student: Tensor, teacher: Tensor) -> Tensor:
    share, total = 0.4, student.new_zeros(())
    for row in student.exp():
        total -= (row[0] / (row[0] + share + 1e-7)).log()
        total -= sum((share / (ratio + share + 1e-7)).log() for ratio in row[1:])
    return total / len(student)


def naive_factors(student: Tensor, teacher: Tensor) -> Tensor:
    total = student.new_zeros(())
    for s, t in zip(student, teacher, strict=True):
        t = torch.stack([t[:, 2 * y : 2 * y + 2].mean(1) for y in range(2)], 1)
        attention = [unit((f**2).sum(0).flatten() / len(f)) for f in (s, t)]
        total += (attention[0] - attention[1]).abs().sum() / 4
    return total / len(student)


def naive_boundaries(student: Tensor, teacher: Tensor) -> Tensor:
    total = student.new_zeros(())
    for s, t in zip(student.flatten(), teacher.flatten(), strict=True):
        if t > 0 and s <= 1:
            total += (s - 1) ** 2
        if t <= 0 and s > -1:
            total += (s + 1) ** 2
    return total / len(student)


def naive_context(student: Tensor, teacher: Tensor) -> Tensor:
    """Maps of 4 x 4: the full size, 2 and 1."""
    gap = student - teacher
    halves = torch.stack([gap[:, :, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((2, 3)) for y in (0, 1) for x in (0, 1)])
    whole = gap.mean((2, 3))
    return ((gap**2).mean() + (halves**2).mean() / 2 + (whole**2).mean() / 4) / 1.75


FORMULAS: dict[str, tuple[Loss, Loss, tuple[int, ...], tuple[int, ...]]] = {
    "irg, edges": (edge_loss, naive_edge_loss, (3, 2), (9,)),
    "irg, caffe": (caffe_edge_loss, lambda s, t: naive_edge_loss(s, t) * SIZE / 2, (3,), (9,)),
    "irg, movement": (movement_of_one, naive_movement_loss, (6, 4, 2), (6, 4, 2)),
    "crd": (lambda s, t: nce_loss(s.exp(), 0.4), naive_nce, (6,), (1,)),
    "hkd": (lambda s, t: info_nce_loss(s[:, 0], s[:, 1:]), naive_info_nce, (6,), (1,)),
    "rrd": (lambda s, t: resemblance_loss(s, t, QUEUE.to(s)), naive_resemblance, (4,), (4,)),
    "ft": (factor_loss, naive_factors, (3, 2, 2), (4, 4, 2)),
    "ab": (boundary_loss, naive_boundaries, (2, 3, 3), (2, 3, 3)),
    "reviewkd": (hierarchical_context_loss, naive_context, (3, 4, 4), (3, 4, 4)),
}
"""A loss, its formula, and the shapes of student and teacher."""


@pytest.mark.parametrize("name", FORMULAS)
def test_a_loss_is_its_formula(name: str) -> None:
    loss, naive, *shapes = FORMULAS[name]
    student, teacher = (normal(SIZE, *shape, seed=seed) / 2 for seed, shape in enumerate(shapes, start=1))
    expected = loss_and_gradient(naive, student, teacher)
    value, gradient = loss_and_gradient(loss, student, teacher)
    torch.testing.assert_close(value, expected[0], rtol=1e-10, atol=0)
    if name != "irg, caffe":  # which holds the largest distance fixed
        torch.testing.assert_close(gradient, expected[1], rtol=1e-8, atol=1e-12)
    single = loss(student.float(), teacher.float())
    torch.testing.assert_close(single.double(), expected[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["irg, edges", "irg, movement"])
@pytest.mark.parametrize("scale", [1e-8, 1e-10])
def test_shares_of_the_largest_distance_do_not_hang_on_its_size(name: str, scale: float) -> None:
    """In single precision too, where 1 / x^2 of such squared distances overflows."""
    loss, _, *shapes = FORMULAS[name]
    student, teacher = (normal(SIZE, *shape, seed=seed) for seed, shape in enumerate(shapes, start=1))
    value, gradient = loss_and_gradient(loss, student, teacher)
    small, steep = loss_and_gradient(loss, scale * student.float(), teacher.float())
    torch.testing.assert_close(small.double(), value, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(scale * steep.double(), gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", [(3, 5), (2, 3), (6, 7), (1, 1), (9, 15)])
def test_pooling_is_torchs_to_the_last_digits(size: tuple[int, int]) -> None:
    maps = normal(2, 3, 6, 10)
    torch.testing.assert_close(pooled(maps, size), F.adaptive_avg_pool2d(maps, size), rtol=1e-13, atol=1e-14)


def test_neighbourhoods_are_the_most_alike_predictions() -> None:
    logits = 3 * normal(6, 4)
    shares = neighbourhoods(logits, 3)
    p = [unit(x.exp() / x.exp().sum()) for x in logits]
    for i, row in enumerate(shares):
        nearest = sorted(range(6), key=lambda j: -(p[i] @ p[j]) if j != i else -torch.tensor(2.0))[:3]
        assert sorted(row.nonzero().flatten().tolist()) == sorted(nearest)
    torch.testing.assert_close(shares.sum(1), torch.ones(6).double())
    assert torch.equal(neighbourhoods(logits[:2], 3), torch.full((2, 2), 0.5).double())


# Memories.


def batch(labels: Tensor, index: Tensor) -> Batch:
    return Batch(labels[index], index, torch.tensor(0), torch.zeros(()), torch.Generator().manual_seed(3))


def test_negatives_are_all_images_of_other_classes_alike() -> None:
    labels = torch.tensor([2, 0, 0, 2, 4, 2, 0, 4, 4, 4])  # no image of the classes 1 and 3
    here = batch(labels, torch.tensor([0, 1, 4, 3]))
    drawn = Negatives(labels, 6000)(here)
    for own, row in zip(here.labels, drawn, strict=True):
        counts = row.bincount(minlength=len(labels))
        assert not counts[labels == own].any()
        expected = 6000 / (labels != own).sum()
        assert ((counts[labels != own] - expected).abs() < 5 * expected**0.5).all()


def test_a_row_follows_its_image() -> None:
    bank, index = Bank(6, momentum=0.9).double(), torch.tensor([4, 1])
    before, embedded = bank.rows.clone(), F.normalize(normal(2, WIDTH), dim=1)
    assert (before.abs() <= (3 / WIDTH) ** 0.5).all()
    bank.follow(index, embedded)
    for row, target in zip(index, embedded, strict=True):
        torch.testing.assert_close(bank.rows[row], unit(0.9 * before[row] + 0.1 * target))
    others = torch.tensor([0, 2, 3, 5])
    assert torch.equal(bank.rows[others], before[others])
    candidates = torch.tensor([[0, 5, 5], [3, 1, 0]])
    block = bank.rows[candidates]  # what the scores do without
    torch.testing.assert_close(bank.scores(embedded, candidates), torch.einsum("bd,bkd->bk", embedded, block))


def test_a_queue_wraps_around() -> None:
    method = methods.load("rrd", task(), {"rrd": {"queue": 16}}).double()
    entered: list[Tensor] = []
    for seed in range(4):
        student, teacher = network(STUDENT, 6, seed), network(TEACHER, 6, 50 + seed)
        method(student, teacher, batch_of(torch.arange(6) % CLASSES))
        entered += F.normalize(method.teacher_embedding(teacher.embedding.detach()), dim=1)
    rows = torch.stack(entered[-16:])
    torch.testing.assert_close(method.queue.roll(-24 % 16, 0), rows, rtol=1e-10, atol=0)


# Connectors.


@pytest.mark.parametrize(("size", "target"), [((8, 4), (4, 2)), ((7, 5), (3, 2)), ((4, 4), (4, 1)), ((2, 3), (5, 3))])
def test_averages_are_those_of_adaptive_pooling(size: tuple[int, int], target: tuple[int, int]) -> None:
    x = normal(2, 3, *size)
    torch.testing.assert_close(pooled(x, target), F.adaptive_avg_pool2d(x, target))
    channels = F.adaptive_avg_pool1d(x.flatten(2).mT, 2).mT.unflatten(2, size)
    torch.testing.assert_close(channels_pooled(x, 2), channels)
    assert channels_pooled(x, 3) is x


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize(
    "options", [{"kernel_size": 1}, {"kernel_size": 3, "padding": 1}, {"kernel_size": 3, "stride": 2, "padding": 1}]
)
def test_convolutions_are_torchs_for_any_size_of_map(size: int, options: dict[str, int]) -> None:
    ours = Conv2d(5, 4, **options).double()
    theirs = nn.Conv2d(5, 4, **options).double()
    theirs.load_state_dict(ours.state_dict())
    x = normal(3, 5, size, size)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=1e-12)
    for each in (ours, theirs):
        each(x).square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, rtol=1e-12, atol=1e-12)


def test_fitnet_takes_a_last_batch_of_one_image_on_maps_of_one_position() -> None:
    method = methods.load("fitnet", method_task(shapes(1, 1, 1), shapes(1, 1, 1)))
    maps = tuple(normal(1, 4, 1, 1, dtype=torch.float32) for _ in range(3))
    outputs = Outputs(normal(1, 10, dtype=torch.float32), maps[-1].flatten(1), maps, maps[-1])
    assert method.train()(outputs, outputs, batch_of(torch.zeros(1, dtype=torch.int64))).isfinite()


def test_batch_normalisation_of_a_single_value_uses_running_statistics() -> None:
    norm, plain = BatchNorm(3), nn.BatchNorm2d(3)
    x = normal(4, 3, 2, 2, dtype=torch.float32)
    torch.testing.assert_close(norm(x), plain(x))
    before = norm.running_mean.clone()
    one = normal(1, 3, 1, 1, dtype=torch.float32)
    torch.testing.assert_close(norm(one), plain.eval()(one))
    with statistics_kept(norm):
        norm(x)
    assert torch.equal(norm.running_mean, before)
    norm(x)
    assert not torch.equal(norm.running_mean, before)


# What the trainer does with them.


def normalised(x: Tensor) -> Tensor:
    """Each channel of [B, C, H, W] by its own mean and deviation, in a loop."""
    return torch.stack([(c - c.mean()) / (c.var(unbiased=False) + 1e-5).sqrt() for c in x.unbind(1)], 1)


def test_simkd_is_its_formula() -> None:
    method = methods.load("simkd", task(), {"simkd": {"factor": 3, "weight": 2.0}}).double()
    student, teacher = network(STUDENT, 6, 0), network(TEACHER, 6, 50)
    x = student.pooled_map
    for i, padding in ((0, 0), (3, 1), (6, 0)):
        x = normalised(F.conv2d(x, method.projector[i].weight, padding=padding)).clamp(min=0)
    target = torch.stack(
        [
            m[:, 2 * y : 2 * y + 2, 2 * z : 2 * z + 2].mean((1, 2))
            for m in teacher.pooled_map
            for y in (0, 1)
            for z in (0, 1)
        ]
    )
    target = target.view(6, 2, 2, -1).permute(0, 3, 1, 2).detach()
    expected = 2 * (x - target).square().mean()
    torch.testing.assert_close(method(student, teacher, batch_of(torch.arange(6) % CLASSES)), expected)
    logits = x.mean((2, 3)) @ method.classifier.weight.T + method.classifier.bias
    torch.testing.assert_close(method.predict(student), logits)
    assert method.deployed() == (method.projector, method.classifier)


def test_srrl_is_its_formula() -> None:
    method = methods.load("srrl", task(), {"srrl": {"weight": 2.0, "kd": 0.0}}).double()
    student, teacher = network(STUDENT, 6, 0), network(TEACHER, 6, 50)
    lifted = student.embedding @ method.connector[0].weight[:, :, 0, 0].T
    lifted = normalised(lifted[:, :, None, None])[:, :, 0, 0].clamp(min=0)
    regressed = lifted @ method.classifier.weight.T + method.classifier.bias
    expected = 2 * ((lifted - teacher.embedding) ** 2).mean() + 2 * ((regressed - teacher.logits) ** 2).mean()
    torch.testing.assert_close(method(student, teacher, batch_of(torch.arange(6) % CLASSES)), expected.detach())
    assert methods.resolve("kd+srrl")["srrl"]["kd"] == 0.0


@pytest.mark.parametrize("name", ["simkd", "srrl"])
def test_a_teachers_classifier_with_batch_normalisation_stays_as_it_came(name: str) -> None:
    """In the training mode that a method is put into, too."""
    width = TEACHER.pooled_map[0] if name == "simkd" else TEACHER.embedding
    classifier = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, CLASSES)).double().eval()
    method = methods.load(name, replace(task(), classifier=classifier)).double().train()
    student, teacher = network(STUDENT, 6, 0), network(TEACHER, 6, 50)
    before = [buffer.clone() for buffer in classifier.buffers()]
    if name == "simkd":
        with statistics_kept(method):
            said, lifted = method.predict(student), method.projected(student).mean((2, 3))
        torch.testing.assert_close(said, classifier.eval()(lifted))
    method.train()(student, teacher, batch_of(torch.arange(6) % CLASSES))
    assert all(map(torch.equal, method.classifier.buffers(), before))


def test_simkd_sees_a_batch_once() -> None:
    """Prediction and term pass it twice; the statistics move by the first."""
    method = methods.load("simkd", task()).double()
    student, teacher = network(STUDENT, 6, 0), network(TEACHER, 6, 50)
    method.predict(student)
    before = [buffer.clone() for buffer in method.buffers()]
    method(student, teacher, batch_of(torch.arange(6) % CLASSES))
    after = [b for b in method.buffers() if b.dim()]
    assert all(torch.equal(a, b) for a, b in zip(after, (b for b in before if b.dim()), strict=True))


@pytest.mark.parametrize("epochs", [240, 24])
def test_the_review_warms_up_in_proportion_to_the_schedule(epochs: int) -> None:
    method = methods.load("reviewkd", replace(task(), epochs=epochs)).double()
    student, teacher = network(STUDENT, 6, 0), network(TEACHER, 6, 50)
    labels = torch.arange(6) % CLASSES
    terms = [
        method(student, teacher, Batch(labels, labels, torch.tensor(epoch), torch.zeros(()), torch.Generator()))
        for epoch in (0, 1, 10, 19, 30)
    ]
    ramps = torch.tensor([(epoch + 1) * 240 / (20 * epochs) for epoch in (0, 1, 10, 19, 30)]).clamp(max=1)
    torch.testing.assert_close(torch.stack(terms) / terms[-1], ramps.double())
