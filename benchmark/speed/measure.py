"""The parts of `benchmark.speed`: both loops, augmentation, the device's peak, planning."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from benchmark.cost.clock import Clock, interleaved
from benchmark.cost.isolated import IsolatedRun, NotApplicableError, noise
from benchmark.plan.plan import make_plan
from benchmark.records import Folder
from benchmark.spec import LABELS_ONLY, Grid, Precision, Recipe, Run
from benchmark.speed import PEERS, textbook
from benchmark.speed.reference import Loop, Pictures
from benchmark.training.count import flop_counter
from benchmark.training.loop import configure_torch
from benchmark.training.member import Member
from benchmark.training.step import CohortStep, step
from benchmark.training.teacher import Frozen
from benchmark.training.untrained import untrained

BATCHES = 8
"""Of an epoch of noise: the reference's loader begins each anew."""


class Cohort:
    """The suite's lock-step over some runs, on noise of their images' shape and with untrained networks. recipe: the
    suite's, whose precision and layout may differ from the reference's.

    runs: those whose method can serve the pair; not_applicable: why the others' cannot.
    """

    def __init__(self, runs: Sequence[Run], recipe: Recipe, classes: int, device: torch.device) -> None:
        configure_torch(recipe, device)
        self.recipe, self.classes, self.device = recipe, classes, device
        self.data = noise(recipe, classes, device, BATCHES)
        self.first = runs[0]
        self.teacher = self.teacher_by(recipe)
        self.runs: list[Run] = []
        self.isolated: list[IsolatedRun] = []
        self.not_applicable: list[str] = []
        for run in runs:
            try:
                self.isolated.append(self.isolated_by(recipe, run, self.teacher))
                self.runs.append(run)
            except NotApplicableError as reason:
                self.not_applicable.append(f"{run.label}: {reason}")
        self.members = [alone.member for alone in self.isolated]
        self.views = self.data.views(0, 0)
        self._make = CohortStep(self.teacher, self.data)
        self._step = 0

    def teacher_by(self, recipe: Recipe) -> Frozen:
        """The runs' teacher, untrained, as a recipe sees images."""
        assert self.first.teacher is not None
        return untrained(self.first.teacher.model_copy(update={"recipe": recipe}), self.data, self.classes)

    def isolated_by(self, recipe: Recipe, run: Run, teacher: Frozen) -> IsolatedRun:
        """A run alone, untrained, by another recipe. Raises NotApplicableError."""
        return IsolatedRun(run.model_copy(update={"recipe": recipe}), self.data, self.classes, teacher)

    def step(self, members: Sequence[Member]) -> None:
        """One step of these members, on the next batch; on a GPU recorded by its fourth call, and replayed after it."""
        self._step = (self._step + 1) % self.data.steps
        self._make(members, self.views, 0, self._step)


@contextmanager
def torch_defaults(device: torch.device) -> Iterator[None]:
    """torch's settings as the usual loop has them: its own, TF32 in convolutions on a GPU among them, and cuDNN's
    search for the fastest kernels, which published code switches on."""
    cudnn, deterministic = torch.backends.cudnn, torch.are_deterministic_algorithms_enabled()
    before = cudnn.allow_tf32, cudnn.benchmark
    cudnn.allow_tf32, cudnn.benchmark = True, device.type == "cuda"
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.benchmark = before
        torch.use_deterministic_algorithms(deterministic)


def usual(work: Callable[[], object], device: torch.device) -> None:
    """A piece of the reference's work, under its settings."""
    with torch_defaults(device):
        work()


