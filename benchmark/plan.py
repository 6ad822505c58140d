"""A grid minus what is finished: teachers to train, then cohorts. Imports torch for the method registry, not timm."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, TypeVar

import methods
from benchmark.errors import UsageError, unknown
from benchmark.forecast import forecasts, total
from benchmark.records import Folder, State
from benchmark.spec import Control, Dataset, Grid, Options, Pair, Run, Value

T = TypeVar("T")


@dataclass(frozen=True)
class Selection:
    """Which cells of a grid are wanted; None means all of the grid's own."""

    methods: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    pairs: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Cohort:
    """Runs that share data set, teacher, recipe and seed."""

    runs: tuple[Run, ...]

    @property
    def teacher(self) -> Run | None:
        return self.runs[0].teacher

    @property
    def name(self) -> str:
        first = self.runs[0]
        return f"{first.dataset.name} {first.teacher.student.name if first.teacher else 'teacher'} seed {first.seed}"


@dataclass(frozen=True)
class Plan:
    """Every wanted run with its state, and what is to be done about the missing ones.

    forecast_seconds: device time of what is missing, one cohort after another; None if unknown. forecast_basis: what it
    was computed from. twins: labels of runs that are another label's, which stands for both.
    """

    runs: tuple[Run, ...]
    states: dict[str, State]
    teachers: tuple[Run, ...]
    teacher_states: dict[str, State]
    cohorts: tuple[Cohort, ...]
    forecast_seconds: float | None = None
    forecast_basis: tuple[str, ...] = ()
    twins: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing_teachers(self) -> tuple[Run, ...]:
        """Teachers that a missing run needs and that have to be trained first."""
        needed = {cohort.teacher.id for cohort in self.cohorts if cohort.teacher}
        return tuple(t for t in self.teachers if t.id in needed and self.teacher_states[t.id] == "missing")

    def count(self) -> Counter[State]:
        return Counter(self.states.values())


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
    """Every run of a grid: data sets x pairs x seeds x methods; `overrides` come on top of the grid's own options."""
    described = {name: _described(name, grid, overrides) for name in grid.methods}
    controls = {name: grid.control_of(name) for name in grid.methods}
    recipes = {(pair, name): grid.recipe_of(pair.student, controls[name]) for pair in grid.pairs for name in controls}
    teacher_of = cache(partial(_teacher, grid))  # one value for all its students, which hash it once
    return tuple(
        Run(
            dataset=dataset,
            student=grid.architectures[pair.student],
            recipe=recipes[pair, name],
            seed=seed,
            teacher=teacher_of(dataset, *_teaching(grid, pair, seed, controls[name])),
            pair=pair.name,
            **described[name],
        )
        for dataset in grid.datasets
        for pair in grid.pairs
        for seed in grid.seeds
        for name in grid.methods
    )


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


def _teaching(grid: Grid, pair: Pair, seed: int, control: Control | None) -> tuple[str, bool, int]:
    """A pair's teacher under a control: its architecture, whether it is trained as a student is, and its seed."""
    born_again = control is not None and control.teacher == "student"
    name = pair.student if born_again else pair.teacher
    return name, born_again, seed if grid.teacher_seed == "paired" else grid.teacher_seed


def _teacher(grid: Grid, dataset: Dataset, name: str, born_again: bool, seed: int) -> Run:
    return Run(
        dataset=dataset,
        student=grid.architectures[name],
        method="student",
        options=methods.resolve("student"),
        revisions=methods.revisions("student"),
        recipe=grid.recipe_of(name) if born_again else grid.teacher_recipe_of(name),
        seed=seed,
        label="teacher",
    )


