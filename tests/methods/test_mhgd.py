"""MHGD against its formulas written once more, one pair of samples at a time, and in training."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
import untrained
from torch import Tensor, nn
from untrained import Bench, normal, random_outputs, same_bits

import methods
from methods import singular
from methods.base import Batch, Outputs, Shapes, Task
from methods.mhgd import (
    AttentionHeads,
    Estimator,
    MultiHeadGraphDistillation,
    clipping,
    graph_loss,
    kept_heads,
    scaling,
)

HEADS, SIZE = 3, 5
TEACHER = Shapes(10, 6, ((4, 8, 8), (4, 4, 4), (6, 3, 3), (6, 2, 2)), (6, 2, 2), stem=1)
NARROW = Shapes(10, 6, ((2, 8, 8), (3, 4, 4), (4, 2, 2), (5, 1, 1)), (5, 1, 1), stem=1)


def task(student: Shapes = TEACHER, teacher: Shapes | None = TEACHER) -> Task:
    return Task(student, teacher, torch.arange(20) % 10, epochs=2)


def batch(size: int = SIZE, epoch: int = 0, seed: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(torch.arange(size), torch.arange(size), torch.tensor(epoch), torch.zeros(()), generator)


def method(student: Shapes = TEACHER, **options: float | str) -> MultiHeadGraphDistillation:
    """In float64, with running statistics and scales that are not the initial ones."""
    torch.manual_seed(0)
    built = methods.load("mhgd", task(student), {"mhgd": {"heads": HEADS, **options}}).double()
    assert isinstance(built, MultiHeadGraphDistillation)
    seed = 0
    for module in built.modules():
        if isinstance(module, nn.BatchNorm1d):
            for x in (module.weight, module.bias, module.running_mean, module.running_var):
                seed += 1
                x.data += 0.2 * normal(*x.shape, seed=seed).abs()
    return built


def pair(student: Shapes = TEACHER, size: int = SIZE) -> tuple[Outputs, Outputs]:
    return random_outputs(student, size, 100), random_outputs(TEACHER, size, 200)


# The formulas once more.


def naive_projection(layers: nn.Module, x: Tensor, batch_statistics: bool) -> Tensor:
    linear, norm = layers
    y = x @ linear.weight.T
    mean, variance = norm.running_mean, norm.running_var
    if batch_statistics:
        mean = y.sum(0) / len(y)
        variance = (y - mean).square().sum(0) / len(y)
    return (y - mean) / (variance + 1e-5).sqrt() * norm.weight + norm.bias


def naive_graphs(heads: AttentionHeads, front: Tensor, back: Tensor, batch_statistics: bool) -> Tensor:
    theta = naive_projection(heads.theta, back, batch_statistics)
    phi = naive_projection(heads.phi, front, batch_statistics)
    width = (front.shape[1] + back.shape[1]) // 2

    def edge(head: int, i: int, j: int) -> Tensor:
        dimensions = slice(head * width, (head + 1) * width)
        return (theta[i, dimensions] * phi[j, dimensions]).sum()

    samples = range(len(front))
    return torch.stack(
        [torch.stack([torch.stack([edge(h, i, j) for j in samples]) for i in samples]) for h in range(HEADS)]
    )


def naive_estimate(estimator: Estimator, graphs: Tensor, front: Tensor, kept: Tensor) -> Tensor:
    value = naive_projection(estimator.value[0], front, batch_statistics=True).clamp(min=0)
    rows = []
    for i in range(len(front)):
        parts = []
        for head in range(HEADS):
            weights = graphs[head, i].exp() / graphs[head, i].exp().sum()
            parts.append(kept[head, i] * sum(w * v for w, v in zip(weights, value, strict=True)))
        row = estimator.output.weight @ torch.cat(parts) + estimator.output.bias
        rows.append(row / row.square().sum().sqrt())
    return torch.stack(rows)


def naive_graph_loss(student: Tensor, teacher: Tensor) -> Tensor:
    total = student.new_zeros(())
    for s, t in zip(student.tanh().flatten(0, 1), teacher.tanh().flatten(0, 1), strict=True):
        p, q = s.exp() / s.exp().sum(), t.exp() / t.exp().sum()
        total = total + sum(a * (a / b).log() for a, b in zip(p, q, strict=True))
    return total


def naive_vectors(student: Outputs, teacher: Outputs, projections: nn.ModuleList) -> tuple[list[Tensor], list[Tensor]]:
    """By a singular value decomposition of every sample's [HW, C] map."""
    vectors, targets = [], []
    for project, s, t in zip(projections, student.stages(3), teacher.stages(3), strict=True):
        if isinstance(project, nn.Conv2d):
            s = torch.einsum("oi,bihw->bohw", project.weight[:, :, 0, 0], s)
        at_stage, targets_here = [], []
        for x, y in zip(s.flatten(2).mT, t.detach().flatten(2).mT, strict=True):
            target = torch.linalg.svd(y, full_matrices=False).Vh[0]
            target = target * (target @ y.sum(0)).sign()
            candidates = torch.linalg.svd(x, full_matrices=False).Vh[:4]
            rank = int(torch.linalg.matrix_rank(x))
            cosines = [float(v.detach() @ target) for v in candidates[:rank]]
            best = max(range(len(cosines)), key=lambda i: abs(cosines[i]))
            at_stage.append(candidates[best] * math.copysign(1, cosines[best]))
            targets_here.append(target)
        vectors.append(torch.stack(at_stage))
        targets.append(torch.stack(targets_here))
    return vectors, targets


