"""One run in training: a student, its method, its optimiser, and how far they have come."""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import methods
from benchmark.data import EvaluationData, TrainingData
from benchmark.models import Network, create
from benchmark.spec import Run, derive_seed
from benchmark.training.capture import GRAPHS
from benchmark.training.device import autocast, in_float32, seed_generators
from benchmark.training.evaluation import accuracy
from benchmark.training.schedule import learning_rate
from benchmark.training.teacher import Frozen
from methods.base import OF_BATCH, SEEDS, Batch, Method, Outputs, Phase, Task
from methods.objective import gradients, objective

VALIDATION_EPOCHS = 5
"""Every how many epochs, and after the last one, the validation split is looked at."""


class Member:
    """A run and its state.

    `next_step` counts optimiser steps: from 0 in the main schedule, below 0 in the phases before it. Each phase, and
    the main schedule, starts with a fresh optimiser.

    A step has three parts. `announce` writes whatever differs from the step before to where `compute` finds it, which
    works on tensors alone and may be recorded and replayed in its place; `passed` counts. `captured` says whether
    any was, None where none can be.
    """

    def __init__(self, run: Run, task: Task, network: Network, device: torch.device, steps: int) -> None:
        """steps: optimiser steps of one epoch."""
        self.run = run
        self.device = device
        self.reads = methods.reads(run.method, run.options)
        self.network = network.train()
        self.method = build_method(run, task).to(device).train()
        self.steps = steps
        self.first_step = -sum(phase.epochs for phase in self.method.phases) * steps
        self.curve: list[dict[str, Any]] = []
        self.diverged_epoch: int | None = None
        self.seconds = 0.0
        self.cohort_seconds = 0.0
        self.teacher_seconds = 0.0
        self.resumed = 0
        self._hidden_weights = hidden_weights(network)
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)  # loss, correct, images
        self.generator = torch.Generator()
        self._reads_tensors = device.type in GRAPHS
        self.captured: bool | None = False if self._reads_tensors else None
        self._seed = torch.zeros((), dtype=torch.int64, device=device) if self._reads_tensors else None
        self._student_seed = derive_seed("step", run.seed, run.student.identity())
        self._method_seed = derive_seed("step", run.seed, run.method)
        self.enter(self.first_step)

    def enter(self, step: int) -> None:
        """Be at a step, with a fresh optimiser."""
        self.next_step = step
        self.phase = self.phase_at(step)
        self.optimizer = self._fresh_optimizer()

    def phase_at(self, step: int) -> Phase | None:
        """The phase that a step belongs to, None for the main schedule."""
        end = self.first_step
        for phase in self.method.phases:
            end += phase.epochs * self.steps
            if step < end:
                return phase
        return None

    def _fresh_optimizer(self) -> torch.optim.SGD:
        trains = self.phase.trains if self.phase else "both"
        decay = self.phase.weight_decay if self.phase else None
        modules = {"student": (self.network,), "own": (self.method,), "both": (self.network, self.method)}[trains]
        groups = [{"params": [p for module in modules for p in module.parameters() if p.requires_grad]}]
        optimizer = torch.optim.SGD(
            groups if self.phase else self._main_groups(),
            lr=self.run.recipe.learning_rate,
            momentum=self.run.recipe.momentum,
            nesterov=self.run.recipe.nesterov,
            weight_decay=self.run.recipe.weight_decay if decay is None else decay,
            foreach=not self._reads_tensors,  # the bits of a loop over parameters
            fused=self._reads_tensors,
        )
        if self._reads_tensors:
            self._put_in_tensors(optimizer)
        return optimizer

    def _put_in_tensors(self, optimizer: torch.optim.SGD) -> None:
        """Give an optimiser rates that a recorded step reads, and momenta that it finds: 0 * momentum + gradient is
        what the first step leaves without."""
        for group in optimizer.param_groups:
            group["lr"] = torch.zeros((), device=self.device)
            for parameter in group["params"] if group["momentum"] else ():
                optimizer.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))

    def _main_groups(self) -> list[dict[str, Any]]:
        """Parameters of the main schedule: one group, and more for own ones with a rate or decay of their own."""
        groups: list[dict[str, Any]] = [{"params": [p for p in self.network.parameters() if p.requires_grad]}]
        for rate, decay, parameters in self.method.own_groups():
            if (rate, decay) == (1.0, None):
                groups[0]["params"] += parameters
            else:
                own = {"params": parameters, "rate": rate}
                groups.append(own if decay is None else own | {"weight_decay": decay})
        return groups

    def step(self, images: Tensor, batch: Batch, teacher: Outputs | None) -> None:
        """One optimiser step on images [B, C, H, W], as it is written."""
        started = time.thread_time()
        self.announce()
        self.compute(images, batch, teacher)
        self.passed()
        self.seconds += time.thread_time() - started

    def announce(self) -> None:
        """Write what the next step has of its own: seeds and learning rates.

        Random draws of the student (dropout, stochastic depth) and of the method start from a state of their own, so
        that they do not depend on who else trains in this process.
        """
        seed_generators(self.device, derive_seed(self._student_seed, self.next_step))
        self.generator.manual_seed(seed := derive_seed(self._method_seed, self.next_step))
        if self._seed is not None:
            self._seed.fill_(seed % SEEDS)
        for group in self.optimizer.param_groups:
            rate = self.learning_rate(self.next_step) * group.get("rate", 1.0)
            group["lr"] = group["lr"].fill_(rate) if self._reads_tensors else rate

    def compute(self, images: Tensor, batch: Batch, teacher: Outputs | None) -> None:
        """Gradients, the optimiser's step, and what is counted. Nothing here may hang on the step's number, wait for
        the device or put a tensor in another's place: it may be recorded."""
        if teacher is not None and self.run.shuffled:
            teacher = shuffled_outputs(teacher)
        loss, logits = self.backward(images, batch, teacher)
        self.optimizer.step()
        if self.phase is None or self.phase.trains != "own":
            self._bound_norms()
        with torch.no_grad():
            self.method.after_step(self.network, batch)
        self.sums[0].add_(loss * len(images))
        if logits is not None:
            self.sums[1].add_((logits.argmax(1) == batch.labels).sum())
        self.sums[2].add_(len(images))

    def passed(self) -> None:
        """The step is made."""
        self.next_step += 1
        if self.phase_at(self.next_step) is not self.phase:
            self.enter(self.next_step)

    def fixed(self) -> tuple[Tensor, list[int]]:
        """What a step that can be replayed leaves alone: the state of the method's generator, and the addresses of
        parameters and buffers."""
        kept = [x for module in (self.network, self.method) for x in (*module.parameters(), *module.buffers())]
        return self.generator.get_state(), [x.data_ptr() for x in kept]

    def attributes(self) -> dict[str, list[Any]]:
        """What the modules of the method and of the student keep, by name; of containers, what is in them. Without what
        modules note of their mode."""
        of = {"method": self.method, "student": self.network}
        modules = [(f"{whose}.{name}".rstrip("."), each) for whose in of for name, each in of[whose].named_modules()]
        kept = [(f"{path}.{name}", value) for path, module in modules for name, value in vars(module).items()]
        return {name: tree_leaves(value) for name, value in kept if not name.endswith(".training")}

    @torch.no_grad()
    def _bound_norms(self) -> None:
        """Cut each hidden unit's incoming weights down to the recipe's largest norm, if it has one."""
        if (largest := self.run.recipe.max_norm) is not None:
            for weight in self._hidden_weights:
                weight.copy_(torch.renorm(weight, 2, 0, largest))

    def shown(self, batch: Batch, images: Tensor, second_view: Tensor | None, teacher: Frozen | None) -> Batch:
        """The batch with the step's seed and, if the method reads any, images and what networks make of more."""
        batch = replace(batch, seed=self._seed) if self._seed is not None else batch
        if not self.reads & OF_BATCH:
            return batch

        def taught(others: Tensor) -> Outputs:
            assert teacher is not None
            outputs = teacher.outputs(others, self.run.recipe.teacher_precision, self.reads)
            return shuffled_outputs(outputs) if self.run.shuffled else outputs

        return replace(
            batch,
            images=images if "images" in self.reads else None,
            second_view=second_view if "second_view" in self.reads else None,
            student=self._outputs,
            teacher=taught if teacher else None,
        )

    def backward(self, images: Tensor, batch: Batch, teacher: Outputs | None) -> tuple[Tensor, Tensor | None]:
        """Put the gradients of the step's loss into the parameters; returns the loss, a scalar, and the logits [B, K],
        None in a phase that does not run the student, both detached.
        """
        self.optimizer.zero_grad(set_to_none=True)
        if self.phase is not None:
            outputs = None if self.phase.trains == "own" else self._outputs(images)
            with self._method_precision():
                loss = self.phase.loss(outputs, teacher, batch).float()
            loss.backward()
            return loss.detach(), outputs.logits.detach() if outputs else None
        outputs = self._outputs(images)
        main, ruled, logits = objective(self.method, outputs, teacher, batch, self._method_precision())
        gradients(self.method, self.network, main, ruled, batch)
        return (main if ruled is None else main + ruled).detach(), logits.detach()

    def _outputs(self, images: Tensor) -> Outputs:
        with autocast(self.device, self.run.recipe.precision):
            outputs = self.network(images, self.reads)
        return in_float32(outputs, self.reads) if self.method.precision == "float32" else outputs

    def _method_precision(self) -> torch.autocast:
        return autocast(self.device, self.run.recipe.precision if self.method.precision == "autocast" else "float32")

    def learning_rate(self, step: int) -> float:
        """The rate of a step, below 0 in phases."""
        phase = self.phase_at(step)
        if phase is None:
            return learning_rate(self.run.recipe, step, self.steps)
        return self.run.recipe.learning_rate if phase.learning_rate is None else phase.learning_rate

    def close_epoch(self, epoch: int, sums: Sequence[float], validation: EvaluationData) -> None:
        """Add a row to the curve; sums: of the epoch's losses, of its correct predictions and of its images."""
        loss, correct, images = sums
        self.sums.zero_()
        first = epoch * self.steps
        row: dict[str, Any] = {"epoch": epoch, "learning_rate": self.learning_rate(first), "train_loss": loss / images}
        phase = self.phase_at(first)
        row["train_top1"] = None if phase and phase.trains == "own" else correct / images
        due = epoch >= 0 and ((epoch + 1) % VALIDATION_EPOCHS == 0 or epoch + 1 == self.run.recipe.epochs)
        row["validation_top1"] = accuracy(self.predict, validation) if due and len(validation) else None
        self.curve.append(row)
        if not math.isfinite(loss):
            self.diverged_epoch = epoch

    def predict(self, images: Tensor) -> Tensor:
        """Logits [B, K] of images [B, C, H, W], as deployed."""
        return self.evaluate(images)[0]

    def evaluate(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, K] and embeddings [B, D] in evaluation mode, float32."""
        self.network.eval()
        self.method.eval()
        with torch.no_grad(), self._method_precision():
            outputs = self._outputs(images)
            logits = self.method.predict(outputs)
        self.network.train()
        self.method.train()
        return logits.float(), outputs.embedding.float()

    def state(self) -> dict[str, Any]:
        """Everything that a checkpoint keeps; random states are pure functions and need no keeping."""
        return {
            "run_id": self.run.id,
            "network": self.network.state_dict(),
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "sums": self.sums,
            "next_step": self.next_step,
            "curve": self.curve,
            "diverged_epoch": self.diverged_epoch,
            "seconds": (self.seconds, self.cohort_seconds, self.teacher_seconds),
            "resumed": self.resumed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave. Raises an error of torch's or Python's for a state that does not fit."""
        self.network.load_state_dict(state["network"])
        self.method.load_state_dict(state["method"])
        self.enter(state["next_step"])
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state["optimizer"]["state"]})
        if self._reads_tensors:
            self._put_in_tensors(self.optimizer)
        self.sums.copy_(state["sums"])
        self.curve = list(state["curve"])
        self.diverged_epoch = state["diverged_epoch"]
        self.seconds, self.cohort_seconds, self.teacher_seconds = state["seconds"]
        self.resumed = state["resumed"] + 1


