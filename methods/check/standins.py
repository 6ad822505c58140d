"""Stand-ins for teacher, student, data and trainer, on which `methods.check` tries a method in milliseconds."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

import methods
from methods.base import Batch, Method, Outputs, Phase, Shapes, Task
from methods.objective import gradients, objective

Loss = Callable[[Any, Outputs, Batch], Tensor]

CLASSES, IMAGES, BATCH, STEPS = 10, 64, 12, 5
IMAGE = (2, 2, 2)
LATENT = math.prod(IMAGE)
"""Images [C, H, W] are drawn from a normal distribution; a second view has nothing in common with the first."""
LEARNING_RATE = 0.05


@dataclass(frozen=True)
class Pair:
    """A student and a teacher of unequal widths."""

    name: str
    student: Shapes
    teacher: Shapes


def _pyramid(*channels: int, size: int) -> Shapes:
    """A small convolutional network: a stem and four stages, each half as wide and high as the one before."""
    maps = [(c, size >> i, size >> i) for i, c in enumerate(channels)]
    stem = (channels[0], size, size)
    return Shapes(CLASSES, channels[-1], (stem, *maps), maps[-1], stem=1, rectified=(True,) * (1 + len(maps)))


def _isotropic(channels: int, blocks: int) -> Shapes:
    """A small transformer: all maps of one size."""
    shape = (channels, 4, 4)
    return Shapes(CLASSES, channels, (shape,) * blocks, shape, rectified=(False,) * blocks)


PAIRS = (
    Pair("convolutional", _pyramid(6, 8, 10, 12, size=16), _pyramid(8, 12, 16, 20, size=16)),
    Pair("isotropic", _isotropic(12, blocks=6), _isotropic(20, blocks=8)),
)
EQUAL = Pair("equal widths", PAIRS[0].student, _pyramid(6, 8, 10, 12, size=32))
"""For methods that need a teacher of the student's widths, and so serve none of the others."""
NARROW = Pair("narrow", _pyramid(4, 4, 4, 4, size=8), _pyramid(5, 5, 5, 5, size=8))
"""So little per image that what grows with the square of the batch shows in small batches."""
NARROW_MAPS = Pair("narrow, with positions", _pyramid(4, 4, 4, 4, size=16), _pyramid(5, 5, 5, 5, size=16))
"""The same for methods that want positions in the last map."""


def twins(pair: Pair) -> Pair:
    """The pair's teacher, taught by itself."""
    return replace(pair, student=pair.teacher)