@pytest.mark.parametrize("training", [True, False])
def test_graphs_are_their_formula(training: bool) -> None:
    heads = method().attention[1].train(training)
    front, back = normal(SIZE, 6, seed=1), normal(SIZE, 6, seed=2)
    expected = naive_graphs(heads, front, back, training)
    graphs = heads(front, back)
    assert graphs.shape == (HEADS, SIZE, SIZE)
    torch.testing.assert_close(graphs, expected, rtol=1e-10, atol=1e-12)


def test_estimate_is_its_formula() -> None:
    estimator = method().estimators[0].train()
    graphs, front = normal(HEADS, SIZE, SIZE, seed=1), normal(SIZE, 4, seed=2)
    kept = kept_heads(HEADS, SIZE, torch.Generator().manual_seed(0)).double()
    estimate = estimator(graphs, front, kept)
    assert estimate.shape == (SIZE, 6)
    torch.testing.assert_close(estimate, naive_estimate(estimator, graphs, front, kept), rtol=1e-10, atol=1e-12)


def test_about_half_of_the_heads_are_kept_and_never_all_or_none() -> None:
    kept = kept_heads(8, 1000, torch.Generator().manual_seed(0)).sum(0)
    assert kept.min() > 0
    assert kept.max() < 8
    assert abs(kept.double().mean() - 4) < 0.1
    noise = torch.randn(8, 6, 1, generator=torch.Generator().manual_seed(5))
    again = kept_heads(8, 6, torch.Generator().manual_seed(5))
    assert [[bool(x > row.mean()) for x in row] for row in noise[:, :, 0].T] == again[:, :, 0].T.tolist()


def test_graph_loss_is_its_formula() -> None:
    student, teacher = normal(HEADS, SIZE, SIZE, seed=1).requires_grad_(), 2 * normal(HEADS, SIZE, SIZE, seed=2)
    loss, expected = graph_loss(student, teacher), naive_graph_loss(student, teacher)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(*(torch.autograd.grad(x, student)[0] for x in (loss, expected)), rtol=1e-10, atol=1e-14)
    assert graph_loss(teacher, teacher) == 0


