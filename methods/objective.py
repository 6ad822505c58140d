"""What a step of the main schedule minimises, and the gradients that come of it: as the trainer forms them, and as
`methods.check` tries them."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from methods.base import Batch, Method, Outputs


def objective(
    method: Method,
    student: Outputs,
    teacher: Outputs | None,
    batch: Batch,
    precision: AbstractContextManager[object] | None = None,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """The main loss and the one under a gradient rule, scalars in float32 or float64, and the logits [B, K].

    precision: what the method's own computations run in.
    """
    with precision or nullcontext():
        logits = method.predict(student)
        plain, ruled = method.terms(student, teacher, batch)
    main = method.ce_weight * method.classification(_exact(logits), batch.labels) + _exact(plain)
    return main, None if ruled is None else _exact(ruled), logits


def gradients(method: Method, student: nn.Module, main: Tensor, ruled: Tensor | None, batch: Batch) -> None:
    """Put gradients into the parameters: of the student by the method's rule, of the method's own as they are; none,
    and so no weight decay either, into a parameter that neither loss reaches."""
    if ruled is None:
        main.backward()
        return
    students, owns = ([p for p in module.parameters() if p.requires_grad] for module in (student, method))
    parameters = (*students, *owns)
    of_main = torch.autograd.grad(main, parameters, retain_graph=True, allow_unused=True)
    of_term = torch.autograd.grad(ruled, parameters, allow_unused=True)
    reached = [i for i in range(len(parameters)) if of_main[i] is not None or of_term[i] is not None]
    mains, terms = ([_or_zeros(of[i], parameters[i]) for i in reached] for of in (of_main, of_term))
    count = sum(i < len(students) for i in reached)
    combined = method.combine_all(mains[:count], terms[:count], batch)
    combined += [g_main + g_term for g_main, g_term in zip(mains[count:], terms[count:], strict=True)]
    for i, gradient in zip(reached, combined, strict=True):
        parameter = parameters[i]
        if gradient.stride() != parameter.stride():  # fused optimisers take both for laid out alike
            gradient = torch.empty_like(parameter).copy_(gradient)
        parameter.grad = gradient


def _or_zeros(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if gradient is None else gradient


def _exact(value: Tensor) -> Tensor:
    return value if value.dtype == torch.float64 else value.float()
