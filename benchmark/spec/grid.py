"""A grid, as a TOML file states it: which runs, what they are compared with, how options are tuned. No torch here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from benchmark.ground.errors import MOST_THREADS, UsageError, unknown
from benchmark.spec.control import TUNED, Control, taught, written_out
from benchmark.spec.run import Architecture, Dataset, Pair, Recipe
from benchmark.spec.value import (
    Count,
    Fields,
    Name,
    Scalar,
    Value,
    file_or_shipped,
    listed_once,
    one_of,
    parse,
    read_toml,
    shipped_names,
)

GRIDS = Path(__file__).parents[1] / "grids"


class Range(Value):
    """Where trials of an option lie: evenly from `low` to `high`, in the option or in its logarithm."""

    low: StrictFloat
    high: StrictFloat
    scale: Literal["linear", "log"] = "log"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low = {self.low:g} is not below high = {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"low = {self.low:g} has no logarithm; scale = 'linear' takes it")
        return self


class Tuning(Value):
    """The same number of trials for every method, the best by validation accuracy to be chosen.

    ranges: for a method either a list of trials, each a table of options, or for each option a list of values or a
    Range; the values of several options are combined at random, each used once (a Latin hypercube).
    """

    trials: Annotated[StrictInt, Field(ge=2)]
    seeds: tuple[Count, ...] = Field(min_length=1)
    ranges: dict[str, list[dict[str, Scalar]] | dict[str, Range | list[Scalar]]] = Field(min_length=1)

    @model_validator(mode="after")
    def _equal(self) -> Self:
        for method, ranges in self.ranges.items():
            lists = {method: ranges} if isinstance(ranges, list) else {f"{method}.{k}": v for k, v in ranges.items()}
            for name, values in lists.items():
                if isinstance(values, list) and len(values) != self.trials:
                    raise ValueError(f"{name} has {len(values)} trials; every method gets {self.trials}")
                if isinstance(values, list) and any(value in values[:i] for i, value in enumerate(values)):
                    raise ValueError(f"{name} names a trial twice")
        return self


FROZEN = "grid.toml"
"""What the grid that a results folder was begun with is kept as."""

RESERVED = ("teachers", "reference")
"""Names of the folders in `results` that are not a grid's."""


