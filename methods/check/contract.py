"""Checks of the contract: what a method gives, reads, learns, draws, keeps and leaves alone."""

import inspect
import io
import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

import methods
from methods.base import OF_BATCH, Batch, Method, Outputs, Scalar, Tap
from methods.check.places import raised_in
from methods.check.standins import (
    BATCH,
    CLASSES,
    CheckError,
    NotApplicableError,
    Subject,
    leaves,
    losses,
    named,
    networks,
    steps,
    total,
    unusual_tasks,
    where,
)
from methods.objective import objective

CITATION = re.compile(r"arXiv:\s?(\d{4}\.\d{4,5}|[a-z-]+/\d{7})|doi:\s?10\.|\b[A-Z][\w'’.-]+,? (19|20)\d\d\b", re.ASCII)
"""An arXiv id, a DOI, or a venue and a year."""
PLAIN = [plain.__name__ for plain in get_args(Scalar)]
"""Types of options, by name: annotations may be text."""


def documentation(name: str) -> str:
    """The class says in its docstring where the method comes from, and in text what it is called."""
    found = []
    for method in methods.classes(name):
        if not isinstance(method.label, str | Mapping):
            remedy = 'label = "My method", or several by registered name: label = {"mine": "Mine", "other": "Other"}'
            raise CheckError(f"label is {method.label!r}", remedy)
        cited = CITATION.search(method.__doc__ or "")
        if cited is None and (method.reads or not method.__doc__):
            lacking = "no citation in the docstring" if method.__doc__ else "no docstring"
            remedy = 'first line: """Title (Authors, Venue Year, arXiv:0000.00000).""", then the formula'
            raise CheckError(f"{method.__name__} has {lacking}", remedy)
        found.append(cited[0] if cited else "transfers nothing, cites nothing")
    return ", ".join(found)


