"""Training in phases and under gradient rules."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import phased_methods
import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor

import methods
from benchmark.data import TrainingSet, load
from benchmark.models.weights import weights_sha256
from benchmark.records import Folder
from benchmark.spec import Run
from benchmark.training.member import Member, build_student
from methods.base import REGISTRY, Batch, Method, Outputs, register
from methods.composition import Composition

STEPS = tiny.STEPS
WAITING = ("student", "kd")
"""Methods without phases, beside the one that has some."""


@pytest.fixture(scope="module", autouse=True)
def phased() -> Iterator[None]:
    """The methods of phased_methods.py, registered for as long as this module runs."""
    for name, method in phased_methods.PHASED.items():
        register(name)(method)
    yield
    for name in phased_methods.PHASED:
        del REGISTRY[name]


def two_stage(epochs: int = 1, **recipe: Any) -> Run:
    return tiny.run("two_stage", options={"two_stage": {"epochs": epochs}}, **recipe)


class Step:
    """What a step was given, and what it left behind."""

    def __init__(self, member: Member, images: Tensor, batch: Batch) -> None:
        self.number, self.epoch = member.next_step, int(batch.epoch)
        self.index, self.images = batch.index, images.clone()
        self.progress = float(batch.progress)
        self.optimizer = id(member.optimizer)
        self.learning_rate = math.nan
        self.fresh = not member.optimizer.state_dict()["state"]
        self.before = weights_sha256(member.network), weights_sha256(member.method)


Log = dict[str, list[Step]]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """Every step of every member, by method."""
    steps: Log = {}
    step = Member.step

    def spy(self: Member, images: Tensor, batch: Batch, teacher: Outputs | None) -> None:
        seen, optimizer = Step(self, images, batch), self.optimizer
        steps.setdefault(self.run.method, []).append(seen)
        step(self, images, batch, teacher)
        seen.learning_rate = optimizer.param_groups[0]["lr"]

    monkeypatch.setattr(Member, "step", spy)
    return steps


def test_phases_have_a_batch_stream_of_their_own_and_the_others_wait(results: Path, log: Log) -> None:
    assert tiny.train(results / "grid", *map(tiny.run, WAITING), two_stage(epochs=2))
    data = TrainingSet(load(tiny.DATA).train, tiny.RECIPE, tiny.CPU)
    for name, steps in log.items():
        first = -4 if name == "two_stage" else 0
        assert [s.number for s in steps] == list(range(first * STEPS, tiny.RECIPE.epochs * STEPS))
        for step in steps:
            epoch, place = divmod(step.number, STEPS)
            images, _, index = data.training_batch(data.views(0, epoch), place)
            assert step.epoch == epoch
            assert torch.equal(step.index, index)
            assert torch.equal(step.images, images)
            assert step.progress == pytest.approx(max(0, step.number) / (STEPS * tiny.RECIPE.epochs))
    orders = [tuple(step.index.tolist()) for step in log["two_stage"]]
    assert len(set(orders)) == len(orders)


def test_every_phase_has_a_fresh_optimiser_and_its_learning_rate(results: Path, log: Log) -> None:
    assert tiny.train(results / "grid", two_stage(epochs=2))
    steps = log["two_stage"]
    starts = [
        step
        for before, step in zip([None, *steps], steps, strict=False)
        if not before or before.optimizer != step.optimizer
    ]
    assert [step.number for step in starts] == [-4 * STEPS, -2 * STEPS, -STEPS, 0]
    assert all(step.fresh for step in starts)
    assert not any(step.fresh for step in steps if step.number not in [start.number for start in starts])
    usual = tiny.RECIPE.learning_rate
    assert [step.learning_rate for step in starts] == pytest.approx([0.01, usual, usual, usual])


def test_a_phase_trains_what_it_says(results: Path, log: Log) -> None:
    """Not a bit of the student, its batch statistics included, changes while the method's own parts are learnt."""
    assert tiny.train(results / "grid", two_stage(epochs=2), tiny.run("student"))
    before = {step.number: step.before for step in log["two_stage"]}
    student, own = ({number: hashes[i] for number, hashes in before.items()} for i in (0, 1))
    initial = log["student"][0].before[0]
    assert {student[n] for n in range(-4 * STEPS, -2 * STEPS + 1)} == {initial}
    assert len({own[n] for n in range(-4 * STEPS, -2 * STEPS + 1)}) == 2 * STEPS + 1
    assert len({student[n] for n in range(-2 * STEPS, -STEPS + 1)}) == STEPS + 1
    assert len({own[n] for n in range(-2 * STEPS, -STEPS + 1)}) == 1
    assert student[-STEPS] != student[0]
    assert own[-STEPS] != own[0]


