"""Methods with phases and gradient rules, for the tests only."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, Method, Outputs, Phase, Tap, Task

EMBEDDING: frozenset[Tap] = frozenset({"embedding"})


class TwoStage(Method):
    """As factor transfer (NeurIPS 2018) after hints (ICLR 2015): a paraphraser learnt on the teacher alone, then the
    student towards it, then both of them."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def __init__(self, task: Task, *, epochs: int = 1) -> None:
        super().__init__(task)
        assert task.teacher is not None
        self.paraphraser = nn.Linear(task.teacher.embedding, 4)
        self.decoder = nn.Linear(4, task.teacher.embedding)
        self.translator = nn.Linear(task.student.embedding, 4)
        self.phases = (
            Phase(epochs, "own", self.paraphrase, learning_rate=0.01),
            Phase(1, "student", self.forward),
            Phase(1, "both", self.forward),
        )

    def paraphrase(self, student: None, teacher: Outputs, batch: Batch) -> Tensor:
        assert student is None
        target = teacher.embedding.detach()
        return F.mse_loss(self.decoder(self.paraphraser(target)), target)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        target = self.paraphraser(teacher.embedding.detach()).detach()
        return F.mse_loss(self.translator(student.embedding), target)


class Halved(Method):
    """Half of the term's gradient, for the student's parameters (Nowhere 2000)."""

    reads: ClassVar[frozenset[Tap]] = EMBEDDING

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        assert task.teacher is not None
        self.regressor = nn.Linear(task.student.embedding, task.teacher.embedding)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return F.mse_loss(self.regressor(student.embedding), teacher.embedding.detach())

    def combine(self, main: Tensor, term: Tensor, batch: Batch) -> Tensor:
        return main + term / 2


class OwnPrediction(Method):
    """A classifier of its own (Nowhere 2000)."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.classifier = nn.Linear(task.student.embedding, task.student.classes)

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return student.logits.new_zeros(())

    def predict(self, student: Outputs) -> Tensor:
        logits: Tensor = self.classifier(student.embedding)
        return logits


class Spoilt(TwoStage):
    """Not finite in its second phase (Nowhere 2000)."""

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return super().forward(student, teacher, batch) * float("nan")


PHASED: dict[str, type[Method]] = {
    "two_stage": TwoStage,
    "halved": Halved,
    "halved_too": Halved,
    "own_prediction": OwnPrediction,
    "own_prediction_too": OwnPrediction,
    "spoilt": Spoilt,
}
