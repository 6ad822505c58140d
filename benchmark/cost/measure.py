"""Isolated cost of training steps and of inference on this device: each method of a pair alone, round by round."""

import math
import time
from collections.abc import Sequence
from functools import partial
from statistics import median
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

import methods
from benchmark.cost.clock import Clock
from benchmark.cost.energy import MEASURED_SECONDS, EnergyMeter
from benchmark.data import Images, TrainingSet
from benchmark.models import create
from benchmark.plan.forecast import step_key
from benchmark.records.measurements import Measurement
from benchmark.spec import Recipe, Run, digest
from benchmark.training.count import deployed_macs, deployed_parameters, flop_counter
from benchmark.training.device import inference_in
from benchmark.training.loop import configure_torch, step, supply
from benchmark.training.member import Member, build_task
from benchmark.training.teacher import Frozen
from methods.base import Batch, Outputs
from methods.check.memory import Allocations

T = TypeVar("T")

STANDSTILL = 1e-30
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
        self._starts = self._phase_starts()
        self.member.enter(0)
        self.steps: list[float] = []
        self.phase_steps: list[float] = []

    def _phase_starts(self) -> list[tuple[int, int]]:
        """The first step of every phase, and its epochs."""
        found, start = [], self.member.first_step
        for phase in self.member.method.phases:
            found.append((start, phase.epochs))
            start += phase.epochs * self.data.steps
        return [(start, epochs) for start, epochs in found if epochs]

    @property
    def phase_epochs(self) -> int:
        return sum(epochs for _, epochs in self._starts)

    def batch(self, step: int) -> tuple[Tensor, Batch]:
        images, labels, index = self.data.training_batch(self.data.views(self.run.seed, 0), step % self.data.steps)
        progress = torch.zeros((), device=self.data.device)
        return images, Batch(labels, index, 0, progress, self.member.generator)

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

    def measure(self, clock: Clock, number: int, supplied: Outputs | None) -> None:
        """One round: steps of the main schedule, then of each phase, on batch `number`."""
        images, batch = self.batch(number)
        member = self.member
        self.steps.append(clock.seconds(lambda: member.step(images, batch, supplied))[0])
        seconds = 0.0
        for start, epochs in self._starts:
            member.enter(start)

            def step(start: int = start) -> None:
                member.step(images, batch, supplied)
                member.next_step = start

            seconds += epochs * clock.seconds(step)[0]
        if self._starts:
            self.phase_steps.append(seconds / self.phase_epochs)
            member.enter(0)

    def joules(self, meter: EnergyMeter, seconds: float) -> float | None:
        """Of a step of the main schedule, which takes `seconds`, the teacher's forward included."""
        recipe = self.run.recipe.model_copy(update={"learning_rate": STANDSTILL})
        self.member.run = self.run.model_copy(update={"recipe": recipe})
        views = self.data.views(self.run.seed, 0)
        alone = partial(step, [self.member], self.teacher, self.data, views, 0, 0)
        return meter.joules(alone, math.ceil(MEASURED_SECONDS / seconds))


class NotApplicableError(ValueError):
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
        batches, supplies = self._rounds(isolated, data, teacher)
        waited = 1 - (time.process_time() - start[1]) / (time.perf_counter() - start[0])
        busy = round(max(0.0, waited), 3) if self.clock.processor else None
        measured = [
            self._measurement(alone, *count, batches, supplies if alone.teacher else [0.0])
            for alone, count in zip(isolated, counts, strict=True)
        ]
        return [each.model_copy(update={"busy": busy}) for each in measured], reasons

    def _rounds(
        self, isolated: Sequence[IsolatedRun], data: TrainingSet, teacher: Frozen | None
    ) -> tuple[list[float], list[float]]:
        """Interleaved, so that a slow moment of the machine meets all alike; seconds of batches and of the teacher."""
        batches, supplies = [], []
        reading = [alone for alone in isolated if alone.teacher]
        for number in range(self.rounds):
            views = data.views(0, 0)
            gathered, (images, _, _) = self.clock.seconds(partial(data.training_batch, views, number % data.steps))
            batches.append(gathered)
            supplied = None
            if teacher and reading:
                seconds, supplied = self.clock.seconds(partial(teacher.outputs, images, data.recipe.teacher_precision))
                supplies.append(seconds)
            for alone in isolated:
                alone.measure(self.clock, number, supplied if alone.teacher else None)
        return batches, supplies

    def _measurement(
        self, alone: IsolatedRun, flops: int, memory: int, batches: Sequence[float], supplies: Sequence[float]
    ) -> Measurement:
        run, member = alone.run, alone.member
        batch, supply = median(batches), median(supplies)
        step = batch + supply + median(alone.steps)
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
            teacher_seconds=supply,
            images_per_second=run.recipe.batch_size / step,
            phase_epochs=alone.phase_epochs,
            phase_step_seconds=batch + supply + median(alone.phase_steps) if alone.phase_steps else 0.0,
            step_flops=flops,
            step_joules=alone.joules(self.energy, step),
            memory_bytes=memory,
            parameters=deployed_parameters(member),
            macs=deployed_macs(member, alone.data.batch(0, 1)[0]),
            latency_seconds=latency,
            inference_batch_size=INFERENCE_BATCH,
            inference_images_per_second=rate,
            rounds=self.rounds,
            busy=None,
        )

    def _inference_of(self, member: Member) -> tuple[float, float]:
        """Seconds for one image, and images per second in a large batch; one measurement for all methods that deploy
        the student as it is."""
        own = member.run.method if member.method.deployed() else None
        student = member.run.student.model_dump(mode="json")
        key = digest([student, deployed_parameters(member), member.run.recipe.identity(), own])
        if key not in self._inference:
            size = (member.run.recipe.channels, member.run.recipe.input_size, member.run.recipe.input_size)
            self._inference[key] = (
                self._infer(member, 1, size),
                INFERENCE_BATCH / self._infer(member, INFERENCE_BATCH, size),
            )
        return self._inference[key]

    def _infer(self, member: Member, count: int, size: tuple[int, int, int]) -> float:
        layout = torch.channels_last if member.run.recipe.channels_last else torch.contiguous_format
        images = torch.randn(count, *size, device=self.device).to(memory_format=layout)
        member.network.eval()
        member.method.eval()
        with inference_in(self.device, member.run.recipe.precision):
            member.method.predict(member.network(images))
            seconds = median(
                self.clock.seconds(lambda: member.method.predict(member.network(images)))[0] for _ in range(self.rounds)
            )
        member.network.train()
        member.method.train()
        return seconds


def noise(recipe: Recipe, classes: int, device: torch.device) -> TrainingSet:
    """A few batches of training images, as many of each class as may be."""
    generator = torch.Generator().manual_seed(0)
    count, size = BATCHES * recipe.batch_size, recipe.input_size
    pixels = torch.randint(256, (count, size, size, recipe.channels), generator=generator, dtype=torch.uint8)
    return TrainingSet(Images(pixels, torch.arange(count) % classes), recipe, device)


def untrained(run: Run, data: TrainingSet, classes: int) -> Frozen:
    """A teacher with random weights, normalised for these images, so that nothing grows out of range."""
    network = create(run.student, run.recipe, classes, run.seed, pretrained=False).to(data.device)
    update_bn([data.batch(0, data.recipe.batch_size)[0]], network.model)
    return Frozen(network, data.device)
