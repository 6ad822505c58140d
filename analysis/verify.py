"""`python -m analysis.verify results/<grid>`: does a grid reproduce what is expected of it, cell by cell?

A cell is *within* if its mean and the expected one do not differ at the 5 % level (Welch's t-test, Holm-corrected over
all cells, so that a sound grid raises a false alarm once in twenty times, not once in twenty cells), or if its runs are
identical; *outside* if they do; *too few seeds* if there is no spread to judge by; *other setup* if it was not trained
as the expected one; *missing* if it has no result.
"""

import argparse
import csv
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field as Bound

from analysis.runs.alike import CELL, POOLED
from analysis.style import NO_VALUE, TEACHER, display_name, signed
from benchmark.errors import Parser, UsageError, run_command
from benchmark.spec import Value, parse

if TYPE_CHECKING:
    import pandas as pd

    from analysis.tables.table import Table


REFERENCE = Path(__file__).parent.parent / "results" / "reference"

ALL_WITHIN, OUTSIDE, UNUSABLE, UNDECIDED = 0, 1, 2, 3
"""Exit codes: every cell within; one outside or of another setup; bad input; none outside, but some undecided."""

Place = tuple[str, str, str]
"""Data set, pair, method."""


class Expectation(Value):
    """A cell's mean test top-1 accuracy over n runs and their sample standard deviation, in percent. Without a standard
    deviation and n the mean is taken to be exact.
    """

    dataset: str
    pair: str
    method: str
    top1_percent: Annotated[float, Bound(ge=0, le=100)]
    std_percent: Annotated[float, Bound(ge=0)] | None = None
    n: Annotated[int, Bound(gt=0)] | None = None


class Expectations(Value):
    """A TOML file of [[cell]] tables."""

    cell: tuple[Expectation, ...] = Bound(min_length=1)


@dataclass(frozen=True)
class Expected:
    """Cells by data set, pair and method; where they come from records, those runs too."""

    cells: Mapping[Place, Expectation]
    runs: "pd.DataFrame | None" = None


@dataclass(frozen=True)
class Verdict:
    """A cell's two means in percent, their difference in percentage points with half of its 95 % interval, and the word
    for it: within, outside, too few seeds, other setup or missing; `note` says more.
    """

    expectation: Expectation
    top1_percent: float | None
    n: int
    half_width: float | None
    p: float | None
    word: str
    note: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a verdict for each cell; the exit code sums them up."""
    options = _parser().parse_args(arguments)
    try:
        if not options.folder.is_dir():
            raise UsageError(f"results folder {str(options.folder)!r} does not exist")
        source = options.against or _reference(options.folder)
        from analysis.runs.load import load
        from analysis.tables.markdown import markdown

        results = load([options.folder])
        wanted = expected(source)
        verdicts = verify(of_runs(results.runs), wanted)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    print(markdown(table(verdicts, options.folder, source)))
    print(_account(verdicts))
    for problem in results.problems:
        print(f"warning: {problem}", file=sys.stderr)
    return code(verdicts)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m analysis.verify",
        description="Compare a results folder with what is expected of it, cell by cell.",
        epilog="Exit code: 0 every cell is within; 1 a cell is outside or was trained otherwise; 2 bad input; 3 no "
        "cell is outside, but some have too few seeds or no result.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a results folder, such as results/digits")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="WHAT",
        help="another results folder, or a .toml ([[cell]] tables) or .csv file with dataset, pair, method, "
        "top1_percent and, where known, std_percent and n; by default results/reference/<grid>",
    )
    return parser


def _reference(folder: Path) -> Path:
    found = REFERENCE / folder.resolve().name
    if not found.is_dir():
        known = sorted(path.name for path in REFERENCE.glob("*") if (path / "records").is_dir())
        raise UsageError(
            f"there is no reference {str(found)!r}; say with --against what to compare with (references: "
            f"{', '.join(known) or 'none'})"
        )
    return found


def expected(source: Path) -> Expected:
    """Raises UsageError for a source that is not there or not of its kind."""
    from analysis.runs.load import load

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


def of_runs(runs: "pd.DataFrame") -> Expected:
    """The cells of records, those left out that have no result or must not be pooled."""
    from analysis.statistics.cells import pool

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
    return Expected(cells, runs[runs.pooled].set_index(CELL).sort_index())


def _csv_rows(text: str) -> list[dict[str, Any]]:
    """Rows with the fields that an expectation has, empty ones left out, so that a tables/main.csv serves as well."""
    rows = csv.DictReader(text.splitlines())
    found = [{name: value for name, value in row.items() if name in Expectation.model_fields and value} for row in rows]
    return [row for row in found if "top1_percent" in row and row.get("method") != TEACHER]


def verify(ours: Expected, wanted: Expected) -> list[Verdict]:
    """A verdict for each expected cell, in the order of the expectations."""
    from analysis.statistics.paired import ALPHA, holm

    first = [_judge(ours, wanted, place) for place in wanted.cells]
    adjusted = holm([verdict.p for verdict in first])
    return [
        Verdict(v.expectation, v.top1_percent, v.n, v.half_width, p, "outside" if p < ALPHA else "within", v.note)
        if p is not None
        else v
        for v, p in zip(first, adjusted, strict=True)
    ]


def _judge(ours: Expected, wanted: Expected, place: tuple[str, str, str]) -> Verdict:
    expectation, cell = wanted.cells[place], ours.cells.get(place)
    if cell is None:
        return Verdict(expectation, None, 0, None, None, "missing")
    note = ""
    if ours.runs is not None and wanted.runs is not None:
        members, others = ours.runs.loc[[place]], wanted.runs.loc[[place]]
        if differing := _other_setup(members, others):
            return Verdict(expectation, cell.top1_percent, cell.n or 0, None, None, "other setup", differing)
        if _identical(members, others):
            return Verdict(expectation, cell.top1_percent, cell.n or 0, 0.0, None, "within", "identical runs")
        weights, theirs = (set(runs.teacher_weights_sha256.dropna()) for runs in (members, others))
        if weights and theirs and weights != theirs:  # students on labels alone may be recorded without a teacher
            note = "under another teacher's weights"
    p, half_width = _welch(cell, expectation)
    return Verdict(expectation, cell.top1_percent, cell.n or 0, half_width, p, "too few seeds", note)


def _other_setup(members: "pd.DataFrame", others: "pd.DataFrame") -> str:
    """What two cells were not trained alike in; the seeds, and the weights that came of training, may differ."""
    return " and ".join(title for name, title in POOLED.items() if set(members[name]) != set(others[name]))


def _identical(members: "pd.DataFrame", others: "pd.DataFrame") -> bool:
    """Whether each run is there too, with the same weights and result."""
    columns = ["run_id", "top1", "weights_sha256"]
    rows = set(members[columns].itertuples(index=False, name=None))
    return rows <= set(others[columns].itertuples(index=False, name=None))


def _welch(cell: Expectation, wanted: Expectation) -> tuple[float | None, float | None]:
    """p that both means are the same, and half of their difference's 95 % interval; None where no spread is known."""
    from analysis.statistics.paired import Summary, mean_difference

    if cell.std_percent is None or cell.n is None or (wanted.n is not None and wanted.std_percent is None):
        return None, None
    ours = Summary(cell.n, cell.top1_percent, cell.std_percent)
    tested = mean_difference(ours, Summary(wanted.n or inf, wanted.top1_percent, wanted.std_percent))
    if tested is None:
        return (1.0 if abs(cell.top1_percent - wanted.top1_percent) < 1e-9 else 0.0), 0.0
    return tested.p, tested.half_width


