"""One run in training: a student, its method, its optimiser, and how far they have come."""

import math
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import methods
from benchmark.data import Resident
from benchmark.evaluation import accuracy
from benchmark.models import Network, create
from benchmark.schedule import learning_rate
from benchmark.spec import Run, derive_seed
from methods.base import Batch, Method, Outputs, Task

VALIDATION_EPOCHS = 5
"""Every how many epochs, and after the last one, the validation split is looked at."""


class Member:
    """A run and its state. `next_step` counts optimiser steps over the whole training."""

    def __init__(self, run: Run, task: Task, network: Network, device: torch.device) -> None:
        self.run = run
        self.device = device
        self.reads = methods.reads(run.method)
        self.network = network.train()
        self.method = build_method(run, task).to(device).train()
        self.optimizer = torch.optim.SGD(
            [p for p in (*network.parameters(), *self.method.parameters()) if p.requires_grad],
            lr=run.recipe.learning_rate,
            momentum=run.recipe.momentum,
            nesterov=run.recipe.nesterov,
            weight_decay=run.recipe.weight_decay,
        )
        self.next_step = 0
        self.curve: list[dict[str, Any]] = []
        self.diverged_epoch: int | None = None
        self.seconds = 0.0
        self.cohort_seconds = 0.0
        self.teacher_seconds = 0.0
        self.resumed = 0
        self._sums = torch.zeros(3, dtype=torch.float64, device=device)  # loss, correct, images
        self.generator = torch.Generator()
        self._student_seed = derive_seed("step", run.seed, run.student.identity())
        self._method_seed = derive_seed("step", run.seed, run.method)

    def step(self, images: Tensor, batch: Batch, teacher: Outputs | None) -> None:
        """One optimiser step on images [B, C, H, W].

        Random draws of the student (dropout, stochastic depth) and of the method start from a state of their own, so
        that they do not depend on who else trains in this process.
        """
        started = time.perf_counter()
        torch.manual_seed(derive_seed(self._student_seed, self.next_step))
        self.generator.manual_seed(derive_seed(self._method_seed, self.next_step))
        loss, logits = self.loss(images, batch, teacher)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        correct = (logits.detach().argmax(1) == batch.labels).sum()
        self._sums += torch.stack([loss.detach() * len(images), correct, torch.full_like(correct, len(images))])
        self.next_step += 1
        self.seconds += time.perf_counter() - started

    def loss(self, images: Tensor, batch: Batch, teacher: Outputs | None) -> tuple[Tensor, Tensor]:
        """The training loss, a scalar, and the logits [B, K]."""
        outputs = self._outputs(images)
        with self._method_precision():
            logits = self.method.predict(outputs)
            term = self.method(outputs, teacher, batch)
        cross_entropy = self.method.classification(logits.float(), batch.labels)
        return self.method.ce_weight * cross_entropy + term.float(), logits

    def _outputs(self, images: Tensor) -> Outputs:
        with autocast(self.device, self.run.recipe.precision):
            outputs = self.network(images)
        return in_float32(outputs) if self.method.precision == "float32" else outputs

    def _method_precision(self) -> torch.autocast:
        return autocast(self.device, self.run.recipe.precision if self.method.precision == "autocast" else "float32")

    def set_learning_rate(self, epoch: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.run.recipe, epoch)

    def close_epoch(self, epoch: int, validation: Resident) -> None:
        """Move the epoch's sums off the device, once, and add a row to the curve."""
        loss, correct, images = self._sums.tolist()
        self._sums.zero_()
        row: dict[str, Any] = {"epoch": epoch, "learning_rate": learning_rate(self.run.recipe, epoch)}
        row["train_loss"], row["train_top1"] = loss / images, correct / images
        due = (epoch + 1) % VALIDATION_EPOCHS == 0 or epoch + 1 == self.run.recipe.epochs
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
            "sums": self._sums,
            "next_step": self.next_step,
            "curve": self.curve,
            "diverged_epoch": self.diverged_epoch,
            "seconds": (self.seconds, self.cohort_seconds, self.teacher_seconds),
            "resumed": self.resumed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._sums.copy_(state["sums"])
        self.next_step = state["next_step"]
        self.curve = list(state["curve"])
        self.diverged_epoch = state["diverged_epoch"]
        self.seconds, self.cohort_seconds, self.teacher_seconds = state["seconds"]
        self.resumed = state["resumed"] + 1


def build_student(run: Run, classes: int, device: torch.device) -> Network:
    """The student with its initial weights: the same for every method of a seed."""
    return create(run.student, run.recipe, classes, run.seed).to(device)


def build_method(run: Run, task: Task) -> Method:
    """The method with its own initial weights, which depend on (seed, method)."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(derive_seed("method", run.seed, run.method))
        return methods.load(run.method, task, run.options)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def in_float32(outputs: Outputs) -> Outputs:
    return replace(
        outputs,
        logits=outputs.logits.float(),
        embedding=outputs.embedding.float(),
        maps=tuple(m.float() for m in outputs.maps),
        pooled_map=outputs.pooled_map.float(),
    )
