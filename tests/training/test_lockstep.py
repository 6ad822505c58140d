"""Scheduling does not matter: a run gives the same bits alone, in any cohort, in any order."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from benchmark.data import TrainingSet, load
from benchmark.models.weights import weights_sha256
from benchmark.spec import Architecture
from benchmark.training.member import Member, build_student
from benchmark.training.teacher import Teacher
from methods.base import Batch, Outputs

pytestmark = pytest.mark.usefixtures("test_methods")

METHODS = ("student", "kd+rkd_da", "fitnet", "bank")
BFLOAT16 = {"precision": "bfloat16", "teacher_precision": "bfloat16"}


@pytest.mark.parametrize(
    ("student", "recipe"),
    [
        pytest.param(tiny.RESNET, {}, id="resnet"),
        pytest.param(tiny.VIT, {}, id="dropout-and-stochastic-depth-transformer"),
        pytest.param(tiny.EFFICIENTNET, {"precision": "bfloat16"}, id="dropout-and-stochastic-depth-bfloat16"),
        pytest.param(tiny.RESNET, {**BFLOAT16, "channels_last": True}, id="bfloat16-channels-last"),
        pytest.param(tiny.RESNET, {"flip": True, "last_batch": "drop"}, id="flips-and-dropped-batch"),
    ],
)
def test_company_does_not_change_a_bit(results: Path, student: Architecture, recipe: dict[str, Any]) -> None:
    runs = [tiny.run(method, student, **recipe) for method in METHODS]
    other = tiny.VIT if student != tiny.VIT else tiny.EFFICIENTNET
    strangers = [tiny.run(method, other, **recipe) for method in ("noise", "kd")]
    cohorts = {
        "cohort": runs,
        "reversed": runs[::-1],
        "among others": [strangers[0], runs[3], strangers[1], runs[1]],
    }
    for run in runs:
        assert tiny.train(results / "alone", run)
    expected = {run.id: tiny.bits(results / "alone", run) for run in runs}
    for name, members in cohorts.items():
        assert tiny.train(results / name, *members)
        for run in members:
            if run.id in expected:
                assert tiny.bits(results / name, run) == expected[run.id], f"{run.method} in {name}"


def test_the_state_of_the_process_does_not_change_a_bit(results: Path) -> None:
    run = tiny.run("noise", tiny.VIT)
    tiny.train(results / "one", run)
    torch.manual_seed(123)
    tiny.train(results / "two", run)
    assert tiny.bits(results / "one", run) == tiny.bits(results / "two", run)


def test_all_methods_start_from_the_same_weights() -> None:
    def initial(*args: Any, **kwargs: Any) -> str:
        return weights_sha256(build_student(tiny.run(*args, **kwargs), 10, tiny.CPU).model)

    assert {initial(method) for method in METHODS} == {initial("student")}
    assert len({initial(seed=seed) for seed in range(3)}) == 3
    assert initial("kd", epochs=7, learning_rate=0.3) == initial("kd")


@pytest.mark.parametrize("student", [tiny.VIT, tiny.EFFICIENTNET], ids=lambda student: student.name)
def test_a_method_that_adds_nothing_is_the_control(results: Path, student: Architecture) -> None:
    """Comparisons are paired to the last random draw: dropout and stochastic depth are the same for all methods."""
    control, nothing = runs = [tiny.run("student", student), tiny.run("nothing", student)]
    tiny.train(results / "grid", *runs)
    assert control.id != nothing.id
    assert tiny.record(results / "grid", control).result == tiny.record(results / "grid", nothing).result


def test_the_teacher_sees_the_test_set_once_for_all(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    evaluate = Teacher.evaluate
    monkeypatch.setattr(Teacher, "evaluate", lambda *given: [batches.append(len(given[1])), evaluate(*given)][1])
    runs = [tiny.run(method) for method in ("student", "kd", "rkd_d")]
    tiny.train(results / "grid", *runs)
    assert sum(batches) == tiny.record(results / "grid", runs[0]).result.test_images
    assert all(tiny.record(results / "grid", run).result.agreement is not None for run in runs)


Seen = dict[str, list[tuple[Tensor, Tensor, Tensor, int]]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What every member is given in every step, by its method: images, labels, index, epoch."""
    given: Seen = {}
    step = Member.step

    def spy(self: Member, images: Tensor, batch: Batch, teacher: Outputs | None) -> None:
        given.setdefault(self.run.method, []).append((images.clone(), batch.labels, batch.index, int(batch.epoch)))
        step(self, images, batch, teacher)

    monkeypatch.setattr(Member, "step", spy)
    return given


def same(ours: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]]) -> bool:
    pairs = zip(ours, theirs, strict=True)
    return all(a[3] == b[3] and all(map(torch.equal, a[:3], b[:3])) for a, b in pairs)


def test_all_methods_of_a_seed_see_the_same_batches(results: Path, seen: Seen) -> None:
    tiny.train(results / "cohort", *(tiny.run(method) for method in METHODS))
    tiny.train(results / "alone", tiny.run("kd"))
    expected = []
    data = TrainingSet(load(tiny.DATA).train, tiny.RECIPE, tiny.CPU)
    for epoch in range(tiny.RECIPE.epochs):
        views = data.views(0, epoch)
        expected += [(*data.training_batch(views, step), epoch) for step in range(tiny.STEPS)]
    assert set(seen) == {*METHODS, "kd"}
    for method, batches in seen.items():
        assert same(batches, expected), method


def test_another_seed_sees_other_batches(results: Path, seen: Seen) -> None:
    for seed in (0, 1):
        tiny.train(results / "grid", tiny.run("student", seed=seed))
    first, second = seen["student"][: 2 * tiny.STEPS], seen["student"][2 * tiny.STEPS :]
    assert not any(torch.equal(a[2], b[2]) for a, b in zip(first, second, strict=True))
