"""What `analysis.verify` compares: cells with their means, of records or of a file of expectations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field as Bound

from analysis.runs.alike import CELL
from analysis.statistics.places import Place
from analysis.style import TEACHER
from benchmark.ground.errors import UsageError
from benchmark.ground.files import parse_rows, read_bytes
from benchmark.spec import Value, parse
from benchmark.spec.value import Label, parse_toml

if TYPE_CHECKING:
    import pandas as pd

    from analysis.runs.load import Results

ENDED = ("diverged", "failed", "not_applicable")
"""How runs end without a result."""


class Expectation(Value):
    """A cell's mean test top-1 accuracy over n runs and their sample standard deviation, in percent. Without both the
    mean is taken to be exact; a standard deviation without n counts as that of two runs, the fewest that have one.
    """

    dataset: Label
    pair: Label
    method: Label
    top1_percent: Annotated[float, Bound(ge=0, le=100)]
    std_percent: Annotated[float, Bound(ge=0)] | None = None
    n: Annotated[int, Bound(gt=0)] | None = None


class Expectations(Value):
    """A TOML file of [[cell]] tables."""

    cell: tuple[Expectation, ...] = Bound(min_length=1)


@dataclass(frozen=True)
class Expected:
    """Cells by data set, pair and method. Where they come from records, their runs too, the seeds that `ended` without
    a result and how, and a line for whatever is `unusable`: records that cannot be read, runs that must not be pooled.
    """

    cells: Mapping[Place, Expectation]
    runs: "pd.DataFrame | None" = None
    ended: Mapping[Place, Mapping[int, str]] = field(default_factory=dict)
    unusable: tuple[str, ...] = ()


def expected(source: Path) -> Expected:
    """Of a results folder or a file. Raises UsageError for a source that is not there or not of its kind."""
    from analysis.runs.load import load

    if source.is_dir():
        return of_results(load([source]))
    if source.suffix not in (".toml", ".csv"):
        raise UsageError(f"{str(source)!r} is no results folder and no .toml or .csv file of expected means")
    try:
        content = read_bytes(source)
    except OSError as error:
        raise UsageError(f"expected means {str(source)!r} cannot be read: {error.strerror}") from None
    what = f"expected means {str(source)!r}"
    raw = parse_toml(content, what) if source.suffix == ".toml" else {"cell": _csv_rows(content, what)}
    cells = parse(Expectations, raw, source=source.name).cell
    found: dict[Place, Expectation] = {}
    for cell in cells:
        place = (cell.dataset, cell.pair, cell.method)
        if place in found:
            raise UsageError(f"{source.name}: {', '.join(place)} is listed twice")
        found[place] = cell
    return Expected(found)


def of_results(results: "Results") -> Expected:
    from analysis.runs.load import plain
    from analysis.statistics.cells import pool

    runs = results.runs
    pooled = [cell for cell in pool(runs) if cell.method != TEACHER]
    cells = {
        (cell.dataset, cell.pair, cell.method): Expectation(
            dataset=cell.dataset,
            pair=cell.pair,
            method=cell.method,
            top1_percent=cell.top1_percent,
            std_percent=cell.std_percent,
            n=cell.n,
        )
        for cell in pooled
        if cell.top1_percent is not None
    }
    mixed = (f"{cell.dataset}, {cell.pair}, {cell.method}: {cell.note}" for cell in pooled if cell.state == "mixed")
    ended: dict[Place, dict[int, str]] = {}
    for row in plain(runs[runs.status.isin(ENDED)]):
        ended.setdefault((row["dataset"], row["pair"], row["method"]), {})[row["seed"]] = row["status"]
    return Expected(cells, runs[runs.pooled].set_index(CELL).sort_index(), ended, (*results.unreadable, *mixed))


def _csv_rows(content: bytes, what: str) -> list[dict[str, Any]]:
    """Rows with the fields that an expectation has, empty ones left out. A tables/main.csv serves as well: it has more
    columns, a row for the teacher, and cells whose `state` says why they have no mean."""
    rows, fields = parse_rows(content, what), [*Expectation.model_fields]
    columns = list(rows[0]) if rows else fields
    of_analysis = "state" in columns
    if unknown := [name for name in columns if name not in fields and not of_analysis]:
        raise UsageError(
            f"{what} have a column {unknown[0]!r}; valid: {', '.join(fields)}, or those of a tables/main.csv"
        )
    if lacking := [name for name in ("dataset", "pair", "method", "top1_percent") if name not in columns]:
        raise UsageError(f"{what} have no column {lacking[0]!r}")
    wanted = [row for row in rows if not of_analysis or (row["method"] != TEACHER and row["top1_percent"])]
    return [{name: row[name] for name in fields if row.get(name)} for row in wanted]
