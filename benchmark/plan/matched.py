"""Controls that train the student alone for as many FLOPs as a method: which epochs are still to be counted."""

from collections.abc import Mapping, Sequence

from benchmark.plan.cells import cells
from benchmark.records import Folder
from benchmark.spec import FROZEN, LABELS_ONLY, Grid, Match, load_grid

Counts = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Epochs by control, data set and pair."""


def known_counts(folder: Folder) -> Counts:
    """What a results folder was begun with."""
    path = folder.path / FROZEN
    controls = load_grid(str(path)).control if path.exists() else ()
    return {control.name: control.epochs for control in controls if control.epochs}


def with_counts(grid: Grid, counts: Counts) -> Grid:
    """The grid with epochs where it has none of its own."""
    return grid.model_copy(update={"control": tuple(c.with_counts(counts.get(c.name, {})) for c in grid.control)})


def assumed(grid: Grid) -> Grid:
    """The grid with the student's own epochs for every match that is not counted: enough to know what a step costs."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for match in uncounted(grid):
        of_data_set = counts.setdefault(match.control, {}).setdefault(match.alone.dataset.name, {})
        of_data_set[match.alone.pair] = match.alone.recipe.epochs
    return with_counts(grid, counts)


def uncounted(grid: Grid) -> Sequence[Match]:
    """What of the wanted controls has no epochs yet, by pair. Raises MethodError for a method that is not there."""
    wanted = [control for name in grid.methods if (control := grid.control_of(name)) and control.flops_of]
    found = []
    for dataset in grid.datasets if wanted else ():
        for pair in grid.pairs:
            lacking = [control for control in wanted if control.counted(dataset.name, pair.name) is None]
            methods = tuple(dict.fromkeys((LABELS_ONLY, *(str(control.flops_of) for control in lacking))))
            one = {"datasets": (dataset,), "pairs": (pair,), "seeds": grid.seeds[:1], "methods": methods}
            runs = dict(zip(methods, cells(grid.model_copy(update=one)), strict=True))
            for control in lacking:
                recipe = grid.recipe_of(pair.student, control)
                alone = runs[LABELS_ONLY].model_copy(update={"recipe": recipe})
                found.append(Match(control.name, alone, runs[str(control.flops_of)]))
    return found
