"""What a method may ask of the trainer, shown by the test-only methods of contract_methods.py."""

from pathlib import Path
from typing import cast

import contract_methods
import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.data import Resident, TrainingSet, load
from benchmark.models.weights import weights_sha256
from benchmark.records import Folder
from benchmark.training.member import build_method, build_student
from methods.base import Batch, Outputs, Shapes, Task

pytestmark = pytest.mark.usefixtures("test_methods")

COMPANIONS = ("student", "kd", "bank")


@pytest.fixture(scope="module")
def companions(taught: Path, test_methods: None) -> list[tuple[str, bytes]]:
    """Bits of the companions, trained by themselves."""
    runs = [tiny.run(method) for method in COMPANIONS]
    assert tiny.train(taught / "companions", *runs)
    return tiny.bits(taught / "companions", *runs)


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_diverging_student_leaves_its_cohort(
    results: Path, companions: list[tuple[str, bytes]], epoch: int, place: int
) -> None:
    runs = [tiny.run(method) for method in COMPANIONS]
    bad = tiny.run("bad_loss", options={"bad_loss": {"epoch": epoch}})
    assert tiny.train(results / "grid", *runs[:place], bad, *runs[place:])
    found = tiny.record(results / "grid", bad)
    assert (found.status, found.result.diverged_epoch) == ("diverged", epoch)
    assert found.result.reason == f"the training loss was not finite in epoch {epoch + 1}"
    assert found.result.top1 is found.result.weights_sha256 is None
    assert tiny.bits(results / "grid", *runs) == companions


def test_a_cohort_that_diverges_whole_is_recorded(results: Path) -> None:
    run = tiny.run("bad_loss", options={"bad_loss": {"epoch": 0}}, epochs=3)
    made: list[int] = []
    assert tiny.train(results / "grid", run, report=lambda members: made.append(members[0].next_step))
    assert made == list(range(1, tiny.STEPS + 1))  # one epoch of three
    assert tiny.record(results / "grid", run).status == "diverged"


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_divergence_survives_an_interruption(results: Path, companions: list[tuple[str, bytes]], steps: int) -> None:
    """Before it is noticed, at the edge of the epoch where it is, and after."""
    runs = [tiny.run(method) for method in COMPANIONS]
    bad = tiny.run("bad_loss", options={"bad_loss": {"epoch": 0}})
    assert not tiny.train(results / "grid", *runs, bad, stop=tiny.stop_after(steps))
    assert tiny.train(results / "grid", *runs, bad)
    assert tiny.record(results / "grid", bad).result.diverged_epoch == 0
    assert tiny.bits(results / "grid", *runs) == companions


def test_weights_spoilt_by_the_last_step_are_divergence_too(results: Path, companions: list[tuple[str, bytes]]) -> None:
    """Every training loss was finite, yet there is nothing left to evaluate."""
    runs = [tiny.run(method) for method in COMPANIONS]
    bad = tiny.run("bad_gradient")
    assert tiny.train(results / "grid", bad, *runs)
    found = tiny.record(results / "grid", bad)
    assert (found.status, found.result.diverged_epoch) == ("diverged", 1)
    assert found.result.reason == "the trained student is not finite"
    assert tiny.bits(results / "grid", *runs) == companions