def code(verdicts: Sequence[Verdict]) -> int:
    words = {verdict.word for verdict in verdicts}
    if words & {"outside", "other setup"}:
        return OUTSIDE
    return ALL_WITHIN if words == {"within"} else UNDECIDED


def _account(verdicts: Sequence[Verdict]) -> str:
    counts: Mapping[str, int] = Counter(verdict.word for verdict in verdicts)
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def table(verdicts: Sequence[Verdict], folder: Path, source: Path) -> "Table":
    """Verdicts as a table, grouped by pair."""
    from analysis.tables.table import Column, Field, Group, Table

    def fields(verdict: Verdict) -> tuple[Field, ...]:
        wanted = verdict.expectation
        spread = "" if wanted.std_percent is None else f"{wanted.std_percent:.2f}"
        expected = Field(f"{wanted.top1_percent:.2f}", spread)
        note = f"{verdict.word} ({verdict.note})" if verdict.note else verdict.word
        if verdict.top1_percent is None:
            return expected, Field(NO_VALUE), Field("0"), Field(NO_VALUE), Field(note)
        half_width = "" if verdict.half_width is None else f"{verdict.half_width:.2f}"
        difference = Field(signed(verdict.top1_percent - wanted.top1_percent), half_width)
        return expected, Field(f"{verdict.top1_percent:.2f}"), Field(str(verdict.n)), difference, Field(note)

    groups = []
    for dataset, pair in dict.fromkeys((v.expectation.dataset, v.expectation.pair) for v in verdicts):
        members = [v for v in verdicts if (v.expectation.dataset, v.expectation.pair) == (dataset, pair)]
        rows = tuple((display_name(v.expectation.method), fields(v)) for v in members)
        groups.append(Group(f"{dataset}: {pair}", rows))
    caption = (
        f"{folder} against {source}: test top-1 accuracy (%), expected ± standard deviation, found over n seeds, and "
        "their difference in percentage points ± half of its 95 % interval."
    )
    columns = tuple(Column(title, (title,)) for title in ("Expected", "Found", "n", "Difference", "Verdict"))
    return Table("verify", caption, ("Method",), columns, tuple(groups), (), ())


if __name__ == "__main__":
    run_command(main)
