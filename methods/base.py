"""The contract between a method and the trainer. A method is one file that uses nothing but torch, this module
and the relations it shares with others."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Scalar = bool | int | float | str
Tap = Literal["logits", "embedding", "maps", "pooled_map", "preacts", "images", "second_view"]
OF_BATCH: frozenset[Tap] = frozenset({"images", "second_view"})
"""What comes with the batch; the others are of a network's outputs."""
ASKED: frozenset[Tap] = OF_BATCH | {"preacts"}
"""What costs something, and so is there only where a method names it."""


@dataclass(frozen=True)
class Shapes:
    """What a network's `Outputs` look like for one image.

    embedding: D; maps: (C, H, W) of every map, front to back; pooled_map: (C, H, W) of the input of pooling;
    stem: how many of the first maps belong to the stem; rectified: of every map, whether it is never negative, because
    it comes after a ReLU; averaged: whether the embedding is the mean of `pooled_map` over its positions.
    """

    classes: int
    embedding: int
    maps: tuple[tuple[int, int, int], ...]
    pooled_map: tuple[int, int, int]
    stem: int = 0
    rectified: tuple[bool, ...] = ()
    averaged: bool = True

    def stages(self, count: int) -> tuple[tuple[int, int, int], ...]:
        """(C, H, W) of the maps that `Outputs.stages(count)` returns."""
        return tuple(self.maps[i] for i in stage_indices([m[1:] for m in self.maps], self.stem, count))


@dataclass(frozen=True)
class Outputs:
    """One network's outputs on one batch.

    logits: [B, K]; embedding: [B, D], what the classifier reads; maps: each [B, C, H, W], front to back;
    pooled_map: [B, C, H, W], the input of pooling; preacts: of every map what its last activation was applied to, or
    would be (a wide residual network's raw sums: normalised as the next block does it), the map itself where no
    activation gives it; empty unless read.
    """

    logits: Tensor
    embedding: Tensor
    maps: tuple[Tensor, ...]
    pooled_map: Tensor
    stem: int = 0
    preacts: tuple[Tensor, ...] = ()

    def depths(self, count: int) -> tuple[Tensor, ...]:
        """Representations at `count` depths, front to back: the maps of the stages before the last, and the embedding.

        Raises ValueError if there are fewer stages.
        """
        return (self.embedding,) if count == 1 else (*self.stages(count)[:-1], self.embedding)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Outputs":
        """Every tensor changed in the same way."""
        maps, preacts = (tuple(change(each) for each in several) for several in (self.maps, self.preacts))
        return Outputs(change(self.logits), change(self.embedding), maps, change(self.pooled_map), self.stem, preacts)

    def stages(self, count: int) -> tuple[Tensor, ...]:
        """The last map of each of the `count` last resolutions, front to back, the stem excluded.

        Isotropic networks (one resolution) give `count` equally spaced blocks. Raises ValueError if there are fewer.
        """
        return tuple(self.maps[i] for i in self._indices(count))

    def preact_stages(self, count: int) -> tuple[Tensor, ...]:
        """What comes before the last activation of the maps that `stages(count)` gives."""
        return tuple(self.preacts[i] for i in self._indices(count))

    def _indices(self, count: int) -> list[int]:
        return stage_indices([(m.shape[-2], m.shape[-1]) for m in self.maps], self.stem, count)


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
    are None where there is no teacher, as when one is trained, and for what reads nothing. label_smoothing: the
    recipe's, in [0, 1). batch_size: images of a step; steps: of an epoch. initial: makes a frozen copy of the student
    as it starts, which gives `Outputs` of images [B, C, H, W]: a mean teacher, say, which the hook after a step moves.
    """

    student: Shapes
    teacher: Shapes | None
    labels: Tensor
    epochs: int
    classifier: nn.Module | None = None
    label_smoothing: float = 0.0
    batch_size: int = 1
    steps: int = 1
    initial: Callable[[], nn.Module] | None = None

    @property
    def pair(self) -> tuple[Shapes, Shapes]:
        """Of the student and of the teacher. Raises ValueError where there is no teacher."""
        if self.teacher is None:
            raise ValueError("the method needs a teacher")
        return self.student, self.teacher

    def map_pairs(self, count: int = 3) -> list[tuple[int, int]]:
        """Which map of the student goes with which of the teacher, front to back: all after the stem where both
        networks have as many, as published tables pair them, else the ones of `stages(count)`.

        Raises ValueError if there are fewer stages, or no teacher.
        """
        student, teacher = (list(range(shapes.stem, len(shapes.maps))) for shapes in self.pair)
        if len(student) != len(teacher):
            student, teacher = (stage_indices([m[1:] for m in s.maps], s.stem, count) for s in self.pair)
        return list(zip(student, teacher, strict=True))

    def lacks_map_pairs(self, count: int = 3) -> str | None:
        """Why maps cannot be paired, as a reason for `Method.unsupported`, or None."""
        try:
            self.map_pairs(count)
        except ValueError:
            return self.lacks_stages(count)
        return None

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
    """labels: [B]; index: [B], positions in the training set; epoch: [], whole, from 0 in the main schedule, below 0 in
    phases; progress: [], share of the main schedule done, in [0, 1); generator: the method's own, on the CPU, seeded
    anew for every step; seed: [], the same seed for `draws`, where the device has to find it.

    All tensors are on the device. A step may be recorded and replayed with other values in them: what a method's code
    decides by a number of its own, or by reading one of these, stays as it was when the step was recorded.

    Where they are read: images: [B, C, H, W], as the networks see them; second_view: [B, C, H, W], the same images
    cropped and flipped once more, a function of seed, epoch and step like the first; student, teacher: give the
    networks' outputs of more images, these or changed ones, the teacher's without gradient."""

    labels: Tensor
    index: Tensor
    epoch: Tensor
    progress: Tensor
    generator: torch.Generator
    images: Tensor | None = None
    second_view: Tensor | None = None
    student: Callable[[Tensor], Outputs] | None = None
    teacher: Callable[[Tensor], Outputs] | None = None
    seed: Tensor | None = None

    def on_device(self, drawn: Tensor) -> Tensor:
        """What `generator` gave on the CPU, brought to the device without waiting for it."""
        device = self.labels.device
        return drawn.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else drawn.to(device)

    def draws(self, count: int) -> Tensor:
        """[B, count], whole numbers in [0, 2^62), on the device: of each image its own, which depend on the generator's
        seed and `index` alone, and so not on the batch's order or the images beside it. The generator does not move.

        SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), counting on from a hash of the image. `% n` gives numbers below
        n, `/ 2**62` shares of 1.
        """
        seed = self.generator.initial_seed() % SEEDS if self.seed is None else self.seed
        image = _mixed(self.index[:, None] * GOLDEN_GAMMA + seed)
        steps = torch.arange(1, count + 1, device=self.index.device) * GOLDEN_GAMMA
        return _mixed(image + steps) & (2**62 - 1)


SEEDS = 2**62
"""Seeds of `draws` are below it."""
GOLDEN_GAMMA, *FACTORS = (n - 2**64 for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
"""SplitMix64's increment and multipliers, as int64."""


