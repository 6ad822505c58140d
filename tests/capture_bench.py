"""Cohorts of every method, as briefly trained as may be, to be recorded or not."""

from collections.abc import Callable, Sequence
from typing import Any

import tiny
import torch

import methods
from benchmark.data import Resident, TrainingSet, load
from benchmark.models import create
from benchmark.spec import Architecture, Run
from benchmark.training.loop import Callbacks, configure_torch, train
from benchmark.training.member import Member, build_student, build_task
from benchmark.training.teacher import Frozen
from methods.check.tape import Tape

RECIPE: dict[str, Any] = {"epochs": 3, "schedule": "step", "milestones": (1, 2), "flip": True}
"""Another rate in every epoch; of the three batches of one the last is shorter. The first batch of each size is trained
on as it is written, the second recorded, and from the next epoch, or the one after, replayed."""
OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {"epochs": 1} for name in ("ab", "fitnet_two_stage", "fsp")},
    "ft": {"epochs": 1, "factors": "flat"},  # the last map has one position
    **{name: {"warmup": 180.0} for name in ("dkd", "reviewkd")},  # to the last epoch
    **{name: {"negatives": 16} for name in ("crd", "hkd")},
    "mhgd": {"epochs": 1, "heads": 2},
    "rrd": {"queue": 64},
}
"""Methods that learn, remember or warm up, as briefly as may be."""
EQUAL = tiny.resnet("equal", 8, 8, 16, 16)
"""A student of its teacher's widths, for the one method that wants it."""
OWN = methods.names(installed=False)


class Written(Tape):
    """Never recorded."""

    tries = 10**9


def run_of(method: str, student: Architecture | None = None, **recipe: Any) -> Run:
    student = student or (EQUAL if method == "fsp" else tiny.RESNET)
    return tiny.run(method, student, options={method: OPTIONS.get(method, {})}, **RECIPE | recipe)


class Bench:
    """An untrained teacher, data, and runs in training."""

    def __init__(self, device: torch.device = tiny.CPU, **recipe: Any) -> None:
        self.changes, self.device = recipe, device
        self.recipe = run_of("student", **recipe).recipe
        configure_torch(self.recipe, device)
        splits = load(tiny.DATA)
        self.data = TrainingSet(splits.train, self.recipe, device)
        self.validation = Resident(splits.validation, self.recipe, device)
        self.teacher = Frozen(create(tiny.TEACHER.student, self.recipe, 10, seed=9), device)

    def member(self, method: str, student: Architecture | None = None) -> Member:
        run = run_of(method, student, **self.changes)
        network = build_student(run, 10, self.device)
        return Member(run, build_task(run, network, self.teacher.network, self.data), network, self.device, tiny.STEPS)

    def train(self, members: Sequence[Member], stop: Callable[[], bool] = lambda: False) -> None:
        train(members, self.teacher, self.data, self.validation, Callbacks(stop=stop))
