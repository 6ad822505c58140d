"""The contract between a method and the trainer. A method is one file that uses nothing but torch, this module
and the relations it shares with others."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Scalar = bool | int | float | str
Tap = Literal["logits", "embedding", "maps", "pooled_map"]


@dataclass(frozen=True)
class Shapes:
    """What a network's `Outputs` look like for one image.

    embedding: D; maps: (C, H, W) of every map, front to back; pooled_map: (C, H, W) of the input of pooling;
    stem: how many of the first maps belong to the stem.
    """

    classes: int
    embedding: int
    maps: tuple[tuple[int, int, int], ...]
    pooled_map: tuple[int, int, int]
    stem: int = 0

    def stages(self, count: int) -> tuple[tuple[int, int, int], ...]:
        """(C, H, W) of the maps that `Outputs.stages(count)` returns."""
        return tuple(self.maps[i] for i in stage_indices([m[1:] for m in self.maps], self.stem, count))


@dataclass(frozen=True)
class Outputs:
    """One network's outputs on one batch.

    logits: [B, K]; embedding: [B, D], what the classifier reads; maps: each [B, C, H, W], front to back;
    pooled_map: [B, C, H, W], the input of pooling.
    """

    logits: Tensor
    embedding: Tensor
    maps: tuple[Tensor, ...]
    pooled_map: Tensor
    stem: int = 0

    def depths(self, count: int) -> tuple[Tensor, ...]:
        """Representations at `count` depths, front to back: the maps of the stages before the last, and the embedding.

        Raises ValueError if there are fewer stages.
        """
        return (self.embedding,) if count == 1 else (*self.stages(count)[:-1], self.embedding)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Outputs":
        """Every tensor changed in the same way."""
        maps = tuple(change(each) for each in self.maps)
        return Outputs(change(self.logits), change(self.embedding), maps, change(self.pooled_map), self.stem)

    def stages(self, count: int) -> tuple[Tensor, ...]:
        """The last map of each of the `count` last resolutions, front to back, the stem excluded.

        Isotropic networks (one resolution) give `count` equally spaced blocks. Raises ValueError if there are fewer.
        """
        return tuple(
            self.maps[i] for i in stage_indices([(m.shape[-2], m.shape[-1]) for m in self.maps], self.stem, count)
        )


def stage_indices(sizes: list[tuple[int, int]], stem: int, count: int) -> list[int]:
    """Indices of the maps that serve as the last `count` stages, given every map's (H, W)."""
    blocks = range(stem, len(sizes))
    last = [i for i in blocks if i + 1 == len(sizes) or sizes[i + 1] != sizes[i]]
    if len(last) == 1 < len(blocks):
        count_from = min(count, len(blocks))
        last = [stem + (i + 1) * len(blocks) // count_from - 1 for i in range(count_from)]
    if len(last) < count:
        raise ValueError(f"the network has {len(last)} stages, {count} are needed")
    return last[-count:]


@dataclass(frozen=True)
class Task:
    """What a method may know when it is built.

    labels: [N], the training labels, by position in the training set. teacher and classifier (the teacher's, frozen)
    are None where there is no teacher, that is when a teacher itself is trained. label_smoothing: the recipe's, in
    [0, 1).
    """

    student: Shapes
    teacher: Shapes | None
    labels: Tensor
    epochs: int
    classifier: nn.Module | None = None
    label_smoothing: float = 0.0

    def lacks_stages(self, count: int) -> str | None:
        """Which network has fewer than `count` stages, as a reason for `Method.unsupported`; None if neither."""
        for network, shapes in (("student", self.student), ("teacher", self.teacher)):
            try:
                if shapes is not None:
                    shapes.stages(count)
            except ValueError as error:
                return f"{network}: {error}"
        return None


@dataclass(frozen=True)
class Batch:
    """labels: [B]; index: [B], positions in the training set; epoch: from 0 in the main schedule, below 0 in phases;
    progress: [], share of the main schedule done, in [0, 1), on the device; generator: the method's own, on the CPU,
    seeded anew for every step."""

    labels: Tensor
    index: Tensor
    epoch: int
    progress: Tensor
    generator: torch.Generator


@dataclass(frozen=True)
class Phase:
    """A stretch of training before the main schedule, with an optimiser and a batch stream of its own.

    loss: a scalar from (student, teacher, batch), without the classification loss. trains: "own", the method's own
    parameters on the teacher alone: the student is not run and its outputs are None; "student", the student alone;
    "both". What the loss does not reach is left as it is. learning_rate: constant through the phase; it and
    weight_decay take the recipe's value where they are None.
    """

    epochs: int
    trains: Literal["student", "own", "both"]
    loss: Callable[[Any, Any, Batch], Tensor]
    learning_rate: float | None = None
    weight_decay: float | None = None


class Method(nn.Module):
    """A distillation objective: student and teacher outputs in, a scalar out.

    Learnable parts are submodules and are optimised with the student, as far as the loss of a step reaches them; memory
    banks are buffers and are checkpointed with it. Randomness comes from `batch.generator` only. Options are
    keyword-only arguments of the constructor, whose defaults are the ones registered.
    """

    reads: ClassVar[frozenset[Tap]] = frozenset()
    """Which outputs are used, by default options; `reading` says it for others."""
    revision: ClassVar[int] = 1
    """Raised when the numbers this method gives change; part of every run's id."""
    precision: ClassVar[Literal["float32", "autocast"]] = "float32"
    """float32: outputs arrive as float32 and autocast is off, since relations are differences of large numbers."""
    vanishes_at_teacher: ClassVar[bool] = False
    """A claim that `methods.check` holds a method to: the term is 0 for a student whose outputs are the teacher's."""
    memory_order: ClassVar[int] = 2
    """Another: memory grows with this power of the batch size at most."""
    added: ClassVar[frozenset[str]] = frozenset()
    """Options that came after runs of the method were recorded: left out of a run's description, and so of its id,
    while they have their default, so that finished records stay valid."""
    composed: ClassVar[dict[str, Scalar]] = {}
    """Defaults that differ when the method is one term of a composition such as `kd+rkd_da`."""
    alone: ClassVar[frozenset[str]] = frozenset()
    """Options that mean nothing in a composition, such as the weight of cross-entropy, which is 1 there. What is said
    of them is for the method by itself."""
    ce_weight: float = 1.0
    """Weight of the classification loss; may be 0."""
    phases: tuple[Phase, ...] = ()
    """What comes before the main schedule. Epochs of phases are numbered -W, ..., -1 and the main ones from 0, so that
    the main epochs show the same batches to all methods."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.label_smoothing = task.label_smoothing

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        """The distillation term, already weighted: a scalar."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def classification(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The classification loss of logits [B, K] and labels [B]: cross-entropy, with the recipe's label smoothing."""
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)

    def predict(self, student: Outputs) -> Tensor:
        """The logits [B, K] that are trained on labels and deployed."""
        return student.logits

    def deployed(self) -> tuple[nn.Module, ...]:
        """Modules that `predict` uses in place of the student's classifier; they count in the student's budgets."""
        return ()

    def combine(self, main: Tensor, term: Tensor, batch: Batch) -> Tensor:
        """A student parameter's gradient, from that of the main loss (classification and the other terms of a
        composition) and that of this method's term, all of the parameter's shape: their sum. A method that overrides
        this has a gradient rule; own parameters get the sum of the raw gradients nevertheless.
        """
        return main + term

    def terms(self, student: Outputs, teacher: Any, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """What is added to the main loss, and what is under this method's gradient rule, if it has one."""
        term = self(student, teacher, batch)
        return (term, None) if type(self).combine is Method.combine else (torch.zeros_like(term), term)

    @classmethod
    def reading(cls, **options: Any) -> frozenset[Tap]:
        """Which outputs are used with these options."""
        return cls.reads

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        """Why this method, with these options, cannot serve a pair, or None. Such a run is tabled as n/a, not as a
        failure."""
        return None


@dataclass(frozen=True)
class Entry:
    """A registered name: the class and the options that the name fixes as defaults."""

    name: str
    method: type[Method]
    defaults: dict[str, Scalar]


REGISTRY: dict[str, Entry] = {}
AnyMethod = TypeVar("AnyMethod", bound=type[Method])


def register(name: str, **defaults: Scalar) -> Callable[[AnyMethod], AnyMethod]:
    """Class decorator: make a method known by `name`, with these defaults of its options.

    Raises ValueError if another class has the name.
    """

    def add(method: AnyMethod) -> AnyMethod:
        known = REGISTRY.get(name)
        if known and _origin(known.method) != _origin(method):
            raise ValueError(f"method {name!r} is registered twice, in {known.method} and in {method}")
        REGISTRY[name] = Entry(name, method, defaults)
        return method

    return add


def _origin(method: type[Method]) -> tuple[str, str]:
    """Where a class is defined: a module that is imported twice registers the same methods again."""
    return inspect.getfile(method), method.__qualname__
