"""Fair tuning: as many trials for every method, chosen by validation accuracy. No torch here.

Trials are the runs of a grid of their own, `<grid>-tuning`, whose controls `trial1`, `trial2`, ... hold the options;
their records stay. What was chosen becomes the control `tuned` of the grid: `METHOD@tuned` beside `METHOD`.
"""

import math
import random
from collections.abc import Sequence
from statistics import mean

from benchmark.ground.errors import UsageError
from benchmark.ground.files import read_bytes, write_toml
from benchmark.records import Folder, Record
from benchmark.spec import TUNED, Control, Grid, Options, Range, Scalar, Tuning, derive_seed, parse
from benchmark.spec.value import parse_toml

FILE = "tuned.toml"


def trials_of(tuning: Tuning) -> tuple[Options, ...]:
    """The options of every trial, for all methods."""
    columns = {method: _trials(method, ranges, tuning.trials) for method, ranges in tuning.ranges.items()}
    return tuple({method: column[i] for method, column in columns.items()} for i in range(tuning.trials))


def trial_grid(grid: Grid) -> Grid:
    """The grid whose runs are the trials. Raises UsageError for a grid that says nothing of tuning, or that has nothing
    to choose by."""
    if grid.tuning is None:
        raise UsageError(f"grid {grid.name!r} has no [tuning] section")
    for dataset in grid.datasets:
        if not dataset.validation:
            raise UsageError(f"tuning chooses on validation images, and dataset {dataset.name!r} has validation = 0")
    methods = tuple(grid.tuning.ranges)
    controls = tuple(
        Control(name=f"trial{i}", methods=methods, options=options)
        for i, options in enumerate(trials_of(grid.tuning), start=1)
    )
    named = tuple(f"{method}@{control.name}" for control in controls for method in methods)
    return grid.model_copy(
        update={
            "name": f"{grid.name}-tuning",
            "methods": named,
            "control": controls,
            "seeds": grid.tuning.seeds,
            "tuning": None,
            "keep_weights": False,
            "keep_predictions": False,
        }
    )


def choose(trials: Grid, records: Sequence[Record]) -> Options:
    """For every method the options of its best trial: by validation top-1, the mean over data sets, pairs and seeds.

    A diverged run counts as 0, the first of equal trials wins. Raises UsageError if trials are missing.
    """
    cells = len(trials.datasets) * len(trials.pairs) * len(trials.seeds)
    chosen: Options = {}
    for method in trials.control[0].methods:
        scores = {control.name: _score(records, method, control, cells) for control in trials.control}
        best = max(trials.control, key=lambda control: scores[control.name])
        chosen[method] = best.options[method]
    return chosen


def write_tuned(folder: Folder, chosen: Options) -> None:
    """Keep the options that tuning chose, by method, for `with_tuned`."""
    write_toml(folder.path / FILE, chosen)


def with_tuned(grid: Grid, folder: Folder) -> Grid:
    """The grid with what was chosen for it, if anything was. Raises UsageError for a file that does not say what."""
    path = folder.part(FILE)
    try:
        options = parse_toml(read_bytes(path), f"--tune's choice {str(path)!r}")
    except (FileNotFoundError, NotADirectoryError):
        return grid
    control = parse(Control, {"name": TUNED, "methods": tuple(options), "options": options}, str(path))
    return grid.model_copy(update={"control": (*(c for c in grid.control if c.name != TUNED), control)})


def _score(records: Sequence[Record], method: str, control: Control, cells: int) -> float:
    label = f"{method}@{control.name}"
    found = [record for record in records if record.run.label == label]
    if len(found) != cells:
        raise UsageError(f"{label} has {len(found)} of {cells} records: train the trials first")
    return mean(record.result.validation_top1 or 0.0 for record in found)


def _trials(
    method: str, ranges: list[dict[str, Scalar]] | dict[str, Range | list[Scalar]], count: int
) -> list[dict[str, Scalar]]:
    if isinstance(ranges, list):
        return ranges
    columns = {option: _values(values, count) for option, values in ranges.items()}
    for i, (option, column) in enumerate(columns.items()):
        if i:  # one option alone goes from end to end
            random.Random(derive_seed("tuning", method, option)).shuffle(column)
    return [{option: column[i] for option, column in columns.items()} for i in range(count)]


def _values(values: Range | list[Scalar], count: int) -> list[Scalar]:
    if isinstance(values, list):
        return list(values)
    shares = [i / (count - 1) for i in range(count)]
    if values.scale == "linear":
        return [values.low + share * (values.high - values.low) for share in shares]
    low, high = math.log(values.low), math.log(values.high)
    return [float(f"{math.exp(low + share * (high - low)):.4g}") for share in shares]
