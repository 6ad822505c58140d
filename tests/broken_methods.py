"""Methods that each break the contract in one way, as somebody might; `methods.check` has to say which."""

import random
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods import relations
from methods.base import Batch, Method, Outputs, Phase, Tap, Task

LOGITS: frozenset[Tap] = frozenset({"logits"})
EMBEDDING: frozenset[Tap] = frozenset({"embedding"})


class TrainsTheTeacher(Method):
    """Squares of logits, in both directions (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(student.logits, teacher.logits)


class DrawsGlobally(Method):
    """Noise on the targets (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(student.logits, teacher.logits.detach() + torch.randn(()))


class DrawsFromPython(Method):
    """A random weight (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return random.random() * F.mse_loss(student.logits, teacher.logits.detach())


class DropsOut(Method):
    """Dropout on the student's embedding (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        assert task.teacher is not None
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(task.student.embedding, task.teacher.embedding))

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(self.head(student.embedding), teacher.embedding.detach())


class ComparesNeighbours(Method):
    """Differences of samples that follow each other (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        difference = student.logits - teacher.logits.detach()
        return (difference - difference.roll(1, 0)).square().mean()


class FavoursTheFirst(Method):
    """A random weight for every place in the batch, the first one's doubled (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        weight = 1 + 0.01 * torch.rand(len(batch.labels), 1, generator=batch.generator)
        weight = weight * (1 + (torch.arange(len(weight)) == 0))[:, None]
        return (weight * (student.logits - teacher.logits.detach()).square()).mean()