def test_an_error_in_one_method_fails_its_run_alone(
    results: Path, companions: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cohort is taken apart and every run tried alone."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    runs = [tiny.run(method) for method in COMPANIONS]
    crash = tiny.run("crash")
    assert tiny.job_for(results, [runs[0], crash, *runs[1:]])()
    assert Folder(results / "grid").failure(crash.id) == "RuntimeError: a bug in the method"
    assert tiny.bits(results / "grid", *runs) == companions
    assert not any(Folder(results / "grid").failure(run.id) for run in runs)


def test_an_unsupported_pair_is_not_applicable(results: Path, companions: list[tuple[str, bytes]]) -> None:
    runs = [tiny.run(method) for method in COMPANIONS]
    never = tiny.run("never")
    assert tiny.train(results / "grid", never, *runs)
    found = tiny.record(results / "grid", never)
    assert (found.status, found.result.reason) == ("not_applicable", "widths 8 and 16 differ")
    assert tiny.bits(results / "grid", *runs) == companions


def test_a_memory_bank_is_written_by_index(results: Path) -> None:
    """Replayed by hand: every image once an epoch, the teacher's embedding of its augmented view."""
    (member,) = tiny.trained_members(results / "grid", tiny.run("bank"))
    teacher, data = tiny.teacher(results), TrainingSet(load(tiny.DATA).train, tiny.RECIPE, tiny.CPU)
    memory = torch.zeros(len(data), 16)
    for epoch in range(tiny.RECIPE.epochs):
        views = data.views(0, epoch)
        for step in range(tiny.STEPS):
            images, labels, index = data.training_batch(views, step)
            assert torch.equal(labels, data.labels[index])
            memory[index] = memory[index] / 2 + teacher.network(images).embedding / 2
    torch.testing.assert_close(cast(Tensor, member.method.memory), memory)


def test_a_replaced_classifier_is_what_is_deployed_and_measured(results: Path) -> None:
    run, alone = tiny.run("replaced"), tiny.run("student")
    member, plain = tiny.trained_members(results / "grid", run, alone)
    test = Resident(load(tiny.DATA).test, tiny.RECIPE, tiny.CPU)
    images = test.batch(0, len(test))[0]
    with torch.no_grad():
        embedding = member.network.eval()(images).embedding
        projected = (embedding @ member.method.projector[0].weight.T + member.method.projector[0].bias).relu()
        logits = tiny.teacher(results).network.classifier(projected)
    found, control = tiny.record(results / "grid", run), tiny.record(results / "grid", alone)
    assert found.result.top1 == float((logits.argmax(1) == test.labels).double().mean())
    assert found.result.nll == pytest.approx(float(F.cross_entropy(logits, test.labels)), rel=1e-5)
    (width, teacher_width), classes = (8, 16), 10
    own, bridge, theirs = (i * o for i, o in ((width, classes), (width, teacher_width), (teacher_width, classes)))
    assert found.cost.parameters - control.cost.parameters == (bridge + teacher_width) + theirs - own
    assert found.cost.macs - control.cost.macs == bridge + theirs - own
    first = build_student(run, classes, tiny.CPU)
    assert torch.equal(member.network.classifier.weight, first.classifier.weight)
    assert not torch.equal(plain.network.classifier.weight, first.classifier.weight)


@pytest.mark.parametrize("company", [(), ("student", "kd", "noise")])
def test_cross_entropy_of_weight_zero_does_not_train(results: Path, company: tuple[str, ...]) -> None:
    """The projector is moved by the distillation term alone, and the teacher's classifier by nothing."""
    before = weights_sha256(tiny.teacher(results).network)
    members = tiny.trained_members(results / "grid", tiny.run("replaced"), *map(tiny.run, company))
    method = members[0].method
    assert isinstance(method, contract_methods.ReplacedClassifier)
    assert weights_sha256(method.classifier) == weights_sha256(tiny.teacher(results).network.classifier)
    assert weights_sha256(tiny.teacher(results).network) == before
    assert all(parameter.grad is None for parameter in method.classifier.parameters())
    optimised = {id(p) for group in members[0].optimizer.param_groups for p in group["params"]}
    assert not optimised & {id(p) for p in method.classifier.parameters()}
    assert optimised >= {id(p) for p in method.projector.parameters()}


@pytest.mark.parametrize(("method", "part"), [("fitnet", "regressor"), ("bank", "head"), ("kd+fitnet", "registered")])
def test_own_parameters_are_trained_and_restored(results: Path, method: str, part: str) -> None:
    run = tiny.run(method)
    (whole,) = tiny.trained_members(results / "whole", run)
    own = dict(whole.method.get_submodule(part).named_parameters())
    fresh = dict(build_method(run, tiny.task_of(results, run)).get_submodule(part).named_parameters())
    assert all(not torch.equal(own[name], fresh[name]) for name in own if "weight" in name)
    assert not tiny.train(results / "parts", run, stop=tiny.stop_after(4))
    (resumed,) = tiny.trained_members(results / "parts", run)
    assert weights_sha256(resumed.method) == weights_sha256(whole.method)
    ours, theirs = resumed.optimizer.state_dict()["state"], whole.optimizer.state_dict()["state"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key]["momentum_buffer"], theirs[key]["momentum_buffer"]) for key in ours)


