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
    of_main = torch.autograd.grad(main, (*students, *owns), retain_graph=True, allow_unused=True)
    of_term = torch.autograd.grad(ruled, (*students, *owns), allow_unused=True)
    for i, (parameter, g_main, g_term) in enumerate(zip((*students, *owns), of_main, of_term, strict=True)):
        if g_main is None and g_term is None:
            continue
        g_main = torch.zeros_like(parameter) if g_main is None else g_main
        g_term = torch.zeros_like(parameter) if g_term is None else g_term
        gradient = method.combine(g_main, g_term, batch) if i < len(students) else g_main + g_term
        if gradient.stride() != parameter.stride():  # fused optimisers take both for laid out alike
            gradient = torch.empty_like(parameter).copy_(gradient)
        parameter.grad = gradient


def _exact(value: Tensor) -> Tensor:
    return value if value.dtype == torch.float64 else value.float()