def options(name: str) -> str:
    """Keyword-only arguments of the constructor, with plain defaults from the signature or from `register`."""
    for part in methods.components(name):
        entry = methods.entry(part)
        signature = inspect.signature(entry.method.__init__).parameters
        parameters = list(signature.values())[2:]
        loose = [p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        if loose:
            remedy = "write (self, task: Task, *, option: float = 1.0)"
            raise CheckError(f"{', '.join(loose)} can be given by position", remedy)
        if surplus := sorted(set(entry.defaults) - {p.name for p in parameters}):
            raise CheckError(f"registered, but no argument: {', '.join(surplus)}", "name them in the constructor")
        values = methods.complete_options(part)[part]
        if surplus := sorted(entry.method.added - values.keys()):
            raise CheckError(f"added, but no option: {', '.join(surplus)}", "name options of the constructor")
        for option, value in values.items():
            if value is inspect.Parameter.empty:
                remedy = f'give it one in the signature, or @register("{part}", {option}=...)'
                raise CheckError(f"{option} has no default", remedy)
            if not isinstance(value, Scalar):
                remedy = "defaults are a bool, int, float or str, so that a grid file and a run's id can hold them"
                raise CheckError(f"the default of {option} is {value!r}", remedy)
            wanted = inspect.formatannotation(signature[option].annotation)
            if wanted in PLAIN and wanted != type(value).__name__:
                remedy = "values have to be of the default's type: a grid could give no other"
                raise CheckError(f"{option} is a {wanted} by its annotation, its default is {value!r}", remedy)
    resolved = [f"{key}={value}" for values in methods.complete_options(name).values() for key, value in values.items()]
    return ", ".join(resolved) or "none"


def constructor(subject: Subject) -> str:
    """What a constructor refuses fails a run before it begins, unless `unsupported` says so: then it is tabled."""
    tried = unusual_tasks(subject.pair)
    for case, task in tried.items():
        if methods.unsupported(subject.name, task) is None:
            try:
                methods.load(subject.name, task)
            except Exception as error:
                remedy = f"build it, or give the reason in `unsupported`; raised in {raised_in(error)}"
                raise CheckError(f"{type(error).__name__} where {case}: {error}", remedy) from error
    return f"builds where {', '.join(tried)}"


def scalar(subject: Subject) -> str:
    """A finite scalar, and logits for every class."""
    method, (student, teacher) = subject.build(), subject.outputs()
    seen = []
    for label, loss in losses(method):
        value = loss(leaves(student), teacher, subject.batch())
        if not isinstance(value, Tensor) or value.dim() != 0:
            shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise CheckError(f"the loss{where(label)} is {shape}, not a scalar", "reduce it: .mean() or .sum()")
        if not torch.isfinite(value):
            remedy = "look for a logarithm, root or division at 0; methods.relations has safe ones"
            raise CheckError(f"the loss{where(label)} is {value:g} on an ordinary batch", remedy)
        seen.append(f"{label} {value:.4g}" if method.phases else f"{value:.4g}")
    logits = method.predict(student)
    if logits.shape != (BATCH, CLASSES):
        raise CheckError(f"predict gives {list(logits.shape)}", f"return logits [B, K], here [{BATCH}, {CLASSES}]")
    return ", ".join(seen)


class _Watched:
    """Knows which of its taps were looked at."""

    def __getattribute__(self, field: str) -> Any:
        if field in get_args(Tap):
            object.__getattribute__(self, "__dict__").setdefault("looked_at", set()).add(field)
        return object.__getattribute__(self, field)


class _WatchedOutputs(_Watched, Outputs):
    pass


class _WatchedBatch(_Watched, Batch):
    pass


def reads(subject: Subject) -> str:
    """What is declared is what is used. The student's own logits are always there."""
    method, declared = subject.build(), methods.reads(subject.name)
    used, needed = set[str](), set[str]()
    for _, loss in losses(method, partial(total, method)):
        student, teacher = (_WatchedOutputs(**vars(outputs)) for outputs in subject.outputs())
        loss(student, teacher, here := _WatchedBatch(**vars(subject.batch())))
        seen, taught = (vars(outputs).get("looked_at", set()) for outputs in (student, teacher))
        seen |= vars(here).get("looked_at", set())
        used |= seen | taught
        needed |= taught | (seen - {"logits"})
    if undeclared := sorted(needed - declared):
        listed = ", ".join(f'"{field}"' for field in sorted(needed))
        remedy = f"declare reads = frozenset({{{listed}}}); the trainer extracts nothing else"
        raise CheckError(f"uses {', '.join(undeclared)} without declaring it", remedy)
    used &= declared
    unused = sorted(declared - used)
    return (", ".join(sorted(used)) or "nothing") + (
        f" ({', '.join(unused)} declared, not used here)" if unused else ""
    )


def gradient(subject: Subject) -> str:
    """It reaches the student and every learnable part, and never the teacher."""
    method, to_student = subject.build(), set[str]()
    waiting = {name for name, parameter in method.named_parameters() if parameter.requires_grad}
    frozen = [parameter for parameter in method.parameters() if not parameter.requires_grad]
    learnable = len(waiting)
    for step in range(2):
        for label, loss in losses(method, partial(total, method)):
            student, teacher = (leaves(outputs) for outputs in subject.outputs(step))
            method.zero_grad()
            value = loss(student, teacher, subject.batch(step))
            if not value.requires_grad:
                raise CheckError(f"the loss{where(label)} has no gradient", "do not detach the student's outputs")
            value.backward()
            for name, x in named(teacher).items():
                if x.grad is not None and x.grad.any():
                    remedy = f"use teacher.{name}.detach()"
                    raise CheckError(f"a gradient reaches teacher.{name}{where(label)}", remedy)
            waiting -= {name for name, p in method.named_parameters() if p.grad is not None and p.grad.any()}
            if label == "main":
                term = method(student := leaves(student), teacher, subject.batch(step))
                if term.requires_grad:
                    term.backward()
            to_student |= {name for name, x in named(student).items() if x.grad is not None and x.grad.any()}
    if any(parameter.grad is not None for parameter in frozen):
        raise CheckError("a frozen parameter has a gradient", "leave requires_grad as the task hands it over")
    if waiting:
        remedy = "use it in a loss, register it as a buffer, or set requires_grad_(False)"
        raise CheckError(f"no gradient reaches {', '.join(sorted(waiting))}", remedy)
    if not to_student and methods.reads(subject.name):
        remedy = "the term has to depend on the student's outputs, not on copies made without gradient"
        raise CheckError("no gradient reaches the student", remedy)
    taps = ", ".join(sorted({name.partition("[")[0] for name in to_student})) or "nothing but the cross-entropy's"
    return f"student: {taps}" + (f"; all {learnable} own parameters" if learnable else "") + "; not the teacher"


def gradient_rule(subject: Subject) -> str:
    """Finite and of the parameter's shape, even where one of the two gradients is zero."""
    method = subject.build()
    if type(method).combine is Method.combine or objective(method, *subject.outputs(), subject.batch())[1] is None:
        raise NotApplicableError("gradients are summed")
    some, zero = torch.linspace(-1, 1, 12).view(3, 4), torch.zeros(3, 4)
    for main, term in ((some, some.flip(1)), (zero, some), (some, zero), (zero, zero)):
        combined = method.combine(main, term, subject.batch())
        if combined.shape != main.shape or not torch.isfinite(combined).all():
            what = (
                "two" if main.any() and term.any() else "a zero and another" if main.any() or term.any() else "two zero"
            )
            raise CheckError(
                f"combine does not give a finite gradient of the same shape for {what} gradients",
                "return one gradient of the parameter's shape; do not divide by a norm that may be 0",
            )
    return "finite, also where a gradient is zero"


def determinism(subject: Subject) -> str:
    """Randomness comes from batch.generator alone, and is the same for the same state of it."""

    def values(seed: int) -> list[Tensor]:
        method, (student, teacher) = subject.build(), subject.outputs()
        with _global_generators(seed):
            return [loss(student, teacher, subject.batch()) for _, loss in losses(method)]

    for one, two in zip(values(0), values(1), strict=True):
        if not torch.equal(one, two):
            remedy = "does it depend on the time, on hashes, on an order of sets or on memory that was never written?"
            raise CheckError(f"the loss is {one:.6g}, then {two:.6g}, for the same inputs", remedy)
    return "same bits for the same batch.generator"


@contextmanager
def _global_generators(seed: int) -> Iterator[None]:
    """Seed every global generator, raise if one of them is used, and leave all as they were."""
    states: dict[str, Callable[[], object]] = {
        "torch": lambda: torch.get_rng_state().tolist(),
        "numpy": lambda: [np.asarray(part).tolist() for part in np.random.get_state()],
        "random": random.getstate,
    }
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=()):
        for start in (torch.manual_seed, np.random.seed, random.seed):
            start(seed)
        before = {name: get() for name, get in states.items()}
        try:
            yield
            for name, get in states.items():
                if before[name] != get():
                    remedy = "give every draw generator=batch.generator; instead of dropout, draw a mask from it"
                    raise CheckError(f"a random number was drawn from the global generator of {name}", remedy)
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def inputs_untouched(subject: Subject) -> str:
    """Other methods of the cohort see the same tensors."""
    method = subject.build()
    for label, loss in losses(method, partial(total, method)):
        student, teacher = (leaves(outputs).map(lambda x: x * 1) for outputs in subject.outputs())
        here = subject.batch()
        given = {
            **{f"student.{name}": x for name, x in named(student).items()},
            **{f"teacher.{name}": x for name, x in named(teacher).items()},
            **{f"batch.{name}": getattr(here, name) for name in ("labels", "index", "progress", *sorted(OF_BATCH))},
        }
        before = {name: x.detach().clone() for name, x in given.items()}
        loss(student, teacher, here)
        for name, x in given.items():
            if not torch.equal(before[name], x.detach()):
                remedy = "work on a copy: x = x.clone(), or the form without the trailing underscore"
                raise CheckError(f"{name} is modified in place{where(label)}", remedy)
    return "left as they are"


