"""More seeds for some pairs of a grid, by a file that `python -m analysis.plan --open` writes. No torch here."""

import argparse
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator

from benchmark.ground.errors import UsageError, unknown
from benchmark.spec import Grid, load_grid
from benchmark.spec.value import Name, Value, listed_once, parse, read_toml

DEFAULT_GRID = "digits"
MOST_SEEDS = 10_000

Blocks = frozenset[tuple[str, str]]
"""Data sets and pairs on them, by name."""


class Open(Value):
    """A pair on one data set, whose cells are open."""

    dataset: Name
    pair: Annotated[str, Field(min_length=1)]


class MoreSeeds(Value):
    """Which pairs of a grid get how many seeds, 0 to `seeds` - 1. Without a pair, nothing is left to train."""

    grid: Name
    seeds: Annotated[StrictInt, Field(gt=0, le=MOST_SEEDS)]
    pairs: tuple[Open, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        listed_once("pairs:", [f"{each.pair} on {each.dataset}" for each in self.pairs])
        return self

    @property
    def blocks(self) -> Blocks:
        return frozenset((each.dataset, each.pair) for each in self.pairs)


def meant(options: argparse.Namespace) -> tuple[Grid, MoreSeeds | None]:
    """The grid of a command line, and what --more-seeds says of it.

    Raises UsageError for a file that is not there, wrong, or of another grid, for a data set or pair that the grid
    lacks, and for options that choose pairs or seeds beside it.
    """
    if options.more_seeds is None:
        return load_grid(options.grid or DEFAULT_GRID), None
    for flag in ("seeds", "pairs", "datasets", "tune"):
        if getattr(options, flag):
            raise UsageError(f"--more-seeds takes no --{flag}: its file says which pairs get how many seeds")
    path: Path = options.more_seeds
    found = parse(MoreSeeds, read_toml(path, "--more-seeds"), source=str(path))
    grid = load_grid(options.grid or found.grid)
    if grid.name != found.grid:
        raise UsageError(f"{path}: grid = {found.grid!r} is not the grid {grid.name!r} that --grid names")
    for each in found.pairs:
        if each.dataset not in (known := [dataset.name for dataset in grid.datasets]):
            raise UsageError(f"{path}: {unknown('dataset', each.dataset, known)}")
        if each.pair not in (known := [pair.name for pair in grid.pairs]):
            raise UsageError(f"{path}: {unknown('pair', each.pair, known)}")
    return grid, found