class Network(nn.Module):
    """Outputs of given shapes: maps linear in an image [B, *IMAGE], the last one pooled and classified."""

    def __init__(self, shapes: Shapes, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def draw(inputs: int, outputs: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(inputs, outputs, generator=generator) / inputs**0.5)

        self.shapes = shapes
        self.weights = nn.ParameterList(draw(LATENT, c * h * w) for c, h, w in shapes.maps)
        self.classifier = nn.Linear(shapes.embedding, shapes.classes)
        self.classifier.weight = draw(shapes.classes, shapes.embedding)
        self.classifier.bias = nn.Parameter(torch.zeros(shapes.classes))

    def forward(self, images: Tensor) -> Outputs:
        flat = [images.flatten(1) @ weight for weight in self.weights]
        preacts = tuple(x.unflatten(1, shape) for x, shape in zip(flat, self.shapes.maps, strict=True))
        maps = tuple(x.relu() if r else x for x, r in zip(preacts, self.shapes.rectified, strict=True))
        embedding = maps[-1].mean((2, 3))
        return Outputs(self.classifier(embedding), embedding, maps, maps[-1], self.shapes.stem, preacts)


def networks(pair: Pair) -> tuple[Network, Network]:
    """The student and the teacher, whose parameters are frozen; drawn without touching torch's global generator."""
    with torch.random.fork_rng(devices=()):
        student, teacher = (Network(s, i) for i, s in enumerate((pair.student, pair.teacher)))
    return student, teacher.requires_grad_(False)


def task(pair: Pair) -> Task:
    return Task(
        pair.student,
        pair.teacher,
        torch.arange(IMAGES) % CLASSES,
        epochs=5,
        classifier=networks(pair)[1].classifier,
        batch_size=BATCH,
        steps=IMAGES // BATCH,
        initial=lambda: networks(pair)[0].requires_grad_(False),
    )


def unusual_tasks(pair: Pair) -> dict[str, Task]:
    """What grids may ask for besides, each in one respect."""
    usual = task(pair)
    return {
        "a class has no image": replace(usual, labels=usual.labels[usual.labels != CLASSES // 2]),
        "a class has most images": replace(usual, labels=torch.cat([usual.labels, torch.zeros(IMAGES).long()])),
        "there is one epoch": replace(usual, epochs=1),
        "there is one step an epoch": replace(usual, batch_size=IMAGES, steps=1),
        "labels are smoothed": replace(usual, label_smoothing=0.1),
    }


def candidates(name: str) -> tuple[Pair, ...]:
    """The pairs that a method is tried on, those that it cannot serve among them."""
    usual = any(methods.unsupported(name, task(pair)) is None for pair in PAIRS)
    return PAIRS if usual else (*PAIRS, EQUAL)


def images(step: int, size: int = BATCH) -> Tensor:
    """[B, *IMAGE]"""
    return torch.randn(size, *IMAGE, generator=torch.Generator().manual_seed(1000 + step))


def batch(step: int = 0, size: int = BATCH, *, seed: int | None = None) -> Batch:
    """Some images of the training set in a step; `seed` is the generator's, by default the step's own."""
    index = torch.randperm(max(IMAGES, size), generator=torch.Generator().manual_seed(2000 + step))[:size] % IMAGES
    generator = torch.Generator().manual_seed(3000 + step if seed is None else seed)
    epoch, progress = torch.tensor(max(0, step)), torch.tensor(max(0, step) / 5)
    views = images(step, size), images(4000 + step, size)
    return Batch(index % CLASSES, index, epoch, progress, generator, *views)


def named(outputs: Outputs) -> dict[str, Tensor]:
    """Every tensor under its name."""
    several = {f"{tap}[{i}]": m for tap in ("maps", "preacts") for i, m in enumerate(getattr(outputs, tap))}
    return {"logits": outputs.logits, "embedding": outputs.embedding, **several, "pooled_map": outputs.pooled_map}


def leaves(outputs: Outputs) -> Outputs:
    """Copies that stand alone and ask for a gradient."""
    return outputs.map(lambda x: x.detach().clone().requires_grad_())


class CheckError(Exception):
    """What was seen, and what to do about it."""

    def __init__(self, seen: str, remedy: str) -> None:
        super().__init__(seen, remedy)
        self.seen, self.remedy = seen, remedy


class NotApplicableError(Exception):
    """Why there is nothing to check."""


@dataclass(frozen=True)
class Subject:
    """A method, or a composition, on a pair of stand-ins."""

    name: str
    pair: Pair

    def build(self, seed: int = 0) -> Method:
        """The method with initial parameters that depend on the seed."""
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            return methods.load(self.name, task(self.pair)).train()

    def batch(self, step: int = 0, size: int = BATCH, *, seed: int | None = None) -> Batch:
        """As `batch`, with both networks to show images to."""
        student, teacher = networks(self.pair)
        return replace(batch(step, size, seed=seed), student=student, teacher=teacher)

    def outputs(self, step: int = 0, size: int = BATCH) -> tuple[Outputs, Outputs]:
        """What student and teacher give for the images of a step; no gradient goes further back."""
        student, teacher = networks(self.pair)
        with torch.no_grad():
            return student(images(step, size)), teacher(images(step, size))


def total(method: Method, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
    main, ruled, _ = objective(method, student, teacher, batch)
    return main if ruled is None else main + ruled


def losses(method: Method, main: Loss | None = None) -> list[tuple[str, Loss]]:
    """The loss of every phase and of the main schedule, here the distillation term unless `main` is given."""

    def of(phase: Phase) -> Loss:
        return lambda student, teacher, batch: phase.loss(None if phase.trains == "own" else student, teacher, batch)

    return [*((f"phase {i}", of(phase)) for i, phase in enumerate(method.phases, start=1)), ("main", main or method)]


def where(label: str) -> str:
    return "" if label == "main" else f" in {label}"


def steps(method: Method, pair: Pair, student: Network, count: int = STEPS) -> list[float]:
    """Losses of `count` steps of every phase and of the main schedule, as the trainer makes them.

    Plain gradient descent with the gradient's norm limited to 1, so that losses of any weight change moderately.
    """
    dtype = student.classifier.weight.dtype
    teacher = networks(pair)[1].to(dtype)

    def shown(step: int) -> Batch:
        here = batch(step)
        assert here.images is not None
        assert here.second_view is not None
        views: dict[str, Any] = {"images": here.images.to(dtype), "second_view": here.second_view.to(dtype)}
        return replace(here, student=student, teacher=teacher, **views)

    values = []
    for phase in (*method.phases, None):
        for step in range(count):
            here = replace(shown(step), epoch=torch.tensor(step - count)) if phase else shown(step)
            values.append(float(make_step(method, here, phase)))
    return values


def make_step(method: Method, here: Batch, phase: Phase | None = None) -> Tensor:
    """A step on a batch that has its images and both networks; the loss."""
    student, teacher, seen = here.student, here.teacher, here.images
    assert isinstance(student, nn.Module)
    assert teacher is not None
    assert seen is not None
    learned = [*student.parameters(), *method.parameters()]
    for parameter in learned:
        parameter.grad = None
    if phase is not None:
        loss = phase.loss(None if phase.trains == "own" else student(seen), teacher(seen), here)
        loss.backward()
    else:
        main, ruled, _ = objective(method, student(seen), teacher(seen), here)
        loss = main if ruled is None else main + ruled
        gradients(method, student, main, ruled, here)
    trained = {"own": method, "student": student}.get(phase.trains if phase else "both")
    _descend(trained.parameters() if trained else learned)
    with torch.no_grad():
        method.after_step(student, here)
    return loss.detach()


def _descend(parameters: Any) -> None:
    moved = [p for p in parameters if p.grad is not None]
    nn.utils.clip_grad_norm_(moved, 1.0)
    with torch.no_grad():
        for parameter in moved:
            parameter -= LEARNING_RATE * parameter.grad