@pytest.mark.parametrize("student", [TEACHER, NARROW], ids=["equal", "projected"])
def test_term_is_its_formula(student: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(singular, "ITERATIONS", 100)
    built, (s, t) = method(student), pair(student)
    vectors, targets = naive_vectors(s, t, built.projections)
    expected = sum(
        naive_graph_loss(
            naive_graphs(heads, vectors[i], vectors[i + 1], False),
            naive_graphs(heads, targets[i], targets[i + 1], False),
        )
        for i, heads in enumerate(built.attention)
    )
    term = built(s, t, batch())
    torch.testing.assert_close(term, expected, rtol=1e-5, atol=0)
    inputs = (*s.stages(3), *built.projections.parameters())
    gradients = zip(torch.autograd.grad(term, inputs), torch.autograd.grad(expected, inputs), strict=True)
    for gradient, exact in gradients:
        torch.testing.assert_close(gradient, exact, rtol=1e-3, atol=1e-4 * float(exact.abs().max()))


def test_estimation_loss_is_its_formula() -> None:
    built, (_, teacher) = method(), pair()
    targets = naive_vectors(teacher, teacher, nn.ModuleList([nn.Identity()] * 3))[1]
    generator, expected = batch().generator, 0.0
    for i, (heads, estimator) in enumerate(zip(built.attention, built.estimators, strict=True)):
        front, back = targets[i], targets[i + 1]
        noise = torch.randn(HEADS, SIZE, 1, generator=generator)
        kept = (noise > noise.sum(0) / HEADS).double()
        estimate = naive_estimate(estimator, naive_graphs(heads, front, back, True), front, kept)
        expected = expected + sum(1 - e @ v for e, v in zip(estimate, back, strict=True)) / SIZE
    loss = built.estimation_loss(None, teacher, batch())
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    owned = [p for module in (built.attention, built.estimators) for p in module.parameters()]
    gradients = zip(torch.autograd.grad(loss, owned), torch.autograd.grad(expected, owned), strict=True)
    for gradient, exact in gradients:
        torch.testing.assert_close(gradient, exact, rtol=1e-4, atol=1e-6)


# The gradient rules.


@pytest.mark.parametrize("epoch", [0, 1, 2, 30])
@pytest.mark.parametrize("length", [0.01, 1.0, 100.0])
def test_rules_are_their_formulas(epoch: int, length: float) -> None:
    main, term = normal(4, 3, seed=1), length * normal(4, 3, seed=2)
    norm_main, norm_term = math.sqrt(main.square().sum()), math.sqrt(term.square().sum())
    limit = norm_main / (1 + math.exp(-epoch))
    expected = main + term * (limit / norm_term if norm_term > limit else 1)
    torch.testing.assert_close(method().combine(main, term, batch(epoch=epoch)), expected)
    tau = max(1, norm_main / norm_term)
    expected = main + term / (1 + math.exp(-tau))
    torch.testing.assert_close(method(rule="scale").combine(main, term, batch(epoch=epoch)), expected)


def test_the_share_of_the_main_gradient_grows_from_one_half() -> None:
    main, term = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 1e6])
    shares = [float(method().combine(main, term, batch(epoch=e))[1]) / 2 for e in (0, 1, 2, 40)]
    assert [round(share, 2) for share in shares] == [0.5, 0.73, 0.88, 1.0]


@pytest.mark.parametrize("rule", ["clip", "scale"])
def test_the_weight_multiplies_what_the_rule_leaves(rule: str) -> None:
    main, term = normal(4, 3, seed=1), 100 * normal(4, 3, seed=2)
    usual, tenth = (method(rule=rule, weight=w).combine(main, term, batch()) for w in (1.0, 0.1))
    torch.testing.assert_close(tenth - main, (usual - main) / 10)


def test_rules_take_gradients_of_zero() -> None:
    term, main = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    assert clipping(term, main, 0.5).tolist() == [1, 0, 1]
    assert torch.equal(scaling(term, main)[:2], torch.ones(2).sigmoid())
    zero, one = torch.zeros(3), torch.ones(3)
    for rule in ("clip", "scale"):
        combined = method(rule=rule).combine_all([zero, zero, one], [zero, one, zero], batch())
        assert torch.equal(combined[0], zero)
        assert torch.equal(combined[2], one)


