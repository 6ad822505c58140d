"""Isolated cost of training steps and of inference on this device: each method of a pair alone, round by round."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from torch.utils.flop_counter import FlopCounterMode

import methods
from benchmark.cost.clock import Clock, interleaved
from benchmark.cost.energy import MEASURED_SECONDS, EnergyMeter
from benchmark.data import Images, TrainingSet
from benchmark.errors import UsageError
from benchmark.models import create
from benchmark.plan.forecast import step_key
from benchmark.records.measurements import Measurement
from benchmark.spec import Recipe, Run, digest
from benchmark.training.count import deployed_macs, deployed_parameters
from benchmark.training.device import TAPS, inference_in
from benchmark.training.loop import configure_torch, second_view, step, supply
from benchmark.training.member import Member, build_task
from benchmark.training.teacher import Frozen
from methods.base import Batch, Outputs
from methods.check.memory import Allocations

STANDSTILL = 1e-20
"""A learning rate at which weights stay: at the run's own, training for seconds on one batch of noise would diverge."""

BATCHES = 4
"""How many batches of noise there are to train on."""
INFERENCE_BATCH = 128


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
        data, views, place = self.data, self.data.views(self.run.seed, 0), step % self.data.steps
        images, labels, index = data.training_batch(views, place)
        batch = Batch(labels, index, 0, torch.zeros((), device=data.device), self.member.generator)
        return images, self.member.shown(batch, images, second_view([self.member], data, views, place), self.teacher)

    def count(self) -> tuple[int, int]:
        """FLOPs and most bytes of a step of the main schedule, the teacher's forward included; warms the step up."""
        member, device = self.member, self.data.device
        images, batch = self.batch(0)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        with FlopCounterMode(display=False) as flops, Allocations() as made:
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
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


class Measurer:
    """Measures the runs of a grid, a teacher and pair at a time; what has been measured is not measured again."""

    def __init__(self, device: torch.device, rounds: int) -> None:
        self.device, self.rounds = device, rounds
        self.clock = Clock(device)
        self.energy = EnergyMeter(device)
        self._inference: dict[str, tuple[float, float]] = {}

    def measure(self, runs: Sequence[Run], classes: int) -> tuple[list[Measurement], dict[str, str]]:
        """Runs of one cohort that share a pair, of different kinds; and, by label, why a method cannot serve it.

        Images are noise and networks untrained, which changes nothing of their cost.
        """
        first = runs[0]
        configure_torch(first.recipe, self.device)
        data = noise(first.recipe, classes, self.device)
        teacher = untrained(first.teacher, data, classes) if first.teacher else None
        isolated, reasons = [], {}
        for run in runs:
            try:
                isolated.append(IsolatedRun(run, data, classes, teacher))
            except NotApplicableError as reason:
                reasons[run.label] = str(reason)
        counts = [alone.count() for alone in isolated]
        start = time.perf_counter(), time.process_time()
        seconds = interleaved(_works(isolated, data, teacher), self.rounds, self.clock)
        waited = 1 - (time.process_time() - start[1]) / (time.perf_counter() - start[0])
        busy = round(max(0.0, waited), 3) if self.clock.processor else None
        measured = [
            self._measurement(alone, *count, seconds, busy) for alone, count in zip(isolated, counts, strict=True)
        ]
        return measured, reasons

    def _measurement(
        self, alone: IsolatedRun, flops: int, memory: int, seconds: Mapping[object, float], busy: float | None
    ) -> Measurement:
        run, member, phase_epochs = alone.run, alone.member, sum(alone.phases.values())
        teacher = seconds["teacher"] if alone.teacher else 0.0
        around = seconds["batch"] + teacher
        step = around + seconds[alone, 0]
        phases = sum(epochs * (around + seconds[alone, start]) for start, epochs in alone.phases.items())
        latency, rate = self._inference_of(member)
        return Measurement(
            dataset=run.dataset.name,
            pair=run.pair,
            teacher=run.teacher.student.name if run.teacher else "",
            student=run.student.name,
            method=run.label,
            kind=step_key(run),
            batch_size=run.recipe.batch_size,
            step_seconds=step,
            teacher_seconds=teacher,
            images_per_second=run.recipe.batch_size / step,
            phase_epochs=phase_epochs,
            phase_step_seconds=phases / phase_epochs if phase_epochs else 0.0,
            step_flops=flops,
            step_joules=alone.joules(self.energy, step),
            memory_bytes=memory,
            parameters=deployed_parameters(member),
            macs=deployed_macs(member, alone.data.batch(0, 1)[0]),
            latency_seconds=latency,
            inference_batch_size=INFERENCE_BATCH,
            inference_images_per_second=rate,
            rounds=self.rounds,
            busy=busy,
        )

    def _inference_of(self, member: Member) -> tuple[float, float]:
        """Seconds for one image, and images per second in a large batch; one measurement for all methods that deploy
        the student as it is."""
        own = member.run.method if member.method.deployed() else None
        student = member.run.student.model_dump(mode="json")
        key = digest([student, deployed_parameters(member), member.run.recipe.identity(), own])
        if key not in self._inference:
            self._inference[key] = self._infer(member)
        return self._inference[key]

    def _infer(self, member: Member) -> tuple[float, float]:
        recipe = member.run.recipe
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        size = (recipe.channels, recipe.input_size, recipe.input_size)
        member.network.eval()
        member.method.eval()
        works = {}
        for count in (1, INFERENCE_BATCH):
            images = torch.randn(count, *size, device=self.device).to(memory_format=layout)
            works[count] = partial(lambda images: member.method.predict(member.network(images)), images)
        with inference_in(self.device, recipe.precision):
            seconds = interleaved(works, self.rounds, self.clock)
        member.network.train()
        member.method.train()
        return seconds[1], INFERENCE_BATCH / seconds[INFERENCE_BATCH]


def _works(
    isolated: Sequence[IsolatedRun], data: TrainingSet, teacher: Frozen | None
) -> dict[object, Callable[[], object]]:
    """Making a batch, the teacher's forward if a method reads it, and every run's own steps, by the run and
    the first step of its phase."""
    views = data.views(0, 0)
    works: dict[object, Callable[[], object]] = {"batch": partial(data.training_batch, views, 0)}
    supplied = None
    reading = [alone for alone in isolated if alone.teacher]
    if teacher and reading:
        images = data.training_batch(views, 0)[0]
        reads = frozenset(TAPS).union(*(alone.member.reads for alone in reading))
        works["teacher"] = forward = partial(teacher.outputs, images, data.recipe.teacher_precision, reads)
        supplied = forward()
    for alone in isolated:
        works |= {(alone, start): work for start, work in alone.works(supplied if alone.teacher else None)}
    return works


def noise(recipe: Recipe, classes: int, device: torch.device, batches: int = BATCHES) -> TrainingSet:
    """Some batches of training images, as many of each class as may be."""
    generator = torch.Generator().manual_seed(0)
    count, size = batches * recipe.batch_size, recipe.input_size
    pixels = torch.randint(256, (count, size, size, recipe.channels), generator=generator, dtype=torch.uint8)
    return TrainingSet(Images(pixels, torch.arange(count) % classes), recipe, device)


def untrained(run: Run, data: TrainingSet, classes: int) -> Frozen:
    """A teacher with random weights, normalised for these images, so that nothing grows out of range."""
    network = create(run.student, run.recipe, classes, run.seed, pretrained=False).to(data.device)
    update_bn([data.batch(0, data.recipe.batch_size)[0]], network.model)
    return Frozen(network, data.device)
