"""Several methods as one objective: `kd+rkd_da`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from methods.base import Batch, Method, Outputs, Task


class Composition(Method):
    """Cross-entropy with weight 1 plus the sum of the terms; phases one after another, in the order of the parts.

    A classification loss, a prediction or a gradient rule of its own may come from one part at most; ValueError
    otherwise. A gradient rule sees cross-entropy plus the other terms as the main loss.
    """

    def __init__(self, task: Task, parts: dict[str, Method]) -> None:
        super().__init__(task)
        self.registered = nn.ModuleDict(parts)
        self.parts = parts
        self.phases = tuple(phase for part in parts.values() for phase in part.phases)
        self._classifier = self._sole("classification")
        self._predictor = self._sole("predict")
        self._ruled = self._sole("combine")

    def _sole(self, hook: str) -> str | None:
        """Name of the one part that overrides a hook which cannot be summed."""
        own = [name for name, part in self.parts.items() if getattr(type(part), hook) is not getattr(Method, hook)]
        if len(own) > 1:
            raise ValueError(f"{' and '.join(own)} cannot be composed: each replaces {hook}")
        return own[0] if own else None

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        plain, ruled = self.terms(student, teacher, batch)
        return plain if ruled is None else plain + ruled

    def terms(self, student: Outputs, teacher: Any, batch: Batch) -> tuple[Tensor, Tensor | None]:
        values = {name: part(student, teacher, batch) for name, part in self.parts.items()}
        ruled = values.pop(self._ruled) if self._ruled else None
        return torch.stack(tuple(values.values())).sum(), ruled

    def combine(self, main: Tensor, term: Tensor, batch: Batch) -> Tensor:
        return self._deferred(self._ruled).combine(main, term, batch)

    def combine_all(self, mains: Sequence[Tensor], terms: Sequence[Tensor], batch: Batch) -> list[Tensor]:
        return self._deferred(self._ruled).combine_all(mains, terms, batch)

    def classification(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self._deferred(self._classifier).classification(logits, labels)

    def predict(self, student: Outputs) -> Tensor:
        return self._deferred(self._predictor).predict(student)

    def _deferred(self, name: str | None) -> Method:
        """Who answers for a hook: the part that has its own, else any, since all the others have the default."""
        return self.parts[name] if name else next(iter(self.parts.values()))

    def after_step(self, student: nn.Module, batch: Batch) -> None:
        for part in self.parts.values():
            part.after_step(student, batch)

    def own_groups(self) -> list[tuple[float, float | None, list[nn.Parameter]]]:
        return [group for part in self.parts.values() for group in part.own_groups()]

    def deployed(self) -> tuple[nn.Module, ...]:
        return tuple(module for part in self.parts.values() for module in part.deployed())
