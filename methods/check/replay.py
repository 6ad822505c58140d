"""Whether a GPU may record a method's step once and replay it."""

from dataclasses import replace

import torch
from torch import Tensor

from methods.base import SEEDS
from methods.check.standins import CheckError, NotApplicableError, Subject, make_step
from methods.check.tape import Tape, UnreplayableError

STEPS = 4
"""Of which the first is made as it is written, the second is recorded, and the others are replayed."""
CHANGING = ("labels", "index", "epoch", "progress", "images", "second_view", "seed")


def capturable(subject: Subject) -> str:
    """Steps of the main schedule that are recorded and replayed, with other batches put in place, give the same bits as
    steps that are made as they are written."""
    tape = Tape()
    try:
        replayed = _trained(subject, tape)
    except UnreplayableError as why:
        raise NotApplicableError(f"{why}: on a GPU every step is made as it is written, which takes longer") from None
    written = _trained(subject, None)
    for name, value in written.items():
        if not torch.equal(value, replayed[name]):
            remedy = (
                "what changes from step to step has to be in tensors: batch.epoch, or a buffer that is written into"
            )
            raise CheckError(f"replayed, a step gives another {name} than as it is written", remedy)
    return f"{len(tape.calls)} kernels a step, same bits when they are replayed"


def _trained(subject: Subject, tape: Tape | None) -> dict[str, Tensor]:
    """What a few steps leave of the student and the method."""
    method, place = subject.build(), replace(subject.batch(), seed=torch.zeros((), dtype=torch.int64))
    student = place.student
    assert isinstance(student, torch.nn.Module)
    for step in range(STEPS):
        here = subject.batch(step)
        here = replace(here, seed=torch.tensor(here.generator.initial_seed() % SEEDS))
        for name in CHANGING:
            getattr(place, name).copy_(getattr(here, name))
        place.generator.set_state(here.generator.get_state())
        if tape is None or step == 0:
            make_step(method, place)
        elif step == 1:
            tape.record(lambda: make_step(method, place))
        else:
            tape.replay()
    states = {"student": student.state_dict(), "method": method.state_dict()}
    return {f"{whose} {name}": value for whose, state in states.items() for name, value in state.items()}