@pytest.mark.parametrize(("name", "weight"), [("mhgd", 0.0), ("mhgd+kd", 1.0)])
def test_the_rule_sees_cross_entropy_and_the_other_terms(name: str, weight: float) -> None:
    bench = Bench()
    member = bench.member(name, {"heads": 2})
    images, step, teacher = bench.first_batch(member, epoch=2)
    member.phase = None
    member.backward(images, step, teacher)
    given = {key: p.grad for key, p in member.network.named_parameters()}
    own = {key: p.grad for key, p in member.method.named_parameters()}
    twin = bench.member(name, {"heads": 2})
    outputs = twin.network(images)
    kl = F.kl_div((outputs.logits / 4).log_softmax(1), (teacher.logits / 4).softmax(1), reduction="batchmean")
    main = F.cross_entropy(outputs.logits, step.labels) + weight * 16 * kl
    part = twin.method.registered["mhgd"] if name == "mhgd+kd" else twin.method
    term = part(outputs, teacher, step)
    for key, p in twin.network.named_parameters():
        g_main, g_term = (torch.autograd.grad(x, p, retain_graph=True, allow_unused=True)[0] for x in (main, term))
        if g_term is not None:
            g_main = g_main + g_term * min(1, float(g_main.norm() / (1 + math.exp(-2)) / g_term.norm()))
        torch.testing.assert_close(given[key], g_main, rtol=1e-4, atol=1e-6)
    for key, p in twin.method.named_parameters():
        if "projections" in key:
            torch.testing.assert_close(
                own[key], torch.autograd.grad(term, p, retain_graph=True)[0], rtol=1e-4, atol=1e-5
            )
        else:
            assert own[key] is None, key


# What every method keeps to.


@pytest.mark.parametrize("student", [TEACHER, NARROW], ids=["equal", "projected"])
def test_gradients_reach_what_they_should(student: Shapes) -> None:
    built, (s, t) = method(student), pair(student)
    built(s, t, batch()).backward()
    assert all(x.grad is None for x in (*t.maps, t.logits, t.embedding))
    assert [x.grad is not None for x in s.maps] == [False, True, True, True]
    for key, parameter in built.named_parameters():
        assert (parameter.grad is not None) == key.startswith("projections"), key
    built.zero_grad()
    built.estimation_loss(None, t, batch()).backward()
    assert all(x.grad is None for x in (*t.maps, t.logits, t.embedding))
    for key, parameter in built.named_parameters():
        assert (parameter.grad is not None) != key.startswith("projections"), key


