"""Isolated measurements (`python -m benchmark.cost`) beside the runs they belong to."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.records import Folder
from benchmark.records.measurements import Measured, Measurement, read_all

CELL = ["dataset_name", "pair", "method", "parameters", "macs"]
"""What a measurement and a run agree in. The counts are there because a name may have got another network since."""

COLUMNS = ["latency_seconds", "memory_bytes"]
"""What a run cannot tell that shares its device with others."""

RATES = {"step_joules": "energy_joules", "step_seconds": "alone_seconds"}
"""Of a training step, and what it comes to in a run, which takes as much for each of its FLOPs; a device may not count
its energy."""

ORIGIN = "measured_on"


def joined(runs: pd.DataFrame, folders: Sequence[Path]) -> tuple[pd.DataFrame, list[str]]:
    """The runs with COLUMNS, what RATES come to and ORIGIN, a device and its number of threads, if anything was
    measured of them; and a line for each device that is left out.

    Devices are never mixed: the numbers of a data set are those of the one that measured most of its cells; of several
    such, of the one that trained most of its runs. Raises UsageError for a file that cannot be used.
    """
    counts = dict.fromkeys(("parameters", "macs"), float)  # of holes alone they are no numbers at all
    found = _measured(folders).astype(counts).merge(runs[CELL].astype(counts).drop_duplicates(), on=CELL)
    kept, left_out = [], []
    for dataset, rows in found.groupby("dataset_name"):
        (chosen, most), *others = _best_first(rows, Counter(runs.device[runs.dataset_name == dataset]))
        kept.append(rows[rows[ORIGIN] == chosen].drop(columns="device"))
        left_out += [
            f"latency, memory, seconds and energy on {dataset} are those measured on {chosen} ({most} cells), "
            f"not on {origin} ({count})"
            for origin, count in others
        ]
    if not kept:
        return runs, left_out
    runs = runs.merge(pd.concat(kept), how="left", on=CELL)
    return runs.assign(**{total: runs[total] * runs.training_flops for total in RATES.values()}), left_out


def _best_first(rows: pd.DataFrame, trained: Counter[str]) -> list[tuple[str, int]]:
    """Origins and how many cells they measured; `trained` counts runs by device."""
    cells = Counter(zip(rows[ORIGIN], rows.device, strict=True))
    order = sorted(cells, key=lambda each: (-cells[each], -trained[each[1]], each))
    return [(each[0], cells[each]) for each in order]


def _measured(folders: Sequence[Path]) -> pd.DataFrame:
    """A row for each cell and device; of several folders the first counts."""
    rows = [
        {**each.model_dump(include={*CELL, *COLUMNS}), **_rates(each), **_origin(measured, each)}
        for path in folders
        for measured in read_all(Folder(path))
        for each in measured.measurements
    ]
    columns = [*CELL, *COLUMNS, *RATES.values(), ORIGIN, "device"]
    return pd.DataFrame(rows, columns=columns).drop_duplicates([*CELL, ORIGIN])


def _rates(measurement: Measurement) -> dict[str, float]:
    """By what they come to: of a step, for each of its FLOPs."""
    steps = {total: getattr(measurement, name) for name, total in RATES.items()}
    return {total: math.nan if step is None else step / measurement.step_flops for total, step in steps.items()}


def _origin(measured: Measured, measurement: Measurement) -> dict[str, str]:
    device = measured.provenance.device
    return {"dataset_name": measurement.dataset, ORIGIN: measured.origin, "device": device}
