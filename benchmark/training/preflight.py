"""What can be known to fail before any compute is spent: data, networks, methods and their option values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import methods
from benchmark.data import Splits, load
from benchmark.data import check as check_images
from benchmark.data.resident import steps
from benchmark.ground.errors import Refusals, UsageError, one_line, unknown
from benchmark.models import check, create, is_model, model_names
from benchmark.spec import Architecture, Dataset, Grid, Recipe, Run
from benchmark.training.device import check_precision, device_named
from benchmark.training.teacher import IMAGE_FIELDS, other_images
from methods.base import Shapes, Task
from methods.check.places import raised_in


def check_runs(runs: Sequence[Run], grid: Grid, data_dir: Path | None, download: bool) -> dict[str, str]:
    """Read every data set, downloading it if wanted, and build every network and every method of these runs once.

    Returns, by run id, why a method cannot serve a pair. Raises UsageError, a line for each that is unusable.
    """
    refusals = Refusals()
    sets = _check_data(runs, grid, data_dir, download, refusals)
    distinct = {(run.dataset.name, run.pair, run.label): run for run in runs}
    others = {(run.pair, other_images(run)): run.label for run in reversed(distinct.values()) if run.teacher}
    for (pair, difference), label in reversed(others.items()):  # methods of a pair tell it once, by the first
        if difference:
            refusals.add(f"{label} on {pair}: {difference}")
    networks = {_network(run, sets): run for run in distinct.values()}
    networks |= {_network(run.teacher, sets): run.teacher for run in distinct.values() if run.teacher}
    shapes: dict[object, Shapes] = {}
    for key, run in networks.items():
        if run.student.weights and run.dataset.name not in sets:
            continue  # whose classes would be compared with none
        with refusals.collected():
            _check_model(run.student, grid.architectures)
            shapes[key] = check(run.student, run.recipe, *key[1:3])
    reasons: dict[object, str | None] = {}
    for cell, run in distinct.items():
        read = sets.get(run.dataset.name, UNREAD)
        student, teacher = _network(run, sets), _network(run.teacher, sets) if run.teacher else None
        if student in shapes and (teacher is None or teacher in shapes):
            with refusals.collected():
                reasons[cell] = _check_method(run, read, shapes[student], shapes[teacher] if teacher else None)
    refusals.tell()
    return {run.id: reason for run in runs if (reason := reasons[run.dataset.name, run.pair, run.label])}


def _network(run: Run, sets: Mapping[str, "Read"]) -> tuple[str, int, bool, *tuple[object, ...]]:
    """What tells the networks of a grid apart: the architecture's name, the number of classes, whether a batch of one
    image comes, and what images they have to take."""
    read = sets.get(run.dataset.name, UNREAD)
    seen = tuple(getattr(run.recipe, field) for field in (*IMAGE_FIELDS, "channels_last"))
    return run.student.name, read.classes, read.leaves_one(run.recipe), *seen


def _check_model(architecture: Architecture, named: Mapping[str, Architecture]) -> None:
    """A name that neither timm nor the grid has may be a slip in either."""
    if not is_model(architecture.model):
        own = [name for name, each in named.items() if is_model(each.model)]
        raise unknown("model", architecture.model, [*own, *model_names()])


@dataclass(frozen=True)
class Read:
    """What networks have to know of a data set: the number of classes, and the labels of its training images [N]."""

    classes: int
    labels: torch.Tensor

    def shown(self, recipe: Recipe) -> torch.Tensor:
        """The labels of the images that a recipe trains on."""
        return self.labels[~torch.isin(self.labels, torch.tensor(recipe.without_classes))]

    def leaves_one(self, recipe: Recipe) -> bool:
        """Whether an epoch has a batch of one image."""
        images = len(self.shown(recipe))
        kept = recipe.last_batch == "keep" or images < recipe.batch_size
        return recipe.epochs > 0 and (recipe.batch_size == 1 or (kept and images % recipe.batch_size == 1))


UNREAD = Read(10, torch.zeros(0, dtype=torch.int64))
"""Stands for a data set that cannot be read, so that the networks are tried nevertheless."""


def _check_data(
    runs: Sequence[Run], grid: Grid, data_dir: Path | None, download: bool, refusals: Refusals
) -> dict[str, Read]:
    """What every data set holds that can be read, by name."""
    sets: dict[str, Read] = {}
    recipes: dict[Dataset, set[Recipe]] = {}
    for run in runs:
        recipes.setdefault(run.dataset, set()).update(each.recipe for each in (run, run.teacher) if each)
    for dataset, used in recipes.items():
        with refusals.collected():
            splits = load(grid.located(dataset), data_dir, download=download)
            sets[dataset.name] = Read(splits.classes, splits.train.labels)
            for recipe in used:
                with refusals.collected():
                    _check_recipe(splits, dataset, recipe)
    return sets


def _check_recipe(splits: Splits, dataset: Dataset, recipe: Recipe) -> None:
    for images in (splits.train, splits.test):
        check_images(images, recipe)
    _check_crops(dataset, recipe)
    _check_classes(splits, dataset, recipe)


def _check_crops(dataset: Dataset, recipe: Recipe) -> None:
    """A field that nothing reads would still make another run of it."""
    if dataset.storage == "resident" and recipe.crop_scale != Recipe.model_fields["crop_scale"].default:
        raise UsageError(
            f"crop_scale = {list(recipe.crop_scale)} is for storage = 'streamed'; images of {dataset.name!r} are "
            "resident, and cropped by crop_padding"
        )


def _check_classes(splits: Splits, dataset: Dataset, recipe: Recipe) -> None:
    """Left-out classes have to exist, and others to remain."""
    if unknown_classes := [number for number in recipe.without_classes if number >= splits.classes]:
        valid = f"0 to {splits.classes - 1}"
        raise UsageError(f"without_classes: {dataset.name!r} has no class {unknown_classes[0]}; valid: {valid}")
    if len(recipe.without_classes) == splits.classes:
        raise UsageError(f"without_classes leaves no image of {dataset.name!r} to train on")


def check_device(name: str, runs: Sequence[Run]) -> torch.device:
    """The device; UsageError if this machine has not got it, or it cannot compute as the runs want."""
    device = device_named(name)
    for recipe in {each.recipe for run in runs for each in (run, run.teacher) if each}:
        check_precision(recipe, device)
    return device


def _check_method(run: Run, read: Read, student: Shapes, teacher: Shapes | None) -> str | None:
    """Build the method, unless it cannot serve the pair: then say why. Its task is the run's own, but for the weights
    of the teacher's classifier; of data that cannot be had, an image of each class stands for the labels."""
    recipe, labels = run.recipe, read.shown(run.recipe) if len(read.labels) else torch.arange(read.classes)
    task = Task(
        student,
        teacher,
        labels,
        recipe.epochs,
        classifier=nn.Linear(teacher.embedding, teacher.classes) if teacher else None,
        label_smoothing=recipe.label_smoothing,
        batch_size=recipe.batch_size,
        steps=steps(len(labels), recipe),
        initial=lambda: create(run.student, recipe, read.classes, run.seed, pretrained=False).requires_grad_(False),
    )
    try:
        reason = methods.unsupported(run.method, task, run.options)
        if reason is None:
            methods.load(run.method, task, run.options)
        return reason
    except ValueError as error:
        raise UsageError(f"method {run.label}: {error}") from None
    except Exception as error:  # whatever an author's constructor raises, it would raise in every worker
        raise UsageError(f"method {run.label}: {one_line(error)} (raised in {raised_in(error)})") from None
