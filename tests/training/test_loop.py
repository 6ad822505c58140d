"""Training against a plain loop, written without the suite's engine."""

import math
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from capture_bench import Bench
from torch import Tensor

from benchmark.data import Resident, TrainingSet, load
from benchmark.models.weights import weights_sha256
from benchmark.records import Folder
from benchmark.training import cohort
from benchmark.training.member import Member, build_student
from methods.base import Batch

pytestmark = pytest.mark.usefixtures("test_methods")

EPOCHS = 6
"""One more than pass between two looks at the validation split, which must leave no trace."""


@pytest.mark.parametrize("rate_changes", ["epoch", "step"])
def test_a_run_is_what_a_plain_loop_gives(results: Path, rate_changes: str) -> None:
    """Dropout is off: a plain loop draws other numbers."""
    run = tiny.run("kd", epochs=EPOCHS, nesterov=True, weight_decay=1e-3, warmup_epochs=1, rate_changes=rate_changes)
    (member,) = tiny.trained_members(results / "grid", run)
    splits = load(tiny.DATA)
    data, teacher = TrainingSet(splits.train, run.recipe, tiny.CPU), tiny.teacher(results).network.model
    model = build_student(run, 10, tiny.CPU).model
    optimizer = torch.optim.SGD(model.parameters(), 1.0, 0.9, weight_decay=1e-3, nesterov=True)
    steps = data.steps
    rates = [0.05] * steps + [0.05 * (1 + math.cos(math.pi * (step // steps) / 5)) / 2 for step in range(5 * steps)]
    if rate_changes == "step":
        rates = [0.05 * (step + 1) / steps for step in range(steps)]
        rates += [0.05 * (1 + math.cos(math.pi * step / (5 * steps))) / 2 for step in range(5 * steps)]
    for epoch in range(EPOCHS):
        total, correct = 0.0, 0
        views = data.views(0, epoch)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rates[epoch * steps + step]
            images, labels, _ = data.training_batch(views, step)
            logits = model.train()(images)
            soft, target = (logits / 4).log_softmax(1), (teacher(images).detach() / 4).softmax(1)
            divergence = (target * (target.log() - soft)).sum(1).mean()
            loss = 0.1 * F.cross_entropy(logits, labels) + 0.9 * 16 * divergence
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(labels)
            correct += int((logits.argmax(1) == labels).sum())
        row = member.curve[epoch]
        assert (row["epoch"], row["learning_rate"]) == (epoch, pytest.approx(rates[epoch * steps]))
        assert (row["train_loss"], row["train_top1"]) == (pytest.approx(total / 100, rel=1e-3), correct / 100)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(member.network.model.state_dict()[name], value, rtol=1e-3, atol=1e-4, msg=name)
    validation = Resident(splits.validation, run.recipe, tiny.CPU)
    images, labels = validation.batch(0, len(validation))
    top1 = float((model.eval()(images).argmax(1) == labels).double().mean())
    assert [row["validation_top1"] is None for row in member.curve] == [True] * 4 + [False] * 2
    assert tiny.record(results / "grid", run).result.validation_top1 == member.curve[-1]["validation_top1"] == top1


def test_no_bound_cuts_a_student_that_is_not_trained() -> None:
    """In a phase of the method's own."""
    bench = Bench(max_norm=0.5)
    member = bench.member("ft")
    assert member.phase
    assert member.phase.trains == "own"
    before = weights_sha256(member.network.model)
    images, labels, index = bench.data.training_batch(bench.data.views(0, 0), 0)
    zero = torch.zeros((), dtype=torch.int64)
    taught = bench.teacher.outputs(images, "float32")
    member.step(images, Batch(labels, index, zero, zero.float(), member.generator), taught)
    assert weights_sha256(member.network.model) == before


def test_hidden_units_weights_stay_within_the_largest_norm(results: Path) -> None:
    """A plain loop of one step; the classifier, the batch norms and the biases are free."""
    run = tiny.run("student", epochs=1, batch_size=100, max_norm=0.5)
    (member,) = tiny.trained_members(results / "grid", run)
    data, model = TrainingSet(load(tiny.DATA).train, run.recipe, tiny.CPU), build_student(run, 10, tiny.CPU).model
    images, labels, _ = data.training_batch(data.views(0, 0), 0)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, 0.9)
    F.cross_entropy(model.train()(images), labels).backward()
    optimizer.step()
    trained, cut = member.network.model.state_dict(), 0
    for name, value in model.state_dict().items():
        if value.dim() > 1 and name != "fc.weight":
            norms = value.flatten(1).norm(dim=1).view(-1, *[1] * (value.dim() - 1))
            cut += int((norms > 0.5).sum())
            value = value * (0.5 / norms).clamp(max=1)
            assert trained[name].flatten(1).norm(dim=1).max() <= 0.5 + 1e-6
        torch.testing.assert_close(trained[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert cut > 10


def test_a_cohorts_most_memory_on_a_gpu_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not that of a larger one which its worker trained before."""
    forgotten: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", forgotten.append)
    for name in ("configure_torch", "_setup", "_member"):
        monkeypatch.setattr(cohort, name, lambda *args: None)
    for device in ("cuda", "cpu"):
        assert cohort.run_cohort(Folder(tmp_path), [tiny.run()], tiny.GRID, torch.device(device), None)
    assert forgotten == [torch.device("cuda")]


@pytest.mark.parametrize(("method", "weight"), [("student", 1.0), ("kd", 0.1), ("kd+sp", 1.0), ("replaced", 0.0)])
def test_the_loss_is_weighted_cross_entropy_and_the_term(results: Path, method: str, weight: float) -> None:
    (member,) = tiny.trained_members(results / "grid", tiny.run(method))
    images: Tensor = torch.randn(6, 1, 8, 8)
    labels = torch.arange(6)
    batch = Batch(labels, labels, torch.tensor(0), torch.zeros(()), member.generator)
    member.network.eval()
    student, teacher = member.network(images), tiny.teacher(results).outputs(images, "float32")
    loss, logits = member.backward(images, batch, teacher)
    torch.testing.assert_close(logits, member.method.predict(student))
    expected = weight * F.cross_entropy(logits, labels) + member.method(student, teacher, batch)
    torch.testing.assert_close(loss, expected)


def test_an_epochs_views_are_drawn_before_the_wait_for_the_one_before(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a device is still at its last steps; none is drawn for an epoch that does not come."""
    done: list[str] = []
    views, close = TrainingSet.views, Member.close_epoch

    def drawing(self: TrainingSet, seed: int, epoch: int) -> Any:
        done.append(f"draw {epoch}")
        return views(self, seed, epoch)

    def closing(self: Member, epoch: int, *rest: Any) -> None:
        done.append(f"close {epoch}")
        close(self, epoch, *rest)

    monkeypatch.setattr(TrainingSet, "views", drawing)
    monkeypatch.setattr(Member, "close_epoch", closing)
    tiny.train(results / "grid", tiny.run("student", epochs=3))
    assert done[:6] == ["draw 0", "draw 1", "close 0", "draw 2", "close 1", "close 2"]
    assert "draw 3" not in done
