"""One run alone on noise, its steps counted, or made again and again for a clock or a meter."""

import copy
import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

import methods
from benchmark.cost.energy import MEASURED_SECONDS, EnergyMeter
from benchmark.data import Images, TrainingSet
from benchmark.ground.errors import UsageError
from benchmark.models import create
from benchmark.spec import Recipe, Run
from benchmark.training.count import flop_counter
from benchmark.training.member import Member, build_task
from benchmark.training.step import step, step_inputs, supply
from benchmark.training.teacher import Frozen
from methods.base import Batch, Outputs
from methods.check.memory import Allocations

STANDSTILL = 1e-20
"""A learning rate at which weights stay: at the run's own, training for seconds on one batch of noise would diverge."""

BATCHES = 4
"""How many batches of noise there are to train on."""


class IsolatedRun:
    """One run alone, without its teacher's forward."""

    def __init__(self, run: Run, data: TrainingSet, classes: int, teacher: Frozen | None) -> None:
        """Raises NotApplicableError if the method cannot serve the pair."""
        network = create(run.student, run.recipe, classes, run.seed, pretrained=False).to(data.device)
        task = build_task(run, network, teacher.network if teacher else None, data)
        if reason := methods.unsupported(run.method, task, run.options):
            raise NotApplicableError(reason)
        self.run, self.data = run, data
        self.member = Member(run, task, network, data.device, data.steps)
        self.teacher = teacher if self.member.reads else None
        self.member.enter(0)
        self.phases: dict[int, int] = {}  # epochs of each, by its first step
        start = self.member.first_step
        for phase in self.member.method.phases:
            if phase.epochs:
                self.phases[start] = phase.epochs
            start += phase.epochs * data.steps

    def batch(self, step: int) -> tuple[Tensor, Batch]:
        """Images [B, C, H, W] of noise, and what else a method is told of them."""
        data, views, place = self.data, self.data.views(self.run.seed, 0), step % self.data.steps
        now = step_inputs([self.member], data, views, 0, place)
        return now.images, now.batch(self.member, self.teacher)

    def count(self) -> tuple[int, int]:
        """FLOPs and most bytes of a step of the main schedule, the teacher's forward included; warms the step up."""
        member, device = self.member, self.data.device
        images, batch = self.batch(0)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        with flop_counter() as flops, Allocations() as made:
            member.backward(images, batch, supply([member], self.teacher, images))
        trained = [p for group in member.optimizer.param_groups for p in group["params"] if p.grad is not None]
        member.optimizer.step()
        if device.type == "cuda":
            return flops.get_total_flops(), torch.cuda.max_memory_allocated(device)
        momentum = sum(p.nbytes for p in trained) if self.run.recipe.momentum else 0
        networks = (member.network, member.method, *([self.teacher.network] if self.teacher else []))
        kept = images.nbytes + momentum + sum(map(module_bytes, networks))
        return flops.get_total_flops(), kept + made.peak

    def works(self, supplied: Outputs | None) -> Iterator[tuple[int, Callable[[], object]]]:
        """A step of the main schedule and of each phase, by its first number, on batch 0: the same at every call."""
        self._stand_still()
        images, batch = self.batch(0)

        def again(member: Member, start: int) -> None:
            member.step(images, batch, supplied)
            member.next_step = start

        for start in (0, *self.phases):
            member = copy.copy(self.member)  # with an optimiser of its own
            member.enter(start)
            yield start, partial(again, member, start)

    def _stand_still(self) -> None:
        recipe = self.run.recipe.model_copy(update={"learning_rate": STANDSTILL})
        self.member.run = self.run.model_copy(update={"recipe": recipe})

    def joules(self, meter: EnergyMeter, seconds: float) -> float | None:
        """Of a step of the main schedule, which takes `seconds`, the teacher's forward included."""
        self._stand_still()
        alone = partial(step, [self.member], self.teacher, self.data, self.data.views(self.run.seed, 0), 0, 0)
        return meter.joules(alone, math.ceil(MEASURED_SECONDS / seconds))


class NotApplicableError(UsageError):
    """Why a method cannot serve a pair."""


def module_bytes(module: nn.Module) -> int:
    """Of parameters and buffers."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def noise(recipe: Recipe, classes: int, device: torch.device, batches: int = BATCHES) -> TrainingSet:
    """Some batches of training images, as many of each class as may be."""
    generator = torch.Generator().manual_seed(0)
    count, size = batches * recipe.batch_size, recipe.input_size
    pixels = torch.randint(256, (count, size, size, recipe.channels), generator=generator, dtype=torch.uint8)
    return TrainingSet(Images(pixels, torch.arange(count) % classes), recipe, device)
