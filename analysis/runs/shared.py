"""Runs that several pairs of a grid have in common: a born-again student knows nothing of the pair's own teacher."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.ground.errors import UsageError
from benchmark.spec import Pair, parse
from benchmark.spec.value import read_toml


def own_teacher(pair: str, student: str) -> str:
    """A pair's teacher, by the names of pair and student; a control may have another."""
    return pair.removesuffix(f"_{student}")


def pairs_of(folder: Path) -> list[Pair]:
    """What the folder's grid.toml lists; of a grid file nothing else is read, so that it may be of any version.

    Raises UsageError for a file that cannot be used.
    """
    file = folder / "grid.toml"
    listed = read_toml(file, "grid file").get("pairs", []) if file.is_file() else []
    try:
        pairs = [{name: pair[name] for name in ("teacher", "student")} for pair in listed]
    except TypeError as error:
        raise UsageError(f"{file}: pairs are no tables: {error}") from None
    except KeyError as error:
        raise UsageError(f"{file}: a pair has no {error}") from None
    return [parse(Pair, pair, f"{file}: pairs") for pair in pairs]


def repeated(rows: Sequence[Mapping[str, Any]], pairs: Mapping[str, Sequence[Pair]]) -> list[dict[str, Any]]:
    """The rows, each of a run under another teacher than its pair's once for every pair of that student in the grids
    that it is of (`pairs`, by run): it is trained once, and recorded under the first of them."""
    shared = [row for row in rows if row["teacher"] != own_teacher(row["pair"], row["student"])]
    others = [
        {**row, "pair": pair.name}
        for row in shared
        for pair in pairs.get(row["run_id"], ())
        if pair.student == row["student"]
    ]
    taken = {cell_and_seed(row) for row in rows}
    return [*map(dict, rows), *(row for row in others if cell_and_seed(row) not in taken)]


def cell_and_seed(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Which cell and seed a row is of."""
    return tuple(row[name] for name in ("dataset", "pair", "method", "seed"))


def distinct(runs: pd.DataFrame) -> pd.DataFrame:
    """Each run once. What was never planned has no run id, and is one run for each place."""
    return runs[(runs.run_id == "") | ~runs.run_id.duplicated()]
