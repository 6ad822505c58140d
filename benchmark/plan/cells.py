"""The cells of a grid: data sets x pairs x seeds x methods, each a run. torch for the method registry, never timm."""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any, TypeVar

import methods
from benchmark.ground.errors import UsageError, unknown
from benchmark.plan.values import Selection
from benchmark.spec import LABELS_ONLY, Control, Dataset, Grid, Options, Pair, Recipe, Run

T = TypeVar("T")


def select(grid: Grid, selection: Selection) -> Grid:
    """The grid with only what is wanted. Raises UsageError for a pair or data set that it lacks."""
    pairs = _chosen("pair", {pair.name: pair for pair in grid.pairs}, selection.pairs)
    datasets = _chosen("dataset", {dataset.name: dataset for dataset in grid.datasets}, selection.datasets)
    names = {dataset.name for dataset in datasets}
    return grid.model_copy(
        update={
            "pairs": pairs,
            "datasets": datasets,
            "methods": selection.methods or grid.methods,
            "seeds": grid.seeds if selection.seeds is None else selection.seeds,
            "expected_accuracy": {name: each for name, each in grid.expected_accuracy.items() if name in names},
        }
    )


def _chosen(kind: str, known: dict[str, T], names: tuple[str, ...] | None) -> tuple[T, ...]:
    for name in names or ():
        if name not in known:
            raise unknown(kind, name, known)
    return tuple(value for name, value in known.items() if names is None or name in names)


def check_options(grid: Grid, overrides: Options) -> None:
    """Raise UsageError for an override of a method that is not wanted, or MethodError for an option, here or in the
    grid, of a method that does not exist or does not have it.
    """
    parts = {part for name in grid.methods for part in methods.components(name.partition("@")[0])}
    for method in overrides:
        if method not in parts:
            methods.components(method)
            raise UsageError(
                f"--option names {method!r}, which is not among this run's methods: {', '.join(sorted(parts))}"
            )
    for options in (grid.options, overrides, *(control.options for control in grid.control)):
        for method, values in options.items():
            methods.resolve(method, {method: values})


def cells(grid: Grid, overrides: Options = {}) -> tuple[Run, ...]:
    """Every run of a grid: data sets x pairs x seeds x methods; `overrides` come on top of the grid's own options. A
    control that matches a method has runs where its epochs are counted (`plan.matched`)."""
    described = {name: _described(name, grid, overrides) for name in grid.methods}
    controls = {name: grid.control_of(name) for name in grid.methods}
    recipes = {
        (dataset.name, pair.name, name): recipe
        for dataset in grid.datasets
        for pair in grid.pairs
        for name, control in controls.items()
        if (recipe := _recipe(grid, dataset, pair, control))
    }
    teacher_of = cache(partial(_teacher, grid))  # one value for all its students, which hash it once
    return tuple(
        Run(
            dataset=dataset,
            student=grid.architectures[pair.student],
            recipe=recipes[dataset.name, pair.name, name],
            seed=seed,
            teacher=teacher_of(dataset, *_teaching(grid, pair, seed, controls[name])),
            pair=pair.name,
            **described[name],
        )
        for dataset in grid.datasets
        for pair in grid.pairs
        for seed in grid.seeds
        for name in grid.methods
        if (dataset.name, pair.name, name) in recipes
    )


def _recipe(grid: Grid, dataset: Dataset, pair: Pair, control: Control | None) -> Recipe | None:
    """None for a match whose epochs are not counted."""
    epochs = control.counted(dataset.name, pair.name) if control else None
    if control and control.flops_of and epochs is None:
        return None
    return grid.recipe_of(pair.student, control, epochs)


def _described(name: str, grid: Grid, overrides: Options) -> dict[str, Any]:
    """What of a run depends on its method, and the control that this is under, alone."""
    control = grid.control_of(name)
    method = name.partition("@")[0]
    parts = methods.components(method)
    usual = {
        part: {**grid.options.get(part, {}), **(control.options.get(part, {}) if control else {})} for part in parts
    }
    options = methods.resolve(method, {part: {**usual[part], **overrides.get(part, {})} for part in parts})
    label = methods.label(method, options, usual)
    return {
        "method": method,
        "options": options,
        "revisions": methods.revisions(method),
        "label": f"{label}@{control.name}" if control else label,
        "shuffled": bool(control and control.shuffled),
    }


def _teaching(grid: Grid, pair: Pair, seed: int, control: Control | None) -> tuple[str, str, int]:
    """A pair's teacher under a control: its architecture, what kind of teacher it is, and its seed."""
    kind = control.teacher if control else "pair"
    name = pair.student if kind == "student" else pair.teacher
    return name, kind, seed if grid.teacher_seed == "paired" else grid.teacher_seed


def _teacher(grid: Grid, dataset: Dataset, name: str, kind: str, seed: int) -> Run:
    recipe = grid.recipe_of(name) if kind == "student" else grid.teacher_recipe_of(name)
    # what an architecture, or a student that comes to teach, leaves out is left out of its transfer set
    recipe = recipe.model_copy(update={"without_classes": grid.teacher_recipe.without_classes})
    architecture = grid.architectures[name]
    if kind == "untrained":
        recipe = recipe.model_copy(update={"epochs": 0})
        architecture = architecture.model_copy(update={"weights": None, "weights_sha256": None})
    return Run(
        dataset=dataset,
        student=architecture,
        method=LABELS_ONLY,
        options=methods.resolve(LABELS_ONLY),
        revisions=methods.revisions(LABELS_ONLY),
        recipe=recipe,
        seed=seed,
        label="teacher",
    )


def aliases(runs: Sequence[Run]) -> dict[str, str]:
    """Labels of runs that were there before under another label, and that one."""
    first: dict[str, str] = {}
    return {run.label: first[run.id] for run in runs if first.setdefault(run.id, run.label) != run.label}
