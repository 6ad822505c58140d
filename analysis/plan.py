"""`python -m analysis.plan`: how many seeds a claim needs, before a grid runs and while it does.

    python -m analysis.plan results/<grid> --gain 0.3                   # from the spread that its runs have
    python -m analysis.plan --sd 0.25 --methods 8 --pairs 13            # before anything ran
    python -m analysis.plan results/<grid> --open --to 10 --out seeds.toml

The last names the pairs with cells that are open, neither established nor equivalent, for `benchmark.grid
--more-seeds`. Looking again and again raises the rate of false alarms, so that looks are fixed beforehand, at LOOKS
seeds, and each tests at its share of 0.05.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.ground.command import Parser, command, number, points, run_command
from benchmark.ground.errors import COMPLETE, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from analysis.statistics.evidence import Evidence
    from analysis.tables.table import Field, Table

SEEDS = (3, 5, 10, 20)
"""For which the smallest gains are told."""

LOOKS = (3, 5, 10)
"""Seeds at which open verdicts may be looked at."""


@dataclass(frozen=True)
class Family:
    """What is tested together: `cells` of `methods` beside the student alone on so many `pairs`. `scales` are the
    variances of a run by pair, or one that holds for each pair.
    """

    scales: Mapping[str, float]
    pairs: int
    methods: int
    cells: int


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Print what a number of seeds can show, or write which pairs need more. Returns the exit code, 2 for bad input."""
    options = _parser().parse_args(arguments)
    _check(options)
    _name_open(options) if options.open else _tell_power(options)
    return COMPLETE


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m analysis.plan", description="How many seeds a claim needs; which pairs need more.")
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="a results folder, such as results/digits"
    )
    parser.add_argument("--gain", type=points, metavar="POINTS", help="also tell how many seeds this gain needs")
    parser.add_argument("--sd", type=points, metavar="POINTS", help="of a run, where there is no folder yet")
    parser.add_argument("--methods", type=number, metavar="M", help="with --sd: methods beside the student alone")
    parser.add_argument("--pairs", type=number, metavar="P", help="with --sd: teacher-student pairs of all data sets")
    parser.add_argument("--open", action="store_true", help="name the pairs that have open cells")
    looks = ", ".join(map(str, LOOKS))
    parser.add_argument("--to", type=int, metavar="N", help=f"with --open: the seeds of the next look, one of {looks}")
    parser.add_argument("--out", type=Path, metavar="FILE", help="with --open: a file for benchmark.grid --more-seeds")
    parser.add_argument("--delta", type=points, metavar="POINTS", help="with --open: margin of equivalence")
    return parser


def _check(options: argparse.Namespace) -> None:
    """Raises UsageError for options that do not go together."""
    given = {name for name, value in vars(options).items() if value}
    if "folder" in given and not options.folder.is_dir():
        raise UsageError(f"results folder {str(options.folder)!r} does not exist")
    if len(given & {"folder", "sd"}) != 1:
        raise UsageError("either a results folder or --sd with --methods and --pairs says how far runs spread")
    needed = {"sd": {"methods", "pairs"}, "open": {"folder", "to", "out"}}
    allowed = {"methods": "sd", "pairs": "sd", "to": "open", "out": "open", "delta": "open"}
    for name, others in needed.items():
        if name in given and others - given:
            raise UsageError(f"--{name} needs {' and '.join(sorted(_option(each) for each in others - given))}")
    for name, other in allowed.items():
        if name in given and other not in given:
            raise UsageError(f"--{name} goes with --{other} only")
    if options.open and options.gain:
        raise UsageError("--gain does not go with --open")
    if options.to and options.to not in LOOKS:
        raise UsageError(f"--to {options.to} is none of the looks at {', '.join(map(str, LOOKS))} seeds")


def _option(name: str) -> str:
    return "a results folder" if name == "folder" else f"--{name}"


def _tell_power(options: argparse.Namespace) -> None:
    from analysis.tables.markdown import markdown

    if options.sd:
        family = Family({"each pair": options.sd**2}, options.pairs, options.methods, options.methods * options.pairs)
    else:
        family = _family(_runs(options.folder))
    print(markdown(power_table(family, options.gain)))


def _runs(folder: Path) -> "pd.DataFrame":
    from analysis.runs.load import load

    results = load([folder])
    for problem in results.problems:
        print(f"warning: {problem}", file=sys.stderr)
    return results.runs


def _family(runs: "pd.DataFrame") -> Family:
    from analysis.statistics.gains import by_pair

    pairs = by_pair(runs)
    scales = {f"{pair.dataset}: {pair.pair}": pair.moderation.scale for pair in pairs if pair.moderation.lent}
    if not scales:
        raise UsageError("no pair has two cells of two runs that differ, so that no spread is known; --sd states one")
    cells = [method for pair in pairs for method in pair.compared]
    return Family(scales, len(scales), max(1, len(set(cells))), max(1, len(cells)))


