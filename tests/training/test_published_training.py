"""The first steps of training are the published code's: networks, losses, their weights and the optimiser at once."""

from typing import Any

import pytest
import tiny
import torch
from torch import Tensor
from waves import make_wavy, wave

from benchmark.models import Network, create
from benchmark.spec import Architecture, Recipe
from benchmark.training.member import Member
from benchmark.training.teacher import Frozen
from methods.base import Batch, Task

# The training loss of each of four steps of RepDistiller's own loop (commit b84f547, float64), with its networks,
# losses, weights of losses and optimiser: a resnet14 teaches a resnet8, both with ten classes, on `batch`.
GOLDEN = {
    "student": (2.2791715662, 2.3097154198, 2.3100262701, 2.2981748600),
    "kd": (0.2546235639, 0.2470710236, 0.2355780167, 0.2837363058),
    "fitnet": (113.2142753906, 104.4425244187, 45.8150796755, 174.6277909976),
    "rkd_da": (11.5210089716, 8.8819285589, 15.5616728739, 8.7953320890),
    "sp": (15.6844759540, 38.4193401521, 16.8708569921, 17.0683739651),
}
SIZE, CLASSES = 16, 10
RECIPE = Recipe(
    epochs=1,
    batch_size=SIZE,
    learning_rate=0.01,
    weight_decay=5e-4,
    schedule="constant",
    input_size=32,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
)


def batch(step: int) -> tuple[Tensor, Tensor]:
    """Images [B, 3, 32, 32] and labels [B]."""
    images = wave(SIZE * 3 * 32 * 32, 0.13 + 0.01 * step).view(SIZE, 3, 32, 32)
    return images, (torch.arange(SIZE) * 7 + step) % CLASSES


def network(name: str) -> Network:
    found = create(Architecture(name=name, model=f"cifar_{name}"), RECIPE, CLASSES, seed=0)
    make_wavy(found.double())
    return found


@pytest.mark.parametrize("method", GOLDEN)
def test_the_first_steps_are_those_of_the_published_code(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("member", "teacher"):  # in float64 throughout: steps amplify what a processor rounds in float32
        monkeypatch.setattr(f"benchmark.training.{module}.in_float32", lambda outputs, reads: outputs)
    student, teacher = network("resnet8"), network("resnet14").train()
    teacher(batch(9)[0])  # running statistics that are not the initial ones
    frozen = Frozen(teacher, tiny.CPU)
    images = batch(0)[0]
    task = Task(
        student=student.shapes(images), teacher=teacher.shapes(images), labels=batch(0)[1], epochs=1, classifier=None
    )
    run = tiny.run(method, **dict(RECIPE))
    member = Member(run, task, student, tiny.CPU, steps=len(GOLDEN[method]))
    make_wavy(member.method.double())
    losses, backward = [], member.backward

    def noted(*args: Any) -> tuple[Tensor, Tensor | None]:
        loss, logits = backward(*args)
        losses.append(float(loss))
        return loss, logits

    monkeypatch.setattr(member, "backward", noted)
    for step in range(len(GOLDEN[method])):
        images, labels = batch(step)
        supplied = frozen.outputs(images, "float32") if member.reads else None
        member.step(images, Batch(labels, torch.arange(SIZE), *torch.zeros(2), member.generator), supplied)
    assert losses == pytest.approx(GOLDEN[method], rel=1e-6)  # which are recorded in float32
