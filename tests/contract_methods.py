"""Methods that stretch the contract, for the tests only: each uses a part of it that some published method needs."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, Method, Outputs, Tap, Task


class MemoryBank(Method):
    """As in CRD (ICLR 2020): a slot per training image, written by index with momentum; negatives are drawn."""

    reads: ClassVar[frozenset[Tap]] = frozenset({"embedding"})
    momentum: ClassVar[float] = 0.5

    def __init__(self, task: Task, *, negatives: int = 8) -> None:
        super().__init__(task)
        assert task.teacher is not None
        self.negatives = negatives
        self.head = nn.Linear(task.student.embedding, task.teacher.embedding)
        self.register_buffer("memory", torch.zeros(len(task.labels), task.teacher.embedding))

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        drawn = torch.randint(len(self.memory), (self.negatives,), generator=batch.generator)
        own = self.head(student.embedding)
        target = teacher.embedding.detach()
        scores = torch.cat([(own * target).sum(1, keepdim=True), own @ self.memory[drawn].T], dim=1)
        with torch.no_grad():
            self.memory[batch.index] *= self.momentum
            self.memory[batch.index] += (1 - self.momentum) * target
        return F.cross_entropy(scores, torch.zeros_like(batch.labels))


class ReplacedClassifier(Method):
    """As SimKD (CVPR 2022): no cross-entropy; deployed logits are the teacher's classifier's, behind a projector."""

    reads: ClassVar[frozenset[Tap]] = frozenset({"embedding"})
    ce_weight = 0.0

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        assert task.teacher is not None
        assert task.classifier is not None
        self.projector = nn.Sequential(nn.Linear(task.student.embedding, task.teacher.embedding), nn.ReLU())
        self.classifier = task.classifier

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(self.projector(student.embedding), teacher.embedding.detach())

    def predict(self, student: Outputs) -> Tensor:
        return self.classifier(self.projector(student.embedding))

    def deployed(self) -> tuple[nn.Module, ...]:
        return self.projector, self.classifier


class Noise(Method):
    """Random numbers of its own, from the generator alone (Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = frozenset({"logits"})

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        noise = torch.randn(teacher.logits.shape, generator=batch.generator)
        return F.mse_loss(student.logits, teacher.logits.detach() + noise)


class SmoothedLabels(Method):
    """A classification loss of its own, and no term besides."""

    def classification(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=0.1)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return student.logits.new_zeros(())


class Nothing(Method):
    """A term that is always zero."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return student.logits.sum() * 0


class NeverSupported(Method):
    """Cannot serve any pair."""

    reads: ClassVar[frozenset[Tap]] = frozenset({"embedding"})

    def __init__(self, task: Task) -> None:
        raise AssertionError("built although unsupported")

    @classmethod
    def unsupported(cls, task: Task, **options: Any) -> str | None:
        return f"widths {task.student.embedding} and {task.teacher and task.teacher.embedding} differ"


class BadLoss(Method):
    """A loss that is NaN from an epoch on."""

    def __init__(self, task: Task, *, epoch: int = 1) -> None:
        super().__init__(task)
        self.epoch = epoch

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return student.logits.sum() * (torch.nan if batch.epoch >= self.epoch else 0.0)


class Crash(Method):
    """An error in the middle of training."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        if batch.epoch == 1:
            raise RuntimeError("a bug in the method")
        return student.logits.sum() * 0


class BadLastGradient(Method):
    """A loss that stays finite while its gradient is NaN, in the very last step: |x|^0.5 at 0."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.epochs = task.epochs
        self.images = len(task.labels)
        self.seen = 0

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        self.seen = len(batch.index) + (self.seen if batch.progress > 0 else 0)
        last = self.seen == self.epochs * self.images
        return (student.logits * 0).abs().pow(0.5 if last else 2.0).sum()


class Hasty(Method):
    """A regressor that learns ten times as fast as the student, with more weight decay (Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = frozenset({"embedding"})
    own_learning_rate = 10.0
    own_weight_decay = 0.25

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        assert task.teacher is not None
        self.regressor = nn.Linear(task.student.embedding, task.teacher.embedding)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(self.regressor(student.embedding), teacher.embedding.detach())


class Counts(Method):
    """Counts its steps, and keeps the classifier's weights as the last one left them (Nowhere 2000)."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("last", torch.zeros(task.student.classes, task.student.embedding))

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return student.logits.new_zeros(())

    def after_step(self, student: nn.Module, batch: Batch) -> None:
        self.steps += 1
        self.last.copy_(student.classifier.weight)


class CountsInPython(Method):
    """The student's logits, ever less of them, by a number that Python counts (Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = frozenset({"logits"})

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.state = {"steps": 0}

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        self.state["steps"] += 1
        return student.logits.square().mean() / self.state["steps"]


class PreActivations(Method):
    """As AB (AAAI 2019): maps before their last activation; whether they were that for both networks so far."""

    reads: ClassVar[frozenset[Tap]] = frozenset({"maps", "preacts"})

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.register_buffer("rectified", torch.ones(()))

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        for network in (student, teacher):
            same = [torch.equal(p.relu(), m) for p, m in zip(network.preacts, network.maps, strict=True)]
            self.rectified *= float(all(same) and len(same) == len(network.maps) > 0)
        return sum((m.square().mean() for m in student.preacts), start=student.logits.new_zeros(()))


class TwoViews(Method):
    """As MLKD (CVPR 2023): logits of a second view as well, through both networks; and, as SSKD (ECCV 2020), of images
    that are turned."""

    reads: ClassVar[frozenset[Tap]] = frozenset({"logits", "images", "second_view"})

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        assert batch.images is not None
        assert batch.second_view is not None
        assert batch.student
        assert batch.teacher
        loss = F.mse_loss(student.logits, teacher.logits.detach())
        for images in (batch.second_view, batch.images.rot90(1, (2, 3))):
            loss = loss + F.mse_loss(batch.student(images).logits, batch.teacher(images).logits.detach())
        return loss


class MeanTeacher(Method):
    """As mean teachers (NIPS 2017, arXiv:1703.01780): the student's moving mean, shown another view, teaches it."""

    reads: ClassVar[frozenset[Tap]] = frozenset({"second_view"})

    def __init__(self, task: Task, *, momentum: float = 0.75) -> None:
        super().__init__(task)
        assert task.initial is not None
        self.momentum, self.mean = momentum, task.initial()

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        with torch.no_grad():
            target = self.mean.eval()(batch.second_view).logits
        return F.mse_loss(student.logits, target)

    def after_step(self, student: nn.Module, batch: Batch) -> None:
        for mean, value in zip(self.mean.state_dict().values(), student.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - self.momentum)


class OwnNoise(Method):
    """As dropout of the teacher's logits (Nowhere 2000), for every image its own: the batch's order changes nothing."""

    reads: ClassVar[frozenset[Tap]] = frozenset({"logits"})

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        kept = batch.draws(teacher.logits.shape[1]) < 2**61
        return F.mse_loss(student.logits, teacher.logits.detach() * kept)


class Complains(Method):
    """Refuses to be built, in an unusual way, and says what it was given (Nowhere 2000)."""

    def __init__(self, task: Task) -> None:
        raise KeyError(f"{task.labels.unique().numel()} classes in {len(task.labels)} images")


METHODS: dict[str, type[Method]] = {
    "bank": MemoryBank,
    "replaced": ReplacedClassifier,
    "noise": Noise,
    "smoothed": SmoothedLabels,
    "nothing": Nothing,
    "never": NeverSupported,
    "bad_loss": BadLoss,
    "crash": Crash,
    "bad_gradient": BadLastGradient,
    "complains": Complains,
    "two_views": TwoViews,
    "mean_teacher": MeanTeacher,
    "own_noise": OwnNoise,
    "hasty": Hasty,
    "counts": Counts,
    "counts_in_python": CountsInPython,
    "preacts": PreActivations,
}
