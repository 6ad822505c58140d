"""Checks of the mathematics: invariances, degenerate batches, rounding and memory."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

import methods
from methods.base import Outputs
from methods.check.memory import Allocations
from methods.check.standins import (
    BATCH,
    NARROW,
    NARROW_MAPS,
    CheckError,
    NotApplicableError,
    Subject,
    leaves,
    losses,
    named,
    task,
    total,
    twins,
    where,
)

PERMUTED = 1e-4
"""Relative change of the loss that another order of the batch may make."""
ROUNDED = 0.02
"""The same for inputs rounded to bfloat16."""
STEEP = 1e4
"""How much larger gradients may be on a degenerate batch than on an ordinary one."""
DRAWS = 20
"""Over how many draws a random loss is averaged."""

Change = Callable[[Tensor], Tensor]
PairChange = Callable[[Outputs, Outputs], tuple[Outputs, Outputs]]


def student_is_teacher(subject: Subject) -> str:
    """Zero for a student that gives what the teacher gives."""
    teacher = replace(subject, pair=twins(subject.pair))
    if reason := methods.unsupported(subject.name, task(teacher.pair)):
        raise NotApplicableError(reason)
    outputs = teacher.outputs()[1]
    here = teacher.batch()
    value = teacher.build()(outputs, outputs, replace(here, student=here.teacher)).abs()
    usual = subject.build()(*subject.outputs(), subject.batch()).abs()
    vanishes = bool(value <= 1e-4 * usual)
    claims = [method.vanishes_at_teacher for method in methods.classes(subject.name)]
    if not all(claims):
        holds = vanishes and usual > 0 and len(claims) == 1  # a term of a composition may be 0 for another reason
        hint = ", though it holds: vanishes_at_teacher = True would claim it" if holds else ""
        raise NotApplicableError("not claimed" + hint)
    if not vanishes:
        remedy = "are student and teacher treated alike? If it should not vanish: vanishes_at_teacher = False"
        raise CheckError(f"the loss is {value:.3g} when the student equals the teacher", remedy)
    return f"{value:.1g} when the student equals the teacher"


def permutation(subject: Subject) -> str:
    """The order of the batch does not matter; for losses that draw random numbers, on average."""
    student, teacher = subject.outputs()
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(7))
    here = subject.batch()
    seen = "same loss in any order"
    for label, _ in losses(subject.build()):

        def value(permuted: bool, seed: int, label: str = label) -> tuple[Tensor, bool]:
            rows = order if permuted else torch.arange(BATCH)
            moved = {name: getattr(here, name)[rows] for name in ("labels", "index", "images", "second_view")}
            fresh = replace(subject.batch(seed=seed), **moved)
            before = fresh.generator.get_state()
            loss = dict(losses(subject.build()))[label]
            given = loss(student.map(lambda x: x[rows]), teacher.map(lambda x: x[rows]), fresh)
            return given.detach(), not torch.equal(before, fresh.generator.get_state())

        (plain, drew), (permuted, _) = value(False, 0), value(True, 0)
        if torch.allclose(plain, permuted, rtol=PERMUTED, atol=1e-7):
            continue
        if drew:
            many = torch.stack([torch.stack([value(p, seed)[0] for seed in range(DRAWS)]) for p in (False, True)])
            error = (many.var(1).sum() / DRAWS).sqrt()
            if (many[0].mean() - many[1].mean()).abs() < 5 * error:
                seen = "same loss in any order, on average over its random draws"
                continue
        remedy = "treat samples alike, whatever their place; where an order is needed, draw it from batch.generator"
        raise CheckError(f"the loss{where(label)} goes from {plain:.6g} to {permuted:.6g} in another order", remedy)
    return seen


def degenerate_batches(subject: Subject) -> str:
    """Finite values and gradients of a sane size where rows coincide or vanish, and in batches of one and two."""
    usual = {label: steepness for label, (_, steepness) in _tried(subject, *subject.outputs()).items()}
    for what, size, change in _degenerate():
        for label, (value, steepness) in _tried(subject, *change(*subject.outputs(size=size))).items():
            remedy = "guard the division or root at 0: methods.relations.inverse_root, normalize, distances"
            if not torch.isfinite(value):
                remedy = "a mean of nothing? " + remedy if size < BATCH else remedy
                raise CheckError(f"the loss{where(label)} is {value:g} for {what}", remedy)
            if not steepness < STEEP * max(usual[label], 1e-6):
                size_of = (
                    f"up to {steepness:.2g} (ordinarily {usual[label]:.2g})" if steepness < np.inf else "not finite"
                )
                seen = f"gradients{where(label)} are {size_of} for {what}"
                raise CheckError(seen, remedy + "; a tiny epsilon is not enough")
    return "finite for equal and zero rows, one and two rows"


def _tried(subject: Subject, student: Outputs, teacher: Outputs) -> dict[str, tuple[Tensor, float]]:
    """Per loss its value and the largest entry of the student's gradient, infinite where any gradient is not finite.

    Batch statistics, which need variety, are not taken.
    """
    size, method = len(student.logits), subject.build()
    for module in method.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    tried = {}
    for label, loss in losses(method, partial(total, method)):
        method.zero_grad()
        value = loss(inputs := leaves(student), teacher, subject.batch(size=size))
        value.backward()
        gradients = [x.grad for x in named(inputs).values() if x.grad is not None]
        finite = all(
            torch.isfinite(g).all() for g in (*gradients, *(p.grad for p in method.parameters() if p.grad is not None))
        )
        largest = max((float(g.abs().max()) for g in gradients), default=0.0)
        tried[label] = value.detach(), largest if finite else float("inf")
    return tried


def _degenerate() -> Iterator[tuple[str, int, PairChange]]:
    """What is unusual, the size of the batch, and how to make it."""
    keep, first = torch.ones(BATCH), torch.arange(BATCH)
    keep[1] = 0
    first[1] = 0
    changes: dict[str, Change] = {
        "two equal rows": lambda x: x[first],
        "only equal rows": lambda x: x[torch.zeros_like(first)],
        "a zero row": lambda x: x * keep.view(-1, *[1] * (x.dim() - 1)),
        "only zero rows": torch.zeros_like,
    }
    for whose in ("student", "teacher", "student and teacher"):
        for what, change in changes.items():
            yield f"{what} of {whose}", BATCH, _with(change, whose)
    for size in (2, 1):
        yield f"a batch of {size}", size, _with(lambda x: x, "student")


def _with(change: Change, whose: str) -> PairChange:
    return lambda s, t: (s.map(change) if whose != "teacher" else s, t.map(change) if whose != "student" else t)


def rounding(subject: Subject) -> str:
    """Inputs that have been through bfloat16 give nearly the same loss, under autocast if the method asks for it."""
    method, other, exact = subject.build(), subject.build(), subject.outputs()
    half = method.precision == "autocast"
    rounded = [outputs.map(lambda x: x.bfloat16() if half else x.bfloat16().float()) for outputs in exact]
    most = 0.0
    for (label, loss), (_, again) in zip(losses(method), losses(other), strict=True):
        one = loss(exact[0], exact[1], subject.batch()).detach()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            two = again(rounded[0], rounded[1], subject.batch()).detach()
        change = float((two - one).abs() / one.abs().clamp_min(1e-12))
        if not change < ROUNDED:
            remedy = "subtract the batch's mean before differences, avoid large factors, exponents and powers"
            raise CheckError(f"the loss{where(label)} changes by {change:.0%} when inputs are rounded to bf16", remedy)
        most = max(most, change)
    return f"{most:.2g} off, relatively, for inputs rounded to bf16"


def memory(subject: Subject) -> str:
    """Between two batch sizes, forward and backward, memory grows as declared."""
    tried = (NARROW, twins(NARROW), NARROW_MAPS)
    served = [pair for pair in tried if methods.unsupported(subject.name, task(pair)) is None]
    if not served:
        raise NotApplicableError(str(methods.unsupported(subject.name, task(NARROW))))
    narrow = replace(subject, pair=served[0])
    sizes, peaks = (128, 256), []
    for size in sizes:
        method = narrow.build()
        (student, teacher), here = narrow.outputs(size=size), narrow.batch(size=size)
        student = leaves(student)
        peaks.append(0)
        for _, loss in losses(method):
            with Allocations() as made:
                value = loss(student, teacher, here)
                if value.requires_grad:
                    value.backward()
            peaks[-1] = max(peaks[-1], made.peak)
    order = float(np.log2(peaks[1] / max(peaks[0], 1))) if peaks[1] else 0.0
    declared = max(method.memory_order for method in methods.classes(subject.name))
    seen = (
        f"{peaks[0] / 2**20:.2g} and {peaks[1] / 2**20:.2g} MiB for batches of {sizes[0]} and {sizes[1]}: B^{order:.1f}"
    )
    if order > declared + 0.5:
        remedy = f"go in blocks, or by Gram matrices instead of [B, B, D]; if it must be: memory_order = {round(order)}"
        raise CheckError(f"{seen}, declared is B^{declared}", remedy)
    return f"{seen}, declared B^{declared}"
