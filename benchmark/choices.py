"""What a command line chooses from a grid: names and lists of names."""

import re
from collections.abc import Sequence

from benchmark.errors import UsageError
from benchmark.spec import TUNED, Grid


def names(flag: str, values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Names given by comma or space, each once; None where nothing was given. Raises UsageError for an empty list."""
    if values is None:
        return None
    found = dict.fromkeys(name for value in values for name in re.split(r"[,\s]+", value) if name)
    if not found:
        raise UsageError(f"{flag} {' '.join(values)!r} names nothing")
    return tuple(found)


def method_names(values: Sequence[str] | None, grid: Grid) -> tuple[str, ...]:
    """The methods of a grid that are meant: 'all', 'installed', 'tuned', names and compositions, also under a control.

    Raises MethodError or UsageError for a method or a control that does not exist.
    """
    import methods

    chosen: list[str] = []
    for name in names("--methods", values) or ("all",):
        if name in ("all", "installed"):
            chosen.extend(grid.all_methods)
        if name == "installed":
            chosen.extend(sorted(set(methods.names()) - set(methods.names(installed=False))))
        if name == TUNED and TUNED not in {control.name for control in grid.control}:
            raise UsageError("--methods tuned: nothing was tuned for this grid yet; --tune does")
        if name == TUNED:
            chosen.extend(f"{method}@{TUNED}" for method in grid.control_named(TUNED).methods)
        if name not in ("all", "installed", TUNED):
            methods.components(name.partition("@")[0])
            grid.control_of(name)
            chosen.append(name)
    return tuple(dict.fromkeys(chosen))