def power_table(family: Family, gain: float | None) -> "Table":
    """The smallest gains that numbers of seeds establish, and, of a gain that is asked for, the seeds it needs."""
    from analysis.statistics.power import POWER
    from analysis.tables.table import Column, Group, Table

    rows = [_power_row(name, [scale], family.cells, family.methods, gain) for name, scale in family.scales.items()]
    if family.pairs > 1:
        everywhere = list(family.scales.values()) * (family.pairs // len(family.scales))
        rows.append(_power_row(f"mean over {family.pairs} pairs", everywhere, family.methods, family.methods, gain))
    mean = f"; in the mean over pairs, over {family.methods}" if family.pairs > 1 else ""
    wanted = [f"Seeds for {gain:g}"] if gain else []
    columns = [Column.of(title) for title in ("SD", *(f"n = {seeds}" for seeds in SEEDS), *wanted)]
    caption = (
        f"Smallest gain over the student alone (percentage points) that n seeds establish with power {POWER:g}: in a "
        f"cell, Holm-adjusted over {family.cells}{mean}. SD: of a run."
    )
    return Table("plan", "", caption, columns, [Group("", rows)], stub=("Pair",))


def _power_row(
    name: str, scales: Sequence[float], tests: int, methods: int, gain: float | None
) -> "tuple[str, tuple[Field, ...]]":
    from analysis.statistics.power import MOST_SEEDS, seeds_needed, smallest_gain
    from analysis.tables.table import Field

    spread = (sum(scales) / len(scales)) ** 0.5
    texts = [f"{spread:.2f}", *(f"{smallest_gain(scales, seeds, methods, tests):.2f}" for seeds in SEEDS)]
    if gain:
        texts.append(str(seeds_needed(gain, scales, methods, tests) or f"> {MOST_SEEDS}"))
    return name, tuple(map(Field, texts))


def _name_open(options: argparse.Namespace) -> None:
    """Write which pairs to train further, and say how to go on."""
    from analysis.statistics.evidence import collect_evidence
    from analysis.statistics.gains import DELTA
    from benchmark.ground.files import atomic

    delta = options.delta or DELTA
    runs = _runs(options.folder)
    cells, found = open_pairs(collect_evidence(runs, delta=delta, looks=len(LOOKS)), options.to)
    names = dict(zip(runs.dataset, runs.dataset_name, strict=True))
    for name, count in Counter(names.values()).items():
        if count > 1:
            headings = ", ".join(heading for heading, own in names.items() if own == name)
            raise UsageError(f"more seeds are trained by a data set's name, and {name!r} is that of {headings}")
    pairs = [(names[dataset], pair) for dataset, pair in found]
    text = seeds_file(options.folder, options.to, cells, pairs, delta)
    try:
        with atomic(options.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{str(options.out)!r} cannot be written: {error.strerror}") from None
    print(text.splitlines()[0].removeprefix("# "))
    if pairs:
        print(f"train them:  python -m benchmark.grid --more-seeds {options.out}")
    print(f"then:        python -m analysis {options.folder} --looks {len(LOOKS)}")


def open_pairs(evidence: "Evidence", seeds: int) -> tuple[int, list[tuple[str, str]]]:
    """How many cells are open, and the pairs (data set, pair) of those that have fewer seeds than these."""
    found = [gain for gain in evidence.gains.values() if gain.verdict in ("open", "untested")]
    short = [gain for gain in found if min(gain.n, gain.n_over) < seeds]
    return len(found), list(dict.fromkeys(gain.block for gain in short))


def seeds_file(folder: Path, seeds: int, cells: int, pairs: Sequence[tuple[str, str]], delta: float) -> str:
    """What `benchmark.grid --more-seeds` reads."""
    import tomli_w

    from analysis.style import count

    name = _grid_name(folder)
    look = LOOKS.index(seeds) + 1
    header = (
        f"# {name}: {count(cells, 'open cell')} (margin {delta:g} points), {count(len(pairs), 'pair')} to be trained "
        f"to {seeds} seeds, for look {look} of {len(LOOKS)} (at {', '.join(map(str, LOOKS))} seeds), each at "
        f"0.05/{len(LOOKS)}"
    )
    content = {"grid": name, "seeds": seeds, "pairs": [{"dataset": dataset, "pair": pair} for dataset, pair in pairs]}
    return f"{header}\n{tomli_w.dumps(content)}"


def _grid_name(folder: Path) -> str:
    """By the folder's grid.toml, of which nothing else is read."""
    from benchmark.spec.value import read_toml

    file = folder / "grid.toml"
    known = read_toml(file, "grid") if file.is_file() else {}
    return str(known.get("name", folder.resolve().name))


if __name__ == "__main__":
    run_command(main)
