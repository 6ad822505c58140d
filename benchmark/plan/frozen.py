"""The grid that a results folder was begun with: what may be added to it, and what may not change. Imports torch for
the method registry, not timm."""

import tomli_w

import methods
from benchmark.errors import UsageError
from benchmark.files import atomic
from benchmark.records import Folder
from benchmark.spec import FROZEN, Grid, Value, load_grid


def freeze(grid: Grid, folder: Folder, write: bool) -> None:
    """Hold the grid against the one the folder was begun with, and keep the two together in its grid.toml."""
    path = folder.path / FROZEN
    if path.exists():
        frozen = load_grid(str(path))
        check_frozen(grid, frozen, folder)
        grid = merge(frozen, grid)
    if write:
        with atomic(path) as temporary:
            temporary.write_text(tomli_w.dumps(grid.as_toml()), encoding="utf-8")


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
