"""`python -m analysis.verify results/<grid>`: does a grid reproduce what is expected of it, cell by cell?

A cell is *within* if its mean and the expected one are not told apart (t-test with variances pooled over both sides and
moderated within their pair, Holm-adjusted over all cells, so that a sound grid raises a false alarm once in twenty
times, not once in twenty cells), or if its runs are identical; *outside* if they are told apart, or if seeds that are
expected to finish diverged or are not applicable; *undecided* if they are told apart under teachers of other weights,
of which a side has one only, or if seeds crashed, or ended without a result that nobody expects; *too few seeds* if no
spread is known; *other setup* if it was not trained as the expected one; *missing* if it has no result.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from analysis import REFERENCE
from analysis.runs.alike import POOLED
from analysis.statistics.expected import Expectation, Expected, expected, of_results
from analysis.statistics.places import Place
from analysis.style import NO_VALUE, calling, display_name, ranged, signed
from benchmark.ground.command import Parser, command, run_command
from benchmark.ground.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from analysis.statistics.basic import Sample
    from analysis.statistics.moderated import Estimate
    from analysis.tables.table import Table


ALL_WITHIN, OUTSIDE, UNDECIDED = 0, 1, 3
"""Exit codes beside USAGE: every cell within; one outside or of another setup; none outside, but some undecided."""


@dataclass(frozen=True)
class Verdict:
    """What is expected of a cell and what its `n` runs gave (percent), the `resolution` (the difference in percentage
    points that would just have been seen in this cell alone: half of the 95 % interval) and the word for it: within,
    outside, undecided, too few seeds, other setup or missing; `note` says more.
    """

    expectation: Expectation
    top1_percent: float | None = None
    n: int = 0
    resolution: float | None = None
    word: str = "missing"
    note: str = ""


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Print a verdict for each cell; the exit code sums them up."""
    options = _parser().parse_args(arguments)
    if not options.folder.is_dir():
        raise UsageError(f"results folder {str(options.folder)!r} does not exist")
    source = options.against or _reference(options.folder)
    from analysis.runs.load import load
    from analysis.tables.markdown import markdown

    results = load([options.folder])
    ours, wanted = of_results(results), expected(source)
    verdicts = verify(ours, wanted)
    with calling(results.labels):
        print(markdown(table(verdicts, options.folder, source)))
    print(_account(verdicts))
    not_compared = (*ours.unusable, *wanted.unusable)
    for problem in dict.fromkeys((*results.problems, *not_compared)):
        print(f"warning: {problem}", file=sys.stderr)
    return code(verdicts, all_compared=not not_compared)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m analysis.verify",
        description="Compare a results folder with what is expected of it, cell by cell.",
        epilog="Exit code: 0 every cell is within; 1 a cell is outside or was trained otherwise; 2 bad input; 3 no "
        "cell is outside, but some are undecided, have too few seeds or no result, or could not be compared.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a results folder, such as results/digits")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="WHAT",
        help="another results folder, or a .toml ([[cell]] tables) or .csv file with dataset, pair, method, "
        "top1_percent and, where known, std_percent and n; by default the committed results of its grid",
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


def verify(ours: Expected, wanted: Expected) -> list[Verdict]:
    """A verdict for each expected cell, in the order of the expectations."""
    from analysis.statistics.basic import ALPHA, holm

    found = {place: _compared(ours, wanted, place) for place in wanted.cells}
    tests = _tests(ours, wanted, {place: found[place].word for place in found if found[place].word in (SAME, UNJUDGED)})
    judged = [place for place in tests if found[place].word == UNJUDGED]
    adjusted = holm([tests[place].p for place in judged])
    for place, p in zip(judged, adjusted, strict=True):
        verdict = found[place]
        word = UNJUDGED if p is None else "within" if p >= ALPHA else "undecided" if verdict.note else "outside"
        found[place] = replace(verdict, resolution=tests[place].half_width(), word=word)
    return [_with_ended(verdict, ours, wanted, place) for place, verdict in found.items()]


SAME, UNJUDGED = "within", "too few seeds"
"""What records alone decide, and what a verdict is until a test gives another."""


def _compared(ours: Expected, wanted: Expected, place: Place) -> Verdict:
    """As far as records alone decide."""
    expectation, cell = wanted.cells[place], ours.cells.get(place)
    if cell is None:
        return Verdict(expectation)
    found = Verdict(expectation, cell.top1_percent, cell.n or 0, word=UNJUDGED)
    if ours.runs is None or wanted.runs is None:
        return found
    members, others = ours.runs.loc[[place]], wanted.runs.loc[[place]]
    if differing := _other_setup(members, others):
        return replace(found, word="other setup", note=differing)
    if _identical(members, others):
        return replace(found, resolution=0.0, word=SAME, note="identical runs")
    return replace(found, note=_other_teacher(members, others))