def test_order_of_the_batch_does_not_matter() -> None:
    built, (s, t) = method(NARROW), pair(NARROW)
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = [replace(x, maps=tuple(m.detach()[order].requires_grad_() for m in x.maps)) for x in (s, t)]
    loss, again = built(s, t, batch()), built(*permuted, batch())
    torch.testing.assert_close(again, loss, rtol=1e-9, atol=0)
    gradients = (torch.autograd.grad(x, m) for x, m in ((loss, s.stages(3)), (again, permuted[0].stages(3))))
    for gradient, moved in zip(*gradients, strict=True):
        torch.testing.assert_close(moved, gradient[order], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rows", [[0], [0, 1], [0, 0, 0], [5], [5, 5], [0, 5, 1, 5, 0]], ids=str)
def test_duplicate_zero_and_single_samples(rows: list[int]) -> None:
    built = method(NARROW).float()
    outputs = []
    for x in pair(NARROW):
        maps = [torch.cat([m.detach(), torch.zeros_like(m[:1])])[rows].float().requires_grad_() for m in x.maps]
        outputs.append(replace(x, maps=tuple(maps)))
    for _ in range(2):
        term = built(*outputs, batch(len(rows)))
        assert term.isfinite()
        assert all(g.isfinite().all() for g in torch.autograd.grad(term, outputs[0].stages(3)))
        loss = built.estimation_loss(None, outputs[1], batch(len(rows)))
        assert loss.isfinite()
        owned = [p for module in (built.attention, built.estimators) for p in module.parameters()]
        assert all(g.isfinite().all() for g in torch.autograd.grad(loss, owned))
    assert all(x.isfinite().all() for x in built.state_dict().values())


def test_zero_for_the_teacher_itself() -> None:
    teacher = pair()[1]
    assert method()(teacher, teacher, batch()).abs() < 1e-12


def test_nothing_waits_for_the_device() -> None:
    """Tensors without data: whatever needs a value on the host raises."""
    built = method(NARROW).float().to("meta")

    def on_meta(outputs: Outputs) -> Outputs:
        return replace(outputs, maps=tuple(m.detach().float().to("meta").requires_grad_() for m in outputs.maps))

    student, teacher = map(on_meta, pair(NARROW))
    here = replace(batch(), **{name: getattr(batch(), name).to("meta") for name in ("labels", "index", "epoch")})
    built(student, teacher, here).backward()
    built.estimation_loss(None, teacher, here).backward()
    gradient = student.maps[1].grad
    assert gradient is not None
    for rule in ("clip", "scale"):
        built.rule = rule
        built.combine(gradient, gradient, here)


@pytest.mark.parametrize(
    ("student", "teacher", "reason"),
    [
        (Shapes(10, 4, ((4, 4, 4), (4, 2, 2)), (4, 2, 2)), TEACHER, "student: .* 2 stages, 3"),
        (TEACHER, Shapes(10, 4, ((4, 4, 4),), (4, 4, 4)), "teacher: .* 1 stages, 3"),
    ],
)
def test_networks_of_too_few_stages_are_not_served(student: Shapes, teacher: Shapes, reason: str) -> None:
    given = methods.unsupported("mhgd", task(student, teacher))
    assert given is not None
    with pytest.raises(ValueError, match=reason):
        methods.load("mhgd", task(student, teacher))
    assert methods.unsupported("mhgd", task(), {"mhgd": {"stages": 2}}) is None


@pytest.mark.parametrize("options", [{"rule": "clamp"}, {"heads": 0}, {"epochs": -1}, {"stages": 1}])
def test_options_out_of_range_are_refused(options: dict[str, int | str]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        methods.load("mhgd", task(), {"mhgd": options})
    with pytest.raises(ValueError, match="needs a teacher"):
        methods.load("mhgd", task(teacher=None))


# In training.


def split(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Of a method's state, the heads and estimators, and the projections."""
    parts: tuple[dict[str, Tensor], dict[str, Tensor]] = {}, {}
    for key, value in state.items():
        parts["projections" in key][key] = value
    return parts


def test_the_phase_trains_the_heads_and_the_main_schedule_the_rest() -> None:
    bench = Bench()
    member = bench.member("mhgd", {"epochs": 2})
    (group,) = member.optimizer.param_groups
    assert group["weight_decay"] == 1e-3
    start = untrained.copied(member)
    bench.train(member, steps=2 * untrained.STEPS)
    assert member.phase is None
    assert member.optimizer.param_groups[0]["weight_decay"] == untrained.RECIPE.weight_decay
    between = untrained.copied(member)
    assert same_bits(start["network"], between["network"])
    (heads, projections), (heads_before, projections_before) = split(between["method"]), split(start["method"])
    assert not any(same_bits(heads[key], heads_before[key]) for key in heads)
    assert same_bits(projections, projections_before)
    bench.train(member)
    (heads_after, projections_after), network = split(member.method.state_dict()), member.network.state_dict()
    assert same_bits(heads_after, heads)
    assert not any(same_bits(projections_after[key], projections[key]) for key in projections)
    assert not any(same_bits(network[key], value) for key, value in between["network"].items())


def test_heads_learn() -> None:
    bench = Bench()
    member = bench.member("mhgd", {"epochs": 8})
    bench.train(member, steps=8 * untrained.STEPS)
    losses = [row["train_loss"] for row in member.curve]
    assert len(losses) == 8
    assert losses[-1] < losses[0] / 2
    assert all(row["train_top1"] is None for row in member.curve)


@pytest.mark.parametrize("name", ["mhgd", "mhgd+kd"])
def test_resumed_runs_keep_their_bits(name: str) -> None:
    bench, options = Bench(), {"epochs": 2, "heads": 2}
    whole = bench.member(name, options)
    bench.train(whole)
    for steps in (2, 2 * untrained.STEPS, 2 * untrained.STEPS + 1):  # in the phase, after it, in the main schedule
        broken = bench.member(name, options)
        bench.train(broken, steps=steps)
        resumed = bench.member(name, options)
        resumed.restore(untrained.copied(broken))
        bench.train(resumed)
        for part in ("network", "method", "optimizer", "curve", "next_step"):
            assert same_bits(resumed.state()[part], whole.state()[part]), (steps, part)
