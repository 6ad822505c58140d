"""Several methods as one objective: `kd+rkd_da`."""

from torch import Tensor, nn

from methods.base import Batch, Method, Outputs, Task


class Composition(Method):
    """Cross-entropy with weight 1 plus the sum of the terms.

    A classification loss or a prediction of its own may come from one term at most; ValueError otherwise.
    """

    def __init__(self, task: Task, parts: dict[str, Method]) -> None:
        super().__init__(task)
        self.registered = nn.ModuleDict(parts)
        self.terms = parts
        self._classifier = self._sole(parts, "classification")
        self._predictor = self._sole(parts, "predict")

    @staticmethod
    def _sole(parts: dict[str, Method], hook: str) -> str | None:
        """The one part that overrides a hook which cannot be summed."""
        own = [name for name, part in parts.items() if getattr(type(part), hook) is not getattr(Method, hook)]
        if len(own) > 1:
            raise ValueError(f"{' and '.join(own)} cannot be composed: each replaces {hook}")
        return own[0] if own else None

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        values = [term(student, teacher, batch) for term in self.terms.values()]
        return sum(values[1:], start=values[0])

    def classification(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self._classifier is None:
            return super().classification(logits, labels)
        return self.terms[self._classifier].classification(logits, labels)

    def predict(self, student: Outputs) -> Tensor:
        return super().predict(student) if self._predictor is None else self.terms[self._predictor].predict(student)

    def deployed(self) -> tuple[nn.Module, ...]:
        return tuple(module for term in self.terms.values() for module in term.deployed())