def test_the_curve_tells_phases_from_the_main_schedule(results: Path) -> None:
    (member,) = tiny.trained_members(results / "grid", two_stage())
    assert [row["epoch"] for row in member.curve] == [-3, -2, -1, 0, 1]
    assert [row["train_top1"] is None for row in member.curve] == [True, False, False, False, False]
    assert [row["validation_top1"] is None for row in member.curve] == [True, True, True, True, False]


def test_a_main_schedule_of_no_epochs_leaves_the_phases(results: Path) -> None:
    run = tiny.run("fitnet_two_stage", epochs=0, options={"fitnet_two_stage": {"epochs": 1}})
    assert tiny.train(results / "grid", run)
    curve = Folder(results / "grid").curve_path(run.id).read_text().splitlines()
    assert [line.partition(",")[0] for line in curve] == ["epoch", "-1"]


def test_company_does_not_change_a_bit(results: Path) -> None:
    runs = [two_stage(), tiny.run("kd"), two_stage(epochs=2)]
    for run in runs:
        assert tiny.train(results / "alone", run)
    assert tiny.train(results / "cohort", *runs)
    assert tiny.bits(results / "cohort", *runs) == tiny.bits(results / "alone", *runs)


@pytest.fixture(scope="module")
def whole(taught: Path, phased: None) -> list[tuple[str, bytes]]:
    runs = [tiny.run("student"), two_stage()]
    assert tiny.train(taught / "whole_phases", *runs)
    return tiny.bits(taught / "whole_phases", *runs)


@pytest.mark.parametrize("steps", [1, STEPS, 2 * STEPS + 1, 3 * STEPS])
def test_resumed_in_any_phase_and_at_its_edges(results: Path, whole: list[tuple[str, bytes]], steps: int) -> None:
    runs, folder = [tiny.run("student"), two_stage()], results / "grid"
    assert not tiny.train(folder, *runs, stop=tiny.stop_after(steps))
    assert tiny.train(folder, *runs)
    assert tiny.bits(folder, *runs) == whole


def test_resumed_again_and_again(results: Path, whole: list[tuple[str, bytes]]) -> None:
    """Two steps at a time, which comes to an end only if the newest checkpoint is the one that is found."""
    runs, folder = [tiny.run("student"), two_stage()], results / "grid"
    ends = [tiny.train(folder, *runs, stop=tiny.stop_after(2)) for _ in range(8)]
    assert ends == [False] * 7 + [True]
    assert tiny.bits(folder, *runs) == whole


def test_phases_are_part_of_the_cost(results: Path) -> None:
    runs = [two_stage(epochs) for epochs in (1, 2, 3)]
    assert tiny.train(results / "grid", *runs, tiny.run("student"))
    one, two, three = (tiny.record(results / "grid", run).cost.training_flops for run in runs)
    teacher = tiny.teacher(results).network
    images = TrainingSet(load(tiny.DATA).train, tiny.RECIPE, tiny.CPU).batch(0, 100)[0]
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter, torch.no_grad():
        teacher(images)
    linear = 2 * 100 * 16 * 4
    own = 2 * linear + 3 * linear  # forward; backward to both weights and, through the decoder, to the code
    assert three - two == two - one == counter.get_total_flops() + own


def test_a_loss_that_is_not_finite_ends_the_run_in_its_phase(results: Path, whole: list[tuple[str, bytes]]) -> None:
    student, spoilt = tiny.run("student"), tiny.run("spoilt")
    assert tiny.train(results / "grid", student, spoilt)
    found = tiny.record(results / "grid", spoilt)
    assert (found.status, found.result.diverged_epoch) == ("diverged", -2)
    assert tiny.bits(results / "grid", student) == whole[:1]


def gradients(member: Member, images: Tensor, batch: Batch, teacher: Outputs) -> dict[str, tuple[Tensor, Tensor]]:
    """Per parameter of student and method, the gradients of the cross-entropy and of the term, one by one."""
    named = {f"{m}.{n}": p for m in ("network", "method") for n, p in getattr(member, m).named_parameters()}
    found = []
    for which in ("cross-entropy", "term"):
        outputs = member.network(images)
        loss = F.cross_entropy(outputs.logits, batch.labels) if which == "cross-entropy" else None
        loss = member.method(outputs, teacher, batch) if loss is None else loss
        found.append(torch.autograd.grad(loss, list(named.values()), materialize_grads=True))
    return dict(zip(named, zip(*found, strict=True), strict=True))