class Grid(Value):
    """A named grid, resolved: every default filled in."""

    name: Name
    description: str = ""
    datasets: tuple[Dataset, ...] = Field(min_length=1)
    architectures: dict[str, Architecture] = {}
    pairs: tuple[Pair, ...] = Field(min_length=1)
    methods: tuple[str, ...] = Field(min_length=1)
    options: dict[str, dict[str, Scalar]] = {}
    seeds: tuple[Count, ...] = Field((0, 1, 2), min_length=1)
    teacher_seed: Annotated[Count | Literal["paired"], one_of("a whole number from 0 on or 'paired'")] = 0
    recipe: Recipe
    teacher_recipe: Recipe
    recipes: dict[str, Fields] = {}
    """Fields that differ for an architecture, as student and as teacher."""
    control: tuple[Control, ...] = ()
    tuning: Tuning | None = None
    expected_accuracy: dict[str, dict[str, Annotated[StrictFloat, Field(ge=0, le=1)]]] = {}
    """By data set and architecture: below this test accuracy a teacher is refused."""
    keep_weights: StrictBool = False
    keep_predictions: Literal["small"] | StrictBool = "small"
    """Keep what networks say of the test images beside the records, of teachers too; "small": up to 5 MB a run."""
    threads: Annotated[StrictInt, Field(gt=0, le=MOST_THREADS)] | None = None
    """CPU threads per worker unless the command line says otherwise; None for an equal share of the cores. Small
    networks lose time on a second one, and records are bit-identical at one thread count only."""

    def located(self, dataset: Dataset) -> Dataset:
        """A run's data set with the path where this grid says it lies."""
        paths = {own.name: own.path for own in self.datasets}
        return dataset.model_copy(update={"path": paths.get(dataset.name)})

    def as_toml(self) -> dict[str, Any]:
        """Plain values for a TOML file, which has no null: keys without a value are left out."""
        return self.model_dump(mode="json", exclude_none=True)

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, raw: Any) -> Any:
        """Shorthands of a TOML file: the teacher's recipe differs from the student's only where it says so (classes
        are left out of a transfer set, which is the student's), an architecture without an entry is the timm model of
        that name, and a standard control needs its name alone. What is not of the right kind is left as it is, for the
        validation of the fields to name.
        """
        if not isinstance(raw, Mapping):
            return raw
        raw = dict(raw)
        recipe, teacher_recipe = raw.get("recipe"), raw.get("teacher_recipe", {})
        if isinstance(recipe, Mapping) and isinstance(teacher_recipe, Mapping):
            raw["teacher_recipe"] = {**recipe, "without_classes": (), **teacher_recipe}
        controls = raw.get("control")
        if isinstance(controls, list | tuple):
            raw["control"] = [each for entry in controls for each in written_out(entry, raw.get("methods"))]
        named = raw.get("architectures", {})
        if isinstance(named, Mapping):
            models = [m for m in _models(raw.get("pairs")) if m not in named]
            entries = {**named, **{model: {"model": model} for model in models}}
            raw["architectures"] = {
                name: {"name": name, **entry} if isinstance(entry, Mapping) else entry
                for name, entry in entries.items()
            }
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name in RESERVED:
            raise ValueError(f"name {self.name!r} is kept for a folder beside the grids' own; choose another")
        known = {dataset.name for dataset in self.datasets}
        for dataset, accuracies in self.expected_accuracy.items():
            if dataset not in known:
                raise ValueError(f"expected_accuracy: {unknown('dataset', dataset, known)}")
            for name in accuracies.keys() - self.architectures.keys():
                raise ValueError(f"expected_accuracy.{dataset}: {unknown('architecture', name, self.architectures)}")
        for name in self.recipes.keys() - self.architectures.keys():
            raise ValueError(f"recipes: {unknown('architecture', name, self.architectures)}")
        for name in self.architectures:
            self.teacher_recipe_of(name)
            for control in (None, *self.control):
                self.recipe_of(name, control)
        for what, names in (
            ("control", [control.name for control in self.control]),
            ("dataset", [dataset.name for dataset in self.datasets]),
            ("pair", [pair.name for pair in self.pairs]),
            ("method", list(self.methods)),
            ("seed", [str(seed) for seed in self.seeds]),
        ):
            listed_once(what, names)
        return self

    def recipe_of(self, architecture: str, control: Control | None = None, epochs: int | None = None) -> Recipe:
        """How a student of this architecture is trained, also under a control, and stretched to so many epochs."""
        recipe = _changed(self.recipe, self.recipes.get(architecture, {}), f"recipes.{architecture}")
        if control is None:
            return recipe
        recipe = _changed(recipe, control.recipe, f"control.{control.name}.recipe")
        if control.times and recipe.epochs:
            epochs = max(1, round(control.times * recipe.epochs))
        return _changed(recipe, _stretch(recipe, epochs), f"control.{control.name}") if epochs else recipe

    def teacher_recipe_of(self, architecture: str) -> Recipe:
        """How a teacher of this architecture is trained."""
        return _changed(self.teacher_recipe, self.recipes.get(architecture, {}), f"recipes.{architecture}")

    def control_named(self, name: str) -> Control:
        """Raises UsageError for one that is not there."""
        for control in self.control:
            if control.name == name:
                return control
        raise unknown("control", name, [control.name for control in self.control])

    def control_of(self, method: str) -> Control | None:
        """The control in `METHOD@CONTROL`, None for a method alone. Raises UsageError for one that is not there."""
        name = method.partition("@")[2]
        return self.control_named(name) if "@" in method else None

    def under(self, control: Control) -> list[str]:
        """A control's methods, by name."""
        return taught(control.methods, self.methods)

    @property
    def all_methods(self) -> tuple[str, ...]:
        """What 'all' means: the methods, and the controls of the grid file with their methods."""
        controls = [control for control in self.control if control.name != TUNED]
        controlled = [f"{method}@{control.name}" for control in controls for method in self.under(control)]
        return tuple(dict.fromkeys((*self.methods, *controlled)))


def _changed(recipe: Recipe, fields: Fields, source: str) -> Recipe:
    """A recipe with other values of some fields. Raises UsageError for one that it does not have."""
    return parse(Recipe, {**recipe.model_dump(), **fields}, source) if fields else recipe


def _stretch(recipe: Recipe, epochs: int) -> Fields:
    """Fields of a recipe that lasts so many epochs, its milestones where they were in proportion; a warm-up is kept."""
    milestones: list[Scalar] = [round(each * epochs / recipe.epochs) for each in recipe.milestones]
    return {"epochs": epochs, **({"milestones": milestones} if milestones else {})}


def grid_names() -> list[str]:
    """Of the grids that come with the suite, sorted."""
    return shipped_names(GRIDS)


def load_grid(name_or_file: str) -> Grid:
    """A grid by its name in `benchmark/grids`, or from a TOML file.

    Raises UsageError for a file that is missing, not TOML, or has a wrong key or value, and for that of a results
    folder which goes by another name now: its runs would be made again in a folder of the old one.
    """
    path = file_or_shipped(name_or_file, GRIDS, "grid")
    grid = parse(Grid, {"name": path.stem, **read_toml(path, "grid file")}, source=str(path))
    home = path.absolute().parent
    if path.name == FROZEN and grid.name != home.name and (home / "records").is_dir():
        raise UsageError(
            f"{path} is of grid {grid.name!r}, but its results folder is called {home.name!r} now: call it "
            f"{grid.name!r} again, or write name = {json.dumps(home.name)} into that file to go on under the new name"
        )
    return grid


def _models(pairs: Any) -> list[str]:
    """The names in pairs that are not validated yet."""
    tables = [pair for pair in pairs if isinstance(pair, Mapping)] if isinstance(pairs, list | tuple) else []
    return [model for pair in tables for key in ("teacher", "student") if isinstance(model := pair.get(key), str)]
