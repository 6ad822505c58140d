"""The grid that a results folder was begun with: what may be added to it, and what may not change. No torch here: its
methods need not be installed."""

from collections.abc import Mapping
from typing import Any

from benchmark.ground.errors import UsageError
from benchmark.ground.files import write_toml
from benchmark.records import Folder
from benchmark.spec import FROZEN, Control, Grid, Value, load_grid


def freeze(grid: Grid, folder: Folder, write: bool) -> None:
    """Hold the grid against the one the folder was begun with, and keep the two together in its grid.toml."""
    path = folder.path / FROZEN
    if path.exists():
        frozen = load_grid(str(path))
        check_frozen(grid, frozen, folder)
        grid = merge(frozen, grid)
    if write:
        write_toml(path, grid.as_toml())


def check_frozen(grid: Grid, frozen: Grid, folder: Folder) -> None:
    """Raise UsageError if a results folder was begun with another protocol: its tables would mix the two."""
    keys = ("recipe", "teacher_recipe", "recipes", "teacher_seed")
    compared = [(key, getattr(frozen, key), getattr(grid, key)) for key in keys]
    parts = {part for name in frozen.methods for part in name.partition("@")[0].split("+")}
    compared += [(f"options.{part}", frozen.options.get(part, {}), grid.options.get(part, {})) for part in parts]
    used = {name.partition("@")[2] for name in grid.methods}
    for key in ("datasets", "architectures", "control"):
        before, now = (_named(getattr(each, key)) for each in (frozen, grid))
        names = before.keys() & now.keys() & (used if key == "control" else now.keys())
        compared += [(f"{key}.{name}", before[name], now[name]) for name in sorted(names)]
    for name, before, now in compared:
        if difference := _difference(name, before, now):
            raise UsageError(
                f"{folder.path} was begun with another protocol ({difference}): use another grid name or folder"
            )


def merge(frozen: Grid, grid: Grid) -> Grid:
    """What two selections of one grid cover together. Options are the second's: as `check_frozen` has seen to, those of
    methods that the first has are the same. Of teachers on its data sets, only what the second expects counts."""
    both, now = (frozen, grid), {each.name for each in grid.datasets}
    expected = {name: each for name, each in frozen.expected_accuracy.items() if name not in now}
    return grid.model_copy(
        update={
            "datasets": tuple(_named(each for g in both for each in g.datasets).values()),
            "architectures": frozen.architectures | grid.architectures,
            "pairs": tuple(_named(each for g in both for each in g.pairs).values()),
            "methods": tuple(dict.fromkeys(name for g in both for name in g.methods)),
            "seeds": tuple(sorted({seed for g in both for seed in g.seeds})),
            "expected_accuracy": expected | grid.expected_accuracy,
            "control": tuple(_controls(frozen, grid).values()),
        }
    )


def _controls(frozen: Grid, grid: Grid) -> dict[str, Control]:
    """As they were begun with, and with the epochs that were counted since."""
    found = _named(each for g in (frozen, grid, frozen) for each in g.control)
    return found | {each.name: found[each.name].with_counts(each.epochs or {}) for each in grid.control}


def _named(values: Any) -> dict[str, Any]:
    return dict(values) if isinstance(values, Mapping) else {value.name: value for value in values}


def _difference(name: str, before: Any, now: Any) -> str | None:
    """The first field that differs, None if only what is no part of a run does, such as where a data set lies."""
    if not isinstance(before, Value):
        return None if before == now else f"{name} = {before!r} there, {now!r} now"
    old, new = before.identity(), now.identity()
    keys = (key for key in type(before).model_fields if old.get(key) != new.get(key))
    return next((_difference(f"{name}.{key}", getattr(before, key), getattr(now, key)) for key in keys), None)
