"""What a command line chooses from a grid. No torch here but where a method is looked up."""

import argparse
import math
import re
from collections.abc import Sequence

from benchmark.ground.command import names
from benchmark.ground.errors import UsageError, set_once
from benchmark.plan.more_seeds import MOST_SEEDS, MoreSeeds
from benchmark.plan.values import Selection
from benchmark.spec import TUNED, Grid, Scalar


def wanted(grid: Grid, options: argparse.Namespace, more: MoreSeeds | None = None) -> Grid:
    """The grid with the command line's choices; `more` chooses pairs and seeds in their place."""
    from benchmark.plan.cells import select

    selection = Selection(
        methods=method_names(options.methods, grid),
        seeds=tuple(range(more.seeds)) if more else seed_list(options.seeds),
        pairs=tuple(each.pair for each in more.pairs) if more else names("--pairs", options.pairs),
        datasets=tuple(each.dataset for each in more.pairs) if more else names("--datasets", options.datasets),
    )
    return select(grid, selection)


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


def seed_list(texts: Sequence[str] | None) -> tuple[int, ...] | None:
    """`3` is the seeds 0, 1 and 2; several lists such as `0,3` and `7,` are joined.

    Raises UsageError for anything else, and for more than MOST_SEEDS: such a number is meant as a seed.
    """
    if texts is None:
        return None
    for text in texts:
        if not re.fullmatch(r"[0-9]{1,18}(,[0-9]{0,18})*", text) or not text.strip("0"):
            raise UsageError(f"--seeds {text!r} is neither a number of seeds above 0 nor seeds such as 0,3,7")
    counts = [text for text in texts if "," not in text]
    if counts and (len(texts) > 1 or int(counts[0]) > MOST_SEEDS):
        raise UsageError(
            f"--seeds {' '.join(texts)}: {counts[0]} asks for that many seeds (alone, and {MOST_SEEDS:,} at most); the "
            f"seed itself is written '{counts[0]},'"
        )
    if counts:
        return tuple(range(int(counts[0])))
    return tuple(dict.fromkeys(int(part) for text in texts for part in text.split(",") if part))


def method_options(texts: Sequence[str]) -> dict[str, dict[str, Scalar]]:
    """`rkd_da.distance=10` as {'rkd_da': {'distance': 10}}."""
    found: dict[str, dict[str, Scalar]] = {}
    for text in texts:
        parts = re.fullmatch(r"([^.=]+)\.([^.=]+)=(.+)", text)
        if parts is None:
            raise UsageError(f"--option {text!r} is not METHOD.NAME=VALUE, for example rkd_da.distance=10")
        method, name, value = parts.groups()
        set_once(found.setdefault(method, {}), name, _scalar(value), f"--option {method}.{name}")
    return found


def _scalar(text: str) -> Scalar:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            number = kind(text)
            return number if math.isfinite(number) else text
        except (ValueError, OverflowError):
            continue
    return text