@pytest.mark.parametrize("method", ["fitnet", "bank", "kd+fitnet"])
def test_own_parameters_start_from_seed_and_method_alone(results: Path, method: str) -> None:
    def initial(name: str, seed: int = 0) -> str:
        run = tiny.run(name, seed=seed)
        return weights_sha256(build_method(run, tiny.task_of(results, run)))

    torch.manual_seed(1)
    state, first = torch.get_rng_state(), initial(method)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert initial(method) == first
    assert initial(method, seed=1) != first


def test_random_numbers_change_with_the_step_and_the_seed(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, ...]] = []

    def forward(self: nn.Module, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        drawn.append(tuple(torch.randint(1000, (4,), generator=batch.generator).tolist()))
        return student.logits.sum() * 0

    monkeypatch.setattr(contract_methods.Noise, "forward", forward)
    tiny.trained_members(results / "first", tiny.run("noise"))
    first = drawn[: 2 * tiny.STEPS]
    assert len(set(first)) == len(first)
    drawn.clear()
    tiny.trained_members(results / "again", tiny.run("kd"), tiny.run("noise"))
    assert drawn[: len(first)] == first
    drawn.clear()
    tiny.trained_members(results / "other", tiny.run("noise", seed=1))
    assert not set(drawn[: len(first)]) & set(first)


def test_own_parameters_may_have_a_rate_and_a_decay_of_their_own(results: Path) -> None:
    """Composed with a method that has none: each keeps its own."""
    (member,) = tiny.trained_members(results / "grid", tiny.run("hasty+bank"))
    usual, hasty = member.optimizer.param_groups
    assert {id(p) for p in hasty["params"]} == {id(p) for p in member.method.parts["hasty"].parameters()}
    assert {id(p) for p in member.method.parts["bank"].parameters()} < {id(p) for p in usual["params"]}
    assert usual["weight_decay"] == tiny.RECIPE.weight_decay
    assert (hasty["lr"], hasty["weight_decay"]) == (10 * usual["lr"], 0.25)


def test_a_hook_follows_every_step(results: Path) -> None:
    (member,) = tiny.trained_members(results / "whole", tiny.run("counts"))
    assert int(member.method.steps) == tiny.RECIPE.epochs * tiny.STEPS
    assert torch.equal(member.method.last, member.network.classifier.weight)
    assert not tiny.train(results / "parts", tiny.run("counts"), stop=tiny.stop_after(4))
    (resumed,) = tiny.trained_members(results / "parts", tiny.run("counts"))
    assert int(resumed.method.steps) == int(member.method.steps)
    composed = tiny.trained_members(results / "composed", tiny.run("counts+kd"))[0]
    assert int(composed.method.parts["counts"].steps) == int(member.method.steps)


def test_a_second_view_is_a_function_of_seed_epoch_and_step(results: Path) -> None:
    """Of the same images, cropped and flipped otherwise; the first view is what it always was."""
    data = TrainingSet(load(tiny.DATA).train, tiny.RECIPE, tiny.CPU)
    views = data.views(0, 1)
    second = data.second_view(views, 2)
    assert torch.equal(data.second_view(data.views(0, 1), 2), second)
    assert second.shape == data.training_batch(views, 2)[0].shape
    assert not torch.equal(second, data.training_batch(views, 2)[0])
    assert not torch.equal(second, data.second_view(data.views(1, 1), 2))
    flat = {tuple(pixels.flatten().sort().values.tolist()) for pixels in data.normalise(data.pixels[views.index[80:]])}
    assert sum(tuple(pixels.flatten().sort().values.tolist()) in flat for pixels in second) > 0  # uncropped ones


FEW: dict[str, dict[str, dict[str, int | str]]] = {
    "crd": {"crd": {"negatives": 16}},
    "hkd": {"hkd": {"negatives": 16}},
    "rrd": {"rrd": {"queue": 64}},
    "ft+reviewkd": {"ft": {"epochs": 1, "factors": "flat"}},  # maps of one position
    "simkd": {},
    "srrl+irg": {},
}
"""Methods that learn or remember, as small as may be."""


@pytest.mark.parametrize("method", ["two_views", "mean_teacher", "own_noise", *FEW])
def test_what_is_learnt_and_remembered_does_not_depend_on_company_or_interruption(results: Path, method: str) -> None:
    run, student = tiny.run(method, options=FEW.get(method, {})), tiny.run("student")
    assert tiny.train(results / "alone", run)
    assert tiny.train(results / "company", tiny.run("kd"), run, student)
    assert not tiny.train(results / "parts", run, stop=tiny.stop_after(4))
    assert tiny.train(results / "parts", run)
    alone = tiny.bits(results / "alone", run)
    assert tiny.bits(results / "company", run) == tiny.bits(results / "parts", run) == alone
    assert tiny.record(results / "alone", run).cost.training_flops


def test_a_mean_teacher_is_the_moving_mean_of_the_student(results: Path) -> None:
    member = tiny.trained_members(results / "grid", tiny.run("mean_teacher"))[0]
    first = build_student(tiny.run("mean_teacher"), 10, tiny.CPU)
    mean, last = member.method.mean.classifier.weight, member.network.classifier.weight
    assert not torch.equal(mean, last)
    assert 0 < (mean - last).norm() < (first.classifier.weight - last).norm()
    assert not any(
        id(p) in {id(q) for g in member.optimizer.param_groups for q in g["params"]} for p in member.method.parameters()
    )


@pytest.mark.parametrize("company", [(), ("kd",)])
def test_preactivations_are_there_where_they_are_read(results: Path, company: tuple[str, ...]) -> None:
    members = tiny.trained_members(results / "grid", tiny.run("preacts"), *map(tiny.run, company))
    assert float(members[0].method.rectified) == 1.0


def test_methods_of_one_seed_draw_different_numbers(results: Path) -> None:
    members = tiny.trained_members(results / "grid", tiny.run("noise"), tiny.run("bank"))
    assert len({member.generator.initial_seed() for member in members}) == 2


def test_classification_can_be_overridden(results: Path) -> None:
    (member,) = tiny.trained_members(results / "grid", tiny.run("smoothed"))
    images, labels = torch.randn(6, 1, 8, 8), torch.arange(6)
    batch = Batch(labels, labels, torch.tensor(0), torch.zeros(()), member.generator)
    loss, logits = member.backward(images, batch, None)
    target = 0.9 * F.one_hot(labels, 10) + 0.1 / 10
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, expected)


def test_a_task_says_what_there_is(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: list[Task] = []
    build = contract_methods.Noise.__init__

    def look(self: contract_methods.Noise, task: Task) -> None:
        tasks.append(task)
        build(self, task)

    monkeypatch.setattr(contract_methods.Noise, "__init__", look)
    tiny.train(results / "grid", tiny.run("noise"))
    (task,) = tasks
    stages = ((8, 8, 8), (8, 4, 4), (8, 2, 2), (8, 1, 1))
    assert task.student == Shapes(10, 8, ((64, 8, 8), *stages), stages[-1], stem=1, rectified=(True,) * 5)
    assert (task.batch_size, task.steps) == (tiny.RECIPE.batch_size, tiny.STEPS)
    assert task.teacher is not None
    assert (task.teacher.embedding, task.epochs) == (16, 2)
    assert torch.equal(task.labels, load(tiny.DATA).train.labels)
    assert isinstance(task.classifier, nn.Linear)