def build_student(run: Run, classes: int, device: torch.device) -> Network:
    """The student with its initial weights: the same for every method of a seed."""
    return create(run.student, run.recipe, classes, run.seed).to(device)


def build_task(run: Run, network: Network, teacher: Network | None, data: TrainingData) -> Task:
    """What a run's method may know."""
    image = data.batch(0, 2)[0]
    return Task(
        student=network.shapes(image),
        teacher=teacher.shapes(image) if teacher else None,
        labels=data.labels,
        epochs=run.recipe.epochs,
        label_smoothing=run.recipe.label_smoothing,
        batch_size=run.recipe.batch_size,
        steps=data.steps,
        initial=lambda: copy.deepcopy(network).eval().requires_grad_(False),
        classifier=copy.deepcopy(teacher.classifier) if teacher else None,
    )


def build_method(run: Run, task: Task) -> Method:
    """The method with its own initial weights, which depend on (seed, method)."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(derive_seed("method", run.seed, run.method))
        return methods.load(run.method, task, run.options)


def hidden_weights(network: Network) -> list[Tensor]:
    """Weights [units, ...] of all linear layers and convolutions but the classifier's."""
    classifiers = {id(parameter) for parameter in network.classifier.parameters()}
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return [layer.weight for layer in layers if id(layer.weight) not in classifiers]


def shuffled_outputs(outputs: Outputs) -> Outputs:
    """Every image's outputs given to the next image of the batch, whose order is random."""
    return outputs.map(lambda x: x.roll(1, 0))
