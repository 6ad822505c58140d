"""The parts of `benchmark.speed`: both loops, augmentation, the machine's peak, planning."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from benchmark.cost.clock import Clock, interleaved
from benchmark.cost.isolated import IsolatedRun, noise, untrained
from benchmark.plan.plan import make_plan
from benchmark.records import Folder
from benchmark.spec import Grid, Recipe, Run
from benchmark.speed.reference import Loop, Pictures
from benchmark.training.count import flop_counter
from benchmark.training.loop import configure_torch
from benchmark.training.member import Member
from benchmark.training.step import step
from benchmark.training.teacher import Frozen

BATCHES = 8
"""Of an epoch of noise: the reference's loader begins each anew."""

CPU = torch.device("cpu")


class Cohort:
    """The suite's lock-step over some runs, on noise of their images' shape and with untrained networks. recipe: the
    suite's, whose precision and layout may differ from the reference's.

    Raises UsageError for a method that cannot serve the pair.
    """

    def __init__(self, runs: Sequence[Run], recipe: Recipe, classes: int) -> None:
        configure_torch(recipe, CPU)
        self.runs, self.recipe, self.classes = runs, recipe, classes
        self.data = noise(recipe, classes, CPU, BATCHES)
        self.teacher = self.teacher_by(recipe)
        self.members = [self.member_by(recipe, run, self.teacher) for run in runs]
        self.views = self.data.views(0, 0)
        self._step = 0

    def teacher_by(self, recipe: Recipe) -> Frozen:
        """The runs' teacher, untrained, as a recipe sees images."""
        run = self.runs[0].teacher
        assert run is not None
        return untrained(run.model_copy(update={"recipe": recipe}), self.data, self.classes)

    def member_by(self, recipe: Recipe, run: Run, teacher: Frozen) -> Member:
        """A run alone, untrained, by another recipe."""
        return IsolatedRun(run.model_copy(update={"recipe": recipe}), self.data, self.classes, teacher).member

    def step(self, members: Sequence[Member]) -> None:
        """One step of these members, on the next batch."""
        self._step = (self._step + 1) % self.data.steps
        step(members, self.teacher, self.data, self.views, 0, self._step)


def loops(cohort: Cohort, workers: int, rounds: int, clock: Clock) -> dict[str, Any]:
    """Seconds of a step: of the reference loop and of the suite, each method alone, and of the suite's cohort."""
    plain = cohort.recipe.model_copy(
        update={"precision": "float32", "teacher_precision": "float32", "channels_last": False}
    )
    pictures = Pictures(cohort.data.pixels, cohort.data.labels, plain)
    loader = DataLoader(
        pictures, plain.batch_size, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )
    taught = cohort.teacher_by(plain)
    works: dict[str, Callable[[], object]] = {}
    for run, member in zip(cohort.runs, cohort.members, strict=True):
        works[f"reference {run.label}"] = Loop(cohort.member_by(plain, run, taught), taught, loader).step
        works[f"suite {run.label}"] = partial(cohort.step, [member])
    sizes = sorted({1, len(cohort.members) // 2, len(cohort.members)} - {0})
    works |= {f"cohort {size}": partial(cohort.step, cohort.members[-size:]) for size in sizes}
    images = cohort.data.training_batch(cohort.views, 0)[0]
    works["suite teacher"] = partial(cohort.teacher.outputs, images, cohort.recipe.teacher_precision)
    pictured = next(iter(DataLoader(pictures, plain.batch_size)))[0]
    works["reference teacher"] = partial(taught.outputs, pictured, plain.teacher_precision)
    seconds = interleaved(works, rounds, clock)
    slope, constant = np.polyfit(sizes, [seconds[f"cohort {size}"] for size in sizes], 1)
    with flop_counter() as flops:
        cohort.step(cohort.members)
    return {
        "seconds": seconds,
        "cohort_fit": {"constant": float(constant), "per_student": float(slope)},
        "cohort_flops": flops.get_total_flops(),
    }


def ratios(labels: Sequence[str], seconds: dict[str, float]) -> dict[str, float]:
    """How many times as fast the suite is: each method alone, and the grid as one cohort.

    Beside it, what its parts allow: `ceiling_of_sharing`, the reference's own times with the teacher's forward spent
    once; `ceiling`, the suite's teacher once and its student alone for every method, losses costing nothing.
    """
    found = {label: seconds[f"reference {label}"] / seconds[f"suite {label}"] for label in labels}
    whole = sum(seconds[f"reference {label}"] for label in labels)
    shared = whole - (sum(label != "student" for label in labels) - 1) * seconds["reference teacher"]
    least = seconds["suite teacher"] + len(labels) * seconds["suite student"]
    ceilings = {"ceiling_of_sharing": whole / shared, "ceiling": whole / least}
    return {**found, "grid": whole / seconds[f"cohort {len(labels)}"], **ceilings}


def peak_flops(rounds: int, clock: Clock, size: int = 1024) -> float:
    """FLOP/s of a float32 matrix product, the best of several rounds."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    return 2 * size**3 / min(clock.seconds(lambda: a @ b) for _ in range(rounds + 1))


def augmentation(cohort: Cohort, rounds: int, clock: Clock) -> dict[str, float]:
    """Images per second made training batches by one process: by torchvision's transforms of PIL, and by one gather."""
    recipe, data = cohort.recipe, cohort.data
    loader = DataLoader(Pictures(data.pixels, data.labels, recipe), recipe.batch_size)
    works = {"pil": lambda: next(iter(loader)), "gather": lambda: data.training_batch(cohort.views, 0)}
    return {name: recipe.batch_size / seconds for name, seconds in interleaved(works, rounds, clock).items()}


def planning(grid: Grid, clock: Clock, runs: int = 10_000) -> dict[str, float]:
    """Seconds to plan a grid of at least that many runs, by adding seeds."""
    cells = len(grid.datasets) * len(grid.pairs) * len(grid.methods)
    large = grid.model_copy(update={"seeds": tuple(range(-(-runs // cells)))})
    start = clock.now()
    plan = make_plan(large, Folder(Path("/nonexistent") / grid.name))
    return {"runs": len(plan.runs), "seconds": clock.now() - start}