def member_of(results: Path, name: str) -> tuple[Member, Tensor, Batch, Outputs]:
    run = tiny.run(name)
    member = Member(run, tiny.task_of(results, run), build_student(run, 10, tiny.CPU), tiny.CPU, STEPS)
    data = TrainingSet(load(tiny.DATA).train, tiny.RECIPE, tiny.CPU)
    images, labels, index = data.training_batch(data.views(0, 0), 0)
    batch = Batch(labels, index, torch.tensor(0), torch.zeros(()), member.generator)
    with torch.no_grad():
        return member, images, batch, tiny.teacher(results).network(images)


def test_a_rule_is_for_the_students_parameters_own_ones_get_the_sum(results: Path) -> None:
    member, images, batch, teacher = member_of(results, "halved")
    expected = gradients(member, images, batch, teacher)
    member.backward(images, batch, teacher)
    for part in ("network", "method"):
        for name, parameter in getattr(member, part).named_parameters():
            of_main, of_term = expected[f"{part}.{name}"]
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, of_main + of_term * (0.5 if part == "network" else 1.0))


def test_without_a_rule_gradients_are_added(results: Path) -> None:
    member, images, batch, teacher = member_of(results, "kd")
    member.method.ce_weight = 1.0
    expected = gradients(member, images, batch, teacher)
    member.backward(images, batch, teacher)
    for name, parameter in member.network.named_parameters():
        torch.testing.assert_close(parameter.grad, sum(expected[f"network.{name}"]), rtol=1e-4, atol=1e-5)


def test_a_rule_sees_cross_entropy_and_the_other_terms_as_the_main_loss(results: Path) -> None:
    for name in ("halved+kd", "kd+halved"):
        member, images, batch, teacher = member_of(results, name)
        assert isinstance(member.method, Composition)
        kd, halved = member.method.parts["kd"], member.method.parts["halved"]
        outputs = member.network(images)
        main = F.cross_entropy(outputs.logits, batch.labels) + kd(outputs, teacher, batch)
        parameters = list(member.network.parameters())
        of_main = torch.autograd.grad(main, parameters, retain_graph=True)
        of_term = torch.autograd.grad(halved(outputs, teacher, batch), parameters, materialize_grads=True)
        loss, _ = member.backward(images, batch, teacher)
        for parameter, m, t in zip(parameters, of_main, of_term, strict=True):
            torch.testing.assert_close(parameter.grad, m + t / 2)
        torch.testing.assert_close(loss, main.detach() + halved(outputs, teacher, batch).detach())


def test_phases_of_a_composition_come_one_after_another(results: Path) -> None:
    run = tiny.run("kd+two_stage+halved")
    method = methods.load(run.method, tiny.task_of(results, run))
    assert [phase.trains for phase in method.phases] == ["own", "student", "both"]
    assert tiny.train(results / "grid", run)
    assert tiny.record(results / "grid", run).status == "done"


def test_a_composed_method_learns_in_its_phase_what_it_learns_alone(results: Path) -> None:
    """Its phases do not know of the other terms."""
    run = tiny.run("two_stage+kd")
    task = tiny.task_of(results, run)
    composed, alone = methods.load("two_stage+kd", task), methods.load("two_stage", task)
    assert isinstance(composed, Composition)
    composed.parts["two_stage"].load_state_dict(alone.state_dict())
    _, _, batch, teacher = member_of(results, "kd")
    given = [method.phases[0].loss(None, teacher, batch) for method in (composed, alone)]
    assert torch.equal(*given)


@pytest.mark.parametrize(
    ("first", "second", "hook"),
    [("halved", "halved_too", "combine"), ("own_prediction", "own_prediction_too", "predict")],
)
def test_two_rules_or_two_predictions_cannot_be_composed(results: Path, first: str, second: str, hook: str) -> None:
    task = tiny.task_of(results, tiny.run("kd"))
    with pytest.raises(ValueError, match=f"{first} and {second} cannot be composed: each replaces {hook}"):
        methods.load(f"{first}+kd+{second}", task)
    assert isinstance(methods.load(f"{first}+kd", task), Method)
