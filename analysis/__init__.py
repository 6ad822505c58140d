"""From a results folder to figures and tables: reads records only, imports neither torch nor timm."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

try:
    import benchmark.ground.errors  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        f"the suite's package 'benchmark' is not what Python finds by that name ({error}); work in another folder, or "
        "rename or uninstall what shadows it"
    ) from error

from benchmark.ground.files import REFERENCE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["REFERENCE", "load_results"]


def load_results(*folders: str | PathLike[str], include_stale: bool = False) -> "pd.DataFrame":
    """Every run of results folders, a row each, with the columns of `analysis.runs.columns`, whatever was
    measured. A run that several pairs share has a row for each. Take means over rows that are `pooled`.

    include_stale: count runs of an older protocol or method revision where there is no newer one.

    Raises benchmark.ground.errors.UsageError for a folder that is not there, and if none holds a valid record.
    """
    from analysis.runs.columns import columns  # --help need not wait for pandas
    from analysis.runs.load import load

    return load([Path(folder) for folder in folders], include_stale=include_stale).runs.reindex(columns=list(columns()))