def _with_ended(verdict: Verdict, ours: Expected, wanted: Expected, place: Place) -> Verdict:
    """What seeds that ended otherwise than expected make of a verdict. One that diverges, or cannot be served, where it
    is expected to finish is outside; a crash, and seeds that nobody expects, only take its certainty from a within."""
    ended = dict(ours.ended.get(place, {}).items() - wanted.ended.get(place, {}).items())
    if not ended:
        return verdict
    finished = set() if wanted.runs is None else {*wanted.runs.loc[[place]].seed}
    departed = {seed for seed, status in ended.items() if status != "failed"} & finished
    word = "outside" if departed else "undecided" if verdict.word == "within" else verdict.word
    return replace(verdict, word=word, note="; ".join(filter(None, (verdict.note, *_ended_notes(ended)))))


def _ended_notes(ended: Mapping[int, str]) -> Iterator[str]:
    """`seeds 1 and 2 diverged`, for each way to end."""
    for status in sorted(set(ended.values())):
        seeds = sorted(seed for seed in ended if ended[seed] == status)
        yield f"seed{'s' if len(seeds) > 1 else ''} {ranged(seeds)} {status.replace('_', ' ')}"


def _other_teacher(members: "pd.DataFrame", others: "pd.DataFrame") -> str:
    """Teachers vary too: where one of each side is another, a difference may be theirs."""
    teachers = [set(side.teacher_weights_sha256.dropna()) for side in (members, others)]
    if teachers[0] == teachers[1] or not all(teachers) or min(map(len, teachers)) > 1:
        return ""  # students on labels alone may be recorded without a teacher
    return "under another teacher's weights"


def _tests(ours: Expected, wanted: Expected, words: Mapping[Place, str]) -> "Mapping[Place, Estimate]":
    """The difference of each cell's means, where there is a spread to judge it by. Cells of the same runs lend what
    these know, once.
    """
    from analysis.statistics.basic import Sample
    from analysis.statistics.moderated import Moderation, together

    found: dict[Place, Estimate] = {}
    for pair in dict.fromkeys(place[:2] for place in words):
        sides = {
            place: (_sample(ours.cells[place]), _sample(wanted.cells[place])) for place in words if place[:2] == pair
        }
        sides |= {place: (two[1], Sample(0, two[1].mean, None)) for place, two in sides.items() if words[place] == SAME}
        moderation = Moderation.fit(part for two in sides.values() if (part := together(*two)))
        found |= {place: tested for place, two in sides.items() if (tested := moderation.agreement(*two))}
    return found


def _sample(cell: Expectation) -> "Sample":
    from analysis.statistics.basic import Sample

    n = cell.n or (0 if cell.std_percent is None else 2)
    return Sample(n, cell.top1_percent, cell.std_percent if n > 1 else None)


def _other_setup(members: "pd.DataFrame", others: "pd.DataFrame") -> str:
    """What two cells were not trained alike in; the seeds, and the weights that came of training, may differ."""
    return " and ".join(title for name, title in POOLED.items() if set(members[name]) != set(others[name]))


def _identical(members: "pd.DataFrame", others: "pd.DataFrame") -> bool:
    """Whether each run is there too, with the same weights and result."""
    columns = ["run_id", "top1", "weights_sha256"]
    rows = set(members[columns].itertuples(index=False, name=None))
    return rows <= set(others[columns].itertuples(index=False, name=None))


def code(verdicts: Sequence[Verdict], *, all_compared: bool = True) -> int:
    words = {verdict.word for verdict in verdicts}
    if words & {"outside", "other setup"}:
        return OUTSIDE
    return ALL_WITHIN if words == {"within"} and all_compared else UNDECIDED


def _account(verdicts: Sequence[Verdict]) -> str:
    counts: Mapping[str, int] = Counter(verdict.word for verdict in verdicts)
    return ", ".join(f"{count} {word}" for word, count in counts.items())


TITLES = ("Expected", "Found", "n", "Difference", "Resolution", "Verdict")


def table(verdicts: Sequence[Verdict], folder: Path, source: Path) -> "Table":
    """Verdicts as a table, grouped by pair."""
    from analysis.tables.table import Column, Field, Group, Table

    def fields(verdict: Verdict) -> list[Field]:
        wanted, found = verdict.expectation, verdict.top1_percent
        spread = "" if wanted.std_percent is None else f"{wanted.std_percent:.2f}"
        texts = (
            NO_VALUE if found is None else f"{found:.2f}",
            str(verdict.n),
            NO_VALUE if found is None else signed(found - wanted.top1_percent),
            NO_VALUE if verdict.resolution is None else f"{verdict.resolution:.2f}",
            f"{verdict.word} ({verdict.note})" if verdict.note else verdict.word,
        )
        return [Field(f"{wanted.top1_percent:.2f}", spread), *map(Field, texts)]

    groups = []
    for dataset, pair in dict.fromkeys((v.expectation.dataset, v.expectation.pair) for v in verdicts):
        members = [v for v in verdicts if (v.expectation.dataset, v.expectation.pair) == (dataset, pair)]
        rows = [(display_name(v.expectation.method), fields(v)) for v in members]
        groups.append(Group(f"{dataset}: {pair}", rows))
    caption = (
        f"{folder} against {source}: test top-1 accuracy (%), expected ± SD, found over n seeds; difference in "
        "percentage points, and the least that would have been seen in this cell alone (half of its 95 % CI)."
    )
    return Table("verify", "", caption, [*map(Column.of, TITLES)], groups)


if __name__ == "__main__":
    run_command(main)
