"""Isolated measurements (`python -m benchmark.cost`) beside the runs they belong to."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.measurements import Measured, Measurement, read_all
from benchmark.records import Folder

CELL = ["dataset", "pair", "method", "parameters", "macs"]
"""What a measurement and a run agree in. The counts are there because a name may have got another network since."""

COLUMNS = ["latency_seconds", "memory_bytes"]
"""What a run cannot tell that shares its device with others."""

RATE = "joules_per_flop"
"""Of a training step, where the device counts its energy; a run takes as much for each of its FLOPs."""

ORIGIN = "measured_on"


def joined(runs: pd.DataFrame, folders: Sequence[Path]) -> tuple[pd.DataFrame, list[str]]:
    """The runs with COLUMNS, `energy_joules` and ORIGIN, a device and its number of threads, if anything was measured
    of them; and a line for each device that is left out.

    Devices are never mixed: the numbers of a data set are those of the one that measured most of its cells; of several
    such, of the one that trained most of its runs. Raises UsageError for a file that cannot be used.
    """
    found = _measured(folders).merge(runs[CELL].drop_duplicates(), on=CELL)
    kept, left_out = [], []
    for dataset, rows in found.groupby("dataset"):
        (chosen, most), *others = _best_first(rows, Counter(runs.device[runs.dataset == dataset]))
        kept.append(rows[rows[ORIGIN] == chosen].drop(columns="device"))
        left_out += [
            f"latency, memory and energy on {dataset} are those measured on {chosen} ({most} cells), "
            f"not on {origin} ({count})"
            for origin, count in others
        ]
    if not kept:
        return runs, left_out
    runs = runs.merge(pd.concat(kept), how="left", on=CELL)
    return runs.assign(energy_joules=runs.pop(RATE) * runs.training_flops), left_out


def _best_first(rows: pd.DataFrame, trained: Counter[str]) -> list[tuple[str, int]]:
    """Origins and how many cells they measured; `trained` counts runs by device."""
    cells = Counter(zip(rows[ORIGIN], rows.device, strict=True))
    order = sorted(cells, key=lambda each: (-cells[each], -trained[each[1]], each))
    return [(each[0], cells[each]) for each in order]


def _measured(folders: Sequence[Path]) -> pd.DataFrame:
    """A row for each cell and device; of several folders the first counts."""
    rows = [
        {**each.model_dump(include={*CELL, *COLUMNS}), RATE: _rate(each), **_origin(measured)}
        for path in folders
        for measured in read_all(Folder(path))
        for each in measured.measurements
    ]
    columns = [*CELL, *COLUMNS, RATE, ORIGIN, "device"]
    return pd.DataFrame(rows, columns=columns).drop_duplicates([*CELL, ORIGIN])


def _rate(measurement: Measurement) -> float:
    return math.nan if measurement.step_joules is None else measurement.step_joules / measurement.step_flops


def _origin(measured: Measured) -> dict[str, str]:
    return {ORIGIN: measured.origin, "device": measured.provenance.device}
