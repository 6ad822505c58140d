"""Isolated cost of training steps and of inference on this device: each method of a pair alone, round by round."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch

from benchmark.cost.clock import Clock, interleaved
from benchmark.cost.energy import EnergyMeter
from benchmark.cost.isolated import IsolatedRun, NotApplicableError, noise
from benchmark.data import TrainingSet
from benchmark.plan.forecast import step_key
from benchmark.records.measurements import Measurement
from benchmark.spec import Run, digest
from benchmark.training.count import deployed_macs, deployed_parameters
from benchmark.training.device import TAPS, inference_in
from benchmark.training.loop import configure_torch
from benchmark.training.member import Member
from benchmark.training.teacher import Frozen
from benchmark.training.untrained import untrained

INFERENCE_BATCH = 128


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
