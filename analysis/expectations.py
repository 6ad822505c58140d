"""What a grid is expected to come to: another results folder, or a TOML or CSV file of means and spreads."""

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from analysis.cells import pool, poolable
from analysis.load import CELL, load
from analysis.style import TEACHER
from benchmark.errors import UsageError
from benchmark.spec import Value, parse

Place = tuple[str, str, str]
"""Data set, pair, method."""


class Expectation(Value):
    """A cell's mean test top-1 accuracy over n runs and their sample standard deviation, in percent. Without a standard
    deviation and n the mean is taken to be exact.
    """

    dataset: str
    pair: str
    method: str
    top1_percent: Annotated[float, Field(ge=0, le=100)]
    std_percent: Annotated[float, Field(ge=0)] | None = None
    n: Annotated[int, Field(gt=0)] | None = None


class Expectations(Value):
    """A TOML file of [[cell]] tables."""

    cell: tuple[Expectation, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Expected:
    """Cells by data set, pair and method; where they come from records, those runs too."""

    cells: Mapping[Place, Expectation]
    runs: pd.DataFrame | None = None


def expected(source: Path) -> Expected:
    """Raises UsageError for a source that is not there or not of its kind."""
    if source.is_dir():
        return of_runs(load([source]).runs)
    if source.suffix not in (".toml", ".csv"):
        raise UsageError(f"{str(source)!r} is no results folder and no .toml or .csv file of expected means")
    try:
        text = source.read_text(encoding="utf-8")
        raw = tomllib.loads(text) if source.suffix == ".toml" else {"cell": _csv_rows(text)}
    except OSError as error:
        raise UsageError(f"expected means {str(source)!r} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"expected means {str(source)!r} are not TOML: {error}") from None
    cells = parse(Expectations, raw, source=source.name).cell
    found: dict[Place, Expectation] = {}
    for cell in cells:
        place = (cell.dataset, cell.pair, cell.method)
        if place in found:
            raise UsageError(f"{source.name}: {', '.join(place)} is listed twice")
        found[place] = cell
    return Expected(found)


def of_runs(runs: pd.DataFrame) -> Expected:
    """The cells of records, those left out that have no result or must not be pooled."""
    cells = {
        (cell.dataset, cell.pair, cell.method): Expectation(
            dataset=cell.dataset,
            pair=cell.pair,
            method=cell.method,
            top1_percent=cell.top1_percent,
            std_percent=cell.std_percent,
            n=cell.n,
        )
        for cell in pool(runs)
        if cell.top1_percent is not None and cell.method != TEACHER
    }
    return Expected(cells, poolable(runs).set_index(CELL).sort_index())


def _csv_rows(text: str) -> list[dict[str, Any]]:
    """Rows with the fields that an expectation has, empty ones left out, so that a tables/main.csv serves as well."""
    rows = csv.DictReader(text.splitlines())
    found = [{name: value for name, value in row.items() if name in Expectation.model_fields and value} for row in rows]
    return [row for row in found if "top1_percent" in row and row.get("method") != TEACHER]
