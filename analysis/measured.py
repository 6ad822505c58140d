"""Isolated measurements (`python -m benchmark.cost`) beside the runs they belong to."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.measurements import read_all
from benchmark.records import Folder

KEY = ["dataset", "pair", "method", "device"]
COLUMNS = ["latency_seconds", "memory_bytes"]
"""What a packed run cannot tell; columns of the runs wherever something was measured."""


def joined(runs: pd.DataFrame, folders: Sequence[Path]) -> pd.DataFrame:
    """The runs with COLUMNS, as measured on the device that trained them; without them if nothing was measured.

    Of several numbers of threads the first file counts. Raises UsageError for a file that cannot be used.
    """
    found = [
        {**each.model_dump(include={*KEY, *COLUMNS}), "device": measured.provenance.device}
        for path in folders
        for measured in read_all(Folder(path))
        for each in measured.measurements
    ]
    if not found:
        return runs
    return runs.merge(pd.DataFrame(found).drop_duplicates(KEY), how="left", on=KEY)