def _mixed(x: Tensor) -> Tensor:
    """SplitMix64's finaliser of int64, which wraps around."""
    for shift, factor in zip((30, 27), FACTORS, strict=True):
        x = (x ^ ((x >> shift) & (2 ** (64 - shift) - 1))) * factor
    return x ^ ((x >> 31) & (2**33 - 1))


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
    label: ClassVar[str | Mapping[str, str]] = ""
    """What figures and tables call a method that is not the suite's, by default as it is registered; of a class with
    several names, by name."""
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
    own_learning_rate: float = 1.0
    """In the main schedule, times the recipe's at every step: for the method's own parameters."""
    own_weight_decay: float | None = None
    """The same parameters' weight decay in the main schedule; None is the recipe's."""
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

    def after_step(self, student: nn.Module, batch: Batch) -> None:
        """Called once the optimiser has made a step, of a phase too, without gradient: for memories and moving means
        that have to change once a step, and after the gradients. `student` is the network itself."""

    def own_groups(self) -> list[tuple[float, float | None, list[nn.Parameter]]]:
        """Learnable parameters with their factor of the learning rate and their weight decay, in the main schedule."""
        return [(self.own_learning_rate, self.own_weight_decay, [p for p in self.parameters() if p.requires_grad])]

    def deployed(self) -> tuple[nn.Module, ...]:
        """Modules that `predict` uses in place of the student's classifier; they count in the student's budgets."""
        return ()

    def combine(self, main: Tensor, term: Tensor, batch: Batch) -> Tensor:
        """A student parameter's gradient, from that of the main loss (classification and the other terms of a
        composition) and that of this method's term, all of the parameter's shape: their sum. A method that overrides
        this has a gradient rule; own parameters get the sum of the raw gradients nevertheless.
        """
        return main + term

    def combine_all(self, mains: Sequence[Tensor], terms: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        """`combine` for the gradients of all student parameters: a rule may share kernels between them."""
        return [self.combine(main, term, batch) for main, term in zip(mains, terms, strict=True)]

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
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""It stands in run ids and file names; + joins names, and a dot comes before an option."""
AnyMethod = TypeVar("AnyMethod", bound=type[Method])


def register(name: str, **defaults: Scalar) -> Callable[[AnyMethod], AnyMethod]:
    """Class decorator: make a method known by `name`, with these defaults of its options.

    Raises ValueError for a name that no command could give, and if another class has it; TypeError for what is no
    `Method`.
    """
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise ValueError(f"{name!r} is no name of a method: @register(NAME), of letters, digits, - and _")

    def add(method: AnyMethod) -> AnyMethod:
        if not (isinstance(method, type) and issubclass(method, Method)):
            raise TypeError(f"{method} is registered as {name!r}, but is no subclass of {Method.__module__}.Method")
        known = REGISTRY.get(name)
        if known and _origin(known.method) != _origin(method):
            raise ValueError(f"method {name!r} is registered twice, in {known.method} and in {method}")
        REGISTRY[name] = Entry(name, method, defaults)
        return method

    return add


def _origin(method: type[Method]) -> tuple[str, str]:
    """Where a class is defined: a module that is imported twice registers the same methods again."""
    return inspect.getfile(method), method.__qualname__