class RootOfZero(Method):
    """Distances between samples without a guard (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        def distances(x: Tensor) -> Tensor:
            others = ~torch.eye(len(x), dtype=torch.bool)
            return (x[:, None] - x).square().sum(2)[others].sqrt().sum() / max(len(x) * (len(x) - 1), 1)

        return (distances(student.embedding) - distances(teacher.embedding.detach())).square()


class TinyEpsilon(Method):
    """Directions of embeddings, with an epsilon against zero rows (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        def cosines(x: Tensor) -> Tensor:
            x = x / (x.norm(dim=1, keepdim=True) + 1e-12)
            return x @ x.T

        student_mean = relations.cosine_similarities(teacher.embedding.detach()).mean()
        return (cosines(student.embedding).mean() - student_mean).square()


class SpreadOfOne(Method):
    """The standard deviation over the batch (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        center = teacher.logits.detach().var(0, correction=0).mean()
        return (student.logits.var(0).mean() - center).square()


class UnusedPart(Method):
    """A regressor, and another one that is never called (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        assert task.teacher is not None
        self.regressor = nn.Linear(task.student.embedding, task.teacher.embedding)
        self.spare = nn.Linear(2, 2)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(self.regressor(student.embedding), teacher.embedding.detach())


class DetachedStudent(Method):
    """A regressor on a copy of the student's embedding (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        assert task.teacher is not None
        self.regressor = nn.Linear(task.student.embedding, task.teacher.embedding)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(self.regressor(student.embedding.detach()), teacher.embedding.detach())


class Forgets(Method):
    """A running mean of the teacher's logits, in an attribute (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.mean = torch.zeros(task.student.classes)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        self.mean = (self.mean + teacher.logits.detach().mean(0)) / 2
        return F.mse_loss(student.logits.mean(0), self.mean)


class GrowsLater(Method):
    """A buffer that is made in the first step (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        if not hasattr(self, "mean"):
            self.register_buffer("mean", teacher.logits.detach().mean(0))
        return F.mse_loss(student.logits.mean(0), self.mean)


class PerSample(Method):
    """A loss for every sample (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return (student.logits - teacher.logits.detach()).square().sum(1)


class Uncited(Method):
    """Squares of logits."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(student.logits, teacher.logits.detach())


class Undocumented(Method):
    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(student.logits, teacher.logits.detach())


class ReadsMore(Method):
    """The mean of the last map, though only logits are declared (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return (student.maps[-1].mean() - teacher.stages(1)[0].detach().mean()).square()


class FastWave(Method):
    """A wave in the logits, shorter than bf16 resolves (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return (1000 * (student.logits - teacher.logits.detach())).sin().mean()


class CubicMemory(Method):
    """Angles of all triplets at once (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        def angles(x: Tensor) -> Tensor:
            arms = relations.normalize((x[:, None] - x).flatten(0, 1)).unflatten(0, (len(x), len(x)))
            return arms @ arms.transpose(1, 2)

        return F.smooth_l1_loss(angles(student.embedding), angles(teacher.embedding.detach()))


class WritesIntoItsInputs(Method):
    """Logits divided by a temperature, where they lie (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(student.logits / 4, teacher.logits.detach().div_(4))


class ClaimsToVanish(Method):
    """The student's logits twice as large as the teacher's (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS
    vanishes_at_teacher: ClassVar[bool] = True

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(student.logits, 2 * teacher.logits.detach())


class DividesByTheMainGradient(Method):
    """The term's gradient as long as the main one (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(student.logits, teacher.logits.detach())

    def combine(self, main: Tensor, term: Tensor, batch: Batch) -> Tensor:
        return main + term * main.norm() / term.norm()


class OptionByPosition(Method):
    """An option without the star (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def __init__(self, task: Task, weight: float = 1.0) -> None:
        super().__init__(task)
        self.weight = weight

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return self.weight * F.mse_loss(student.logits, teacher.logits.detach())


class OptionWithoutDefault(Method):
    """An option that `register` was to give a default (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def __init__(self, task: Task, *, weight: Any) -> None:
        super().__init__(task)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(student.logits, teacher.logits.detach())


class EqualWidthsOnly(Method):
    """Squares of embeddings, whatever their widths (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return (student.embedding - teacher.embedding.detach()).square().mean()


class RootsBackwards(torch.autograd.Function):
    """A root whose gradient has another shape than its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.abs().sqrt()

    @staticmethod
    def backward(ctx: Any, output: Tensor) -> Tensor:  # type: ignore[override]
        return output.new_ones(3, 3)


class FailsBackwards(Method):
    """An error that only the backward pass raises, in torch's own code (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return RootsBackwards.apply(student.embedding).mean()


class OverwritesItsGradient(Method):
    """A value that the backward pass needs, changed in place (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        roots = (student.embedding.abs() + 1).sqrt()
        roots += 1
        return roots.mean()


class LeavesAModeBehind(Method):
    """A normalisation that a phase leaves in evaluation mode (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        assert task.teacher is not None
        self.norm = nn.BatchNorm1d(task.teacher.embedding)
        self.regressor = nn.Linear(task.student.embedding, task.teacher.embedding)
        self.phases = (Phase(1, "own", self.learn),)

    def learn(self, student: None, teacher: Outputs, batch: Batch) -> Tensor:
        self.norm.train(len(batch.labels) > 1)  # one sample has no statistics
        value = (self.norm(teacher.embedding.detach()) - 1).square().mean()
        self.norm.eval()
        return value

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(self.regressor(student.embedding), self.norm(teacher.embedding.detach()).detach())


class ReplacesABuffer(Method):
    """A moving mean that is another tensor after every step (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.register_buffer("mean", torch.zeros(task.student.embedding))

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return (student.embedding - self.mean).square().mean()

    def after_step(self, student: nn.Module, batch: Batch) -> None:
        self.mean = 0.9 * self.mean + 0.1 * student(batch.images).embedding.mean(0)


class CountsItsClasses(Method):
    """A constructor that takes every class to have images, in a grid that leaves one out (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        if len(task.labels.unique()) < task.student.classes:
            raise ValueError("a centre has no images")

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return student.embedding.square().mean()


class WholeNumberByDefault(Method):
    """Squares of logits, with a weight that no grid could make 0.5 (Nobody, Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = LOGITS

    def __init__(self, task: Task, *, weight: float = 1) -> None:
        super().__init__(task)
        self.weight = weight

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return self.weight * F.mse_loss(student.logits, teacher.logits.detach())


class LabelOfNoText(Method):
    """Squares of logits, called by a number (Nobody, Nowhere 2000)."""

    label: ClassVar[Any] = 3
    reads: ClassVar[frozenset[Tap]] = LOGITS

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(student.logits, teacher.logits.detach())


BROKEN: dict[type[Method], tuple[str, str, str]] = {
    ReplacesABuffer: ("capturable", "replayed, a step gives another", "a buffer that is written into"),
    TrainsTheTeacher: ("gradient", "reaches teacher.logits", r"teacher\.logits\.detach\(\)"),
    DrawsGlobally: ("determinism", "global generator of torch", "generator=batch.generator"),
    DrawsFromPython: ("determinism", "global generator of random", "generator=batch.generator"),
    DropsOut: ("determinism", "global generator of torch", "instead of dropout"),
    ComparesNeighbours: ("permutation", "in another order", "treat samples alike"),
    FavoursTheFirst: ("permutation", "in another order", "batch.generator"),
    RootOfZero: ("degenerate batches", "not finite for two equal rows of student", "relations.inverse_root"),
    TinyEpsilon: ("degenerate batches", "for a zero row of student", "epsilon is not enough"),
    SpreadOfOne: ("degenerate batches", "nan for a batch of 1", "mean of nothing"),
    UnusedPart: ("gradient", "no gradient reaches spare.bias, spare.weight", "register it as a buffer"),
    DetachedStudent: ("gradient", "no gradient reaches the student", "depend on the student's outputs"),
    Forgets: ("state", "after a reload", "register_buffer"),
    GrowsLater: ("state", "cannot be reloaded", "built whole in the constructor"),
    PerSample: ("loss", r"\[12\], not a scalar", r"\.mean\(\)"),
    Uncited: ("documentation", "no citation", "Venue Year, arXiv"),
    Undocumented: ("documentation", "no docstring", "Venue Year, arXiv"),
    ReadsMore: ("reads", "uses maps without declaring it", r'reads = frozenset\(\{"maps"\}\)'),
    FastWave: ("bf16 inputs", "when inputs are rounded", "avoid large factors"),
    CubicMemory: ("memory", r"B\^2\.\d|B\^3\.0", "memory_order = 3"),
    WritesIntoItsInputs: ("inputs", "teacher.logits is modified", r"x\.clone\(\)"),
    ClaimsToVanish: ("student = teacher", "when the student equals the teacher", "vanishes_at_teacher = False"),
    DividesByTheMainGradient: ("gradient rule", "for two zero|a zero and another", "do not divide by a norm"),
    OptionByPosition: ("options", "weight can be given by position", r"\*, option"),
    OptionWithoutDefault: ("options", "weight has no default", r"@register\(.*weight=\.\.\."),
    WholeNumberByDefault: ("options", "weight is a float by its annotation, its default is 1", "of the default's type"),
    LabelOfNoText: ("documentation", "label is 3", 'label = "My method"'),
    LeavesAModeBehind: ("state", "norm was left in evaluation mode, which no checkpoint", r"self\.norm\.eval\(\)"),
    CountsItsClasses: (
        "constructor",
        "ValueError where a class has no image: a centre has no images",
        r"`unsupported`; raised in .*broken_methods\.py:\d+, in __init__",
    ),
    EqualWidthsOnly: ("loss", "RuntimeError: The size of tensor", r"broken_methods\.py:\d+, in forward"),
}
"""Which check fails, what it has seen and which remedy it names."""
