"""Training in the real loop, in tenths of a second, under a teacher that has learnt nothing."""

import io
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

import methods
from benchmark.data import Resident, TrainingSet, load
from benchmark.models import create
from benchmark.spec import Architecture, Dataset, Precision, Recipe, Run
from benchmark.training.device import TAPS
from benchmark.training.loop import Callbacks, train
from benchmark.training.member import Member, build_student
from methods.base import Batch, Outputs, Shapes, Tap, Task

CPU = torch.device("cpu")
DATA = Dataset(name="digits", train=100, validation=20, test=100)
RECIPE = Recipe(epochs=2, batch_size=40, learning_rate=0.05, input_size=8, crop_padding=1, mean=(0.305,), std=(0.376,))
STEPS = 3
"""Steps of an epoch: two whole batches and a half one."""


def resnet(*channels: int) -> Architecture:
    options = {"layers": [1, 1, 1, 1], "channels": list(channels)}
    return Architecture(name="resnet", model="resnet18", stem="small", options=options)


class Teacher:
    """What the loop wants of a teacher."""

    def __init__(self) -> None:
        self.network = create(resnet(8, 8, 12, 16), RECIPE, 10, seed=9).eval()

    @torch.no_grad()
    def outputs(self, images: Tensor, precision: Precision, reads: Collection[Tap] = TAPS) -> Outputs:
        outputs: Outputs = self.network(images)
        return outputs


class Bench:
    """A teacher, data, and runs in training."""

    def __init__(self) -> None:
        self.teacher = Teacher()
        splits = load(DATA)
        self.data, self.validation = TrainingSet(splits.train, RECIPE, CPU), Resident(splits.validation, RECIPE, CPU)

    def member(self, method: str, options: dict[str, Any] = {}, channels: tuple[int, ...] = (4, 4, 8, 8)) -> Member:
        """options: of the first method of a composition."""
        chosen = methods.resolve(method, {methods.components(method)[0]: options})
        revisions = methods.revisions(method)
        student = resnet(*channels)
        run = Run(
            dataset=DATA, student=student, method=method, options=chosen, revisions=revisions, recipe=RECIPE, seed=0
        )
        network, images = build_student(run, 10, CPU), self.data.batch(0, 2)[0]
        shapes = network.shapes(images), self.teacher.network.shapes(images)
        return Member(run, Task(*shapes, self.data.labels, RECIPE.epochs), network, CPU, self.data.steps)

    def train(self, *members: Member, steps: int | None = None) -> None:
        """To the end, or for a number of steps."""
        asked = iter(range(1, (steps or 0) + 1))
        callbacks = Callbacks() if steps is None else Callbacks(stop=lambda: next(asked) == steps)
        finished = train(members, self.teacher, self.data, self.validation, callbacks)  # type: ignore[arg-type]
        assert finished is (steps is None)

    def first_batch(self, member: Member, epoch: int = 0) -> tuple[Tensor, Batch, Outputs]:
        images, labels, index = self.data.training_batch(self.data.views(0, epoch), 0)
        batch = Batch(labels, index, torch.tensor(epoch), torch.zeros(()), member.generator)
        return images, batch, self.teacher.outputs(images, RECIPE.teacher_precision)


def copied(member: Member) -> dict[str, Any]:
    """The member's state, through a file."""
    file = io.BytesIO()
    torch.save(member.state(), file)
    file.seek(0)
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


def same_bits(a: Any, b: Any) -> bool:
    """Whether two nested states are equal, tensors to the bit."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same_bits(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same_bits(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_outputs(shapes: Shapes, size: int, seed: int) -> Outputs:
    """float64 leaves that ask for a gradient. A map's singular values fall fast, which keeps them apart."""

    def map_of(channels: int, height: int, width: int, seed: int) -> Tensor:
        rank = min(channels, height * width)
        left, right = (torch.linalg.qr(normal(size, n, rank, seed=seed + n)).Q for n in (channels, height * width))
        return ((left * 0.5 ** torch.arange(rank)) @ right.mT).unflatten(2, (height, width)).requires_grad_()

    maps = tuple(map_of(*shape, seed + 10 * i) for i, shape in enumerate(shapes.maps))
    logits, embedding = (normal(size, n, seed=seed + n).requires_grad_() for n in (shapes.classes, shapes.embedding))
    return Outputs(logits, embedding, maps, maps[-1], shapes.stem)