def _other_modes(method: Method, other: Method) -> str | None:
    """The first submodule that is in training mode in one of two instances, and in evaluation mode in the other."""
    modes = {name: module.training for name, module in other.named_modules()}
    return next((name for name, module in method.named_modules() if modes[name] != module.training), None)


def state(subject: Subject) -> str:
    """Saved after two steps and reloaded into another instance, the method goes on as if nothing had happened."""
    method, other = subject.build(seed=0), subject.build(seed=1)
    student = networks(subject.pair)[0]
    steps(method, subject.pair, student, count=2)
    file = io.BytesIO()
    torch.save(method.state_dict(), file)
    file.seek(0)
    remedy = "keep what changes in register_buffer and what is learned in submodules, built whole in the constructor"
    try:
        other.load_state_dict(torch.load(file, weights_only=True))
    except RuntimeError as error:
        raise CheckError(f"the state cannot be reloaded: {error}".replace("\n\t", " "), remedy) from None
    both = zip(losses(method)[::-1], losses(other)[::-1], strict=True)  # a run that goes on after its phases
    for (label, went_on), (_, reloaded) in both:
        one, two = (loss(*subject.outputs(9), subject.batch(9)) for loss in (went_on, reloaded))
        if not torch.equal(one, two):
            seen = f"the loss{where(label)} is {one:.6g}, but {two:.6g} after a reload"
            if moved := _other_modes(method, other):
                mode = "evaluation" if method.training else "training"
                seen += f": {moved} was left in {mode} mode, which no checkpoint keeps"
                raise CheckError(seen, f"set the mode where it matters: self.{moved}.eval() in each forward")
            raise CheckError(seen, remedy)
    entries = len(method.state_dict())
    return f"{entries} tensors, same loss after a reload" if entries else "none"