def loops(cohort: Cohort, workers: int, rounds: int, clock: Clock) -> dict[str, Any]:
    """Seconds of a step: of the reference loop and of the suite, each method alone, with the teacher's forward and
    without, of the suite's cohort and of the part of it that RepDistiller has too."""
    works = reference_works(cohort, workers)
    for run, member in zip(cohort.runs, cohort.members, strict=True):
        works[f"suite {run.label}"] = partial(cohort.step, [member])
    sizes = sorted({1, len(cohort.members) // 2, len(cohort.members)} - {0})
    works |= {f"cohort {size}": partial(cohort.step, cohort.members[-size:]) for size in sizes}
    peers = [m for run, m in zip(cohort.runs, cohort.members, strict=True) if run.label in PEERS]
    if 1 < len(peers) < len(cohort.members):
        works["cohort peers"] = partial(cohort.step, peers)
    images = cohort.data.training_batch(cohort.views, 0)[0]
    works["suite teacher"] = partial(cohort.teacher.outputs, images, cohort.recipe.teacher_precision)
    supplied = cohort.teacher.outputs(images, cohort.recipe.teacher_precision)
    for run, alone in zip(cohort.runs, cohort.isolated, strict=True):
        works[f"member {run.label}"] = next(work for _, work in alone.works(supplied if alone.teacher else None))
    seconds = interleaved(works, rounds, clock)
    with flop_counter() as flops:  # which replayed kernels would pass by
        step(cohort.members, cohort.teacher, cohort.data, cohort.views, 0, 0)
    return {
        "seconds": seconds,
        "cohort_fit": cohort_fit({size: seconds[f"cohort {size}"] for size in sizes}),
        "cohort_flops": flops.get_total_flops(),
    }


def cohort_fit(seconds: Mapping[int, float]) -> dict[str, float] | None:
    """What a cohort's step takes, by the number of its students: constant + per_student x students; None for one size,
    through which any line goes."""
    if len(seconds) < 2:
        return None
    slope, constant = np.polyfit([*seconds], [*seconds.values()], 1)
    return {"constant": float(constant), "per_student": float(slope)}


def reference_works(cohort: Cohort, workers: int) -> dict[str, Callable[[], object]]:
    """A step of the usual loop by method, and its teacher's forward."""
    plain = cohort.recipe.model_copy(
        update={"precision": "float32", "teacher_precision": "float32", "channels_last": False}
    )
    pictures = Pictures(cohort.data.pixels.cpu(), cohort.data.labels.cpu(), plain)
    loader = DataLoader(
        pictures, plain.batch_size, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )
    taught = cohort.teacher_by(plain)
    images = next(iter(DataLoader(pictures, plain.batch_size)))[0].to(cohort.device)
    works: dict[str, Callable[[], object]] = {
        f"reference {run.label}": Loop(cohort.isolated_by(plain, run, taught).member, taught, loader).step
        for run in cohort.runs
    }
    works["reference teacher"] = partial(taught.outputs, images, plain.teacher_precision)
    return {name: partial(usual, work, cohort.device) for name, work in works.items()}


def ratios(labels: Sequence[str], taught: int, seconds: dict[str, float]) -> dict[str, float]:
    """How many times as fast the suite is: each method alone, the grid as one cohort, and its part that peers have.
    taught: how many of them read the teacher.

    Beside it, what its parts allow: `ceiling_of_sharing`, the reference's own times with the teacher's forward spent
    once; `ceiling`, the suite's teacher once and its student alone for every method, losses costing nothing.
    """
    found = {label: seconds[f"reference {label}"] / seconds[f"suite {label}"] for label in labels}
    whole = sum(seconds[f"reference {label}"] for label in labels)
    if "cohort peers" in seconds:
        theirs = sum(seconds[f"reference {label}"] for label in labels if label in PEERS)
        found["peers"] = theirs / seconds["cohort peers"]
    shared = whole - max(0, taught - 1) * seconds["reference teacher"]
    least = seconds["suite teacher"] + len(labels) * seconds[f"suite {LABELS_ONLY}"]
    ceilings = {"ceiling_of_sharing": whole / shared, "ceiling": whole / least}
    return {**found, "grid": whole / seconds[f"cohort {len(labels)}"], **ceilings}


def of_kd(labels: Sequence[str], seconds: dict[str, float]) -> dict[str, dict[str, float]]:
    """How many times as long as KD's the suite's step takes, alone with the teacher's forward and without it."""
    if "kd" not in labels:
        return {"with_teacher": {}, "without_teacher": {}}
    parts = {"with_teacher": "suite", "without_teacher": "member"}
    return {
        name: {label: seconds[f"{part} {label}"] / seconds[f"{part} kd"] for label in labels}
        for name, part in parts.items()
    }


def peak_flops(device: torch.device, precision: Precision, rounds: int, clock: Clock) -> float:
    """FLOP/s of a matrix product in a recipe's precision, the best of several rounds."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    if precision == "bfloat16":
        a, b = a.bfloat16(), b.bfloat16()
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        return 2 * size**3 / min(clock.seconds(lambda: a @ b) for _ in range(rounds + 1))
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def augmentation(cohort: Cohort, rounds: int, clock: Clock) -> dict[str, float]:
    """Images per second made training batches: by torchvision's transforms of PIL in one process, and by one gather."""
    recipe, data = cohort.recipe, cohort.data
    loader = DataLoader(Pictures(data.pixels.cpu(), data.labels.cpu(), recipe), recipe.batch_size)
    works = {"pil": lambda: next(iter(loader)), "gather": lambda: data.training_batch(cohort.views, 0)}
    return {name: recipe.batch_size / seconds for name, seconds in interleaved(works, rounds, clock).items()}


def left_out(labels: Sequence[str], clock: Clock) -> Iterator[str]:
    """What the numbers do not say, a line each."""
    if len(labels) < 2:
        yield "what a cohort spends on each student: there is one"
    if borrowed := [label for label in labels if label not in (LABELS_ONLY, *textbook.LOSSES)]:
        yield f"a textbook form of {', '.join(borrowed)}: the loop beside takes the suite's modules"
    if "mhgd" in labels:
        yield "mhgd's gradient rule and its phase: the loop beside leaves the rule out, and both the phase"
    if not clock.processor:
        yield "an idle machine: seconds are of the wall, and other work lengthens them"
    if clock.device.type == "cuda":
        yield "captured steps without the teacher's forward: these are made as they are written"
    if clock.device.type == "cuda" and torch.version.hip:
        yield "TF32: this GPU has none"


def planning(grid: Grid, clock: Clock, runs: int = 10_000) -> dict[str, float]:
    """Seconds to plan a grid of at least that many runs, by adding seeds."""
    cells = len(grid.datasets) * len(grid.pairs) * len(grid.methods)
    large = grid.model_copy(update={"seeds": tuple(range(-(-runs // cells)))})
    start = clock.now()
    plan = make_plan(large, Folder(Path("/nonexistent") / grid.name))
    return {"runs": len(plan.runs), "seconds": clock.now() - start}