def make_plan(grid: Grid, folder: Folder, overrides: Options = {}) -> Plan:
    """Compare the wanted runs with the records. What is the same run under two names is one, by the first."""
    named = cells(grid, overrides)
    runs = tuple({run.id: run for run in reversed(named)}.values())[::-1]
    teachers = tuple({run.teacher.id: run.teacher for run in runs if run.teacher}.values())
    states = {run.id: folder.state(run.id) for run in runs}
    open_runs = [run for run in runs if states[run.id] == "missing"]
    grouped: dict[str, list[Run]] = {}
    for run in open_runs:
        grouped.setdefault(run.cohort_key, []).append(run)
    cohorts = tuple(Cohort(tuple(members)) for members in grouped.values())
    teacher_states = {teacher.id: folder.teachers.state(teacher.id) for teacher in teachers}
    plan = Plan(runs, states, teachers, teacher_states, cohorts, twins=twins(named))
    known = forecasts((*plan.missing_teachers, *open_runs), folder)
    seconds = total((*((teacher,) for teacher in plan.missing_teachers), *(c.runs for c in cohorts)), known)
    basis = () if seconds is None else tuple(dict.fromkeys(cost.origin for cost in known.values()))
    return replace(plan, forecast_seconds=seconds, forecast_basis=basis)


def twins(runs: Sequence[Run]) -> dict[str, str]:
    """Labels of runs that were there before under another label, and that one."""
    first: dict[str, str] = {}
    return {run.label: first[run.id] for run in runs if first.setdefault(run.id, run.label) != run.label}


def only(plan: Plan, run_ids: Sequence[str]) -> Plan:
    """The plan with nothing else to be done than these runs."""
    kept = (tuple(run for run in cohort.runs if run.id in run_ids) for cohort in plan.cohorts)
    return replace(plan, cohorts=tuple(Cohort(runs) for runs in kept if runs), forecast_seconds=None, forecast_basis=())


def check_frozen(grid: Grid, frozen: Grid, folder: Folder) -> None:
    """Raise UsageError if a results folder was begun with another protocol: its tables would mix the two."""
    for key in ("recipe", "teacher_recipe", "recipes", "teacher_seed"):
        if getattr(grid, key) != getattr(frozen, key):
            raise _other_grid(folder, _difference(key, getattr(frozen, key), getattr(grid, key)))
    for part in {part for name in frozen.methods for part in methods.components(name.partition("@")[0])}:
        before, now = frozen.options.get(part, {}), grid.options.get(part, {})
        if before != now:
            raise _other_grid(folder, f"options.{part} = {before} there, {now} now")
    used = {name.partition("@")[2] for name in grid.methods}
    for key in ("datasets", "architectures", "control"):
        ours, theirs = (_by_name(getattr(g, key)) for g in (grid, frozen))
        for name in sorted(ours.keys() & theirs.keys() & (used if key == "control" else ours.keys())):
            if ours[name].identity() != theirs[name].identity():  # a data set may lie elsewhere now
                raise _other_grid(folder, _difference(f"{key}.{name}", theirs[name], ours[name]))


def merge(frozen: Grid, grid: Grid) -> Grid:
    """What two selections of one grid cover together. Options are the second's: as `check_frozen` has seen to, those of
    methods that the first has are the same."""
    both = (frozen, grid)
    return grid.model_copy(
        update={
            "datasets": tuple({d.name: d for g in both for d in g.datasets}.values()),
            "architectures": frozen.architectures | grid.architectures,
            "pairs": tuple({pair.name: pair for g in both for pair in g.pairs}.values()),
            "methods": tuple(dict.fromkeys(name for g in both for name in g.methods)),
            "seeds": tuple(sorted({seed for g in both for seed in g.seeds})),
            "expected_accuracy": frozen.expected_accuracy | grid.expected_accuracy,
            "control": tuple({control.name: control for g in (*both, frozen) for control in g.control}.values()),
        }
    )


def _by_name(values: object) -> dict[str, Value]:
    return dict(values) if isinstance(values, dict) else {value.name: value for value in values}  # type: ignore


def _difference(name: str, before: object, now: object) -> str:
    if hasattr(before, "model_dump") and hasattr(now, "model_dump"):
        old, new = before.model_dump(), now.model_dump()
        key = next(key for key in old if old[key] != new[key])
        return f"{name}.{key} = {old[key]!r} there, {new[key]!r} now"
    return f"{name} = {before!r} there, {now!r} now"


def _other_grid(folder: Folder, difference: str) -> UsageError:
    return UsageError(f"{folder.path} was begun with another protocol ({difference}): use another grid name or folder")
