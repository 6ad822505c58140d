"""Published numbers beside reproduced ones: `published.csv` and the names it goes by."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.statistics.basic import ALPHA, Sample, holm
from analysis.statistics.cells import Cell
from analysis.statistics.gains import PairRuns
from analysis.statistics.moderated import Moderation
from analysis.statistics.places import Place
from analysis.style import CONTROL, TEACHER
from benchmark.ground.errors import UsageError
from benchmark.spec.value import Scalar

FILE = Path(__file__).with_name("published.csv")

METHODS = {
    TEACHER: ("teacher",),
    CONTROL: ("student",),
    "kd": ("KD", "Soft-logits"),
    "fitnet": ("FitNet",),
    "rkd_da": ("RKD",),
    "kd+sp": ("SP+KD",),
    "kd+rkd_da": ("RKD+KD",),
    "kd@without_3": ("KD without 3s",),
}
"""What a method of the suite is called in the literature, where it is not by its own name. RKD is the sum of its
distance and angle terms in every source that is compared with, FitNet the one-stage form but where OTHERWISE says so.
"""

OTHERWISE = {("MHGD", "FitNet"): "fitnet_two_stage"}
"""What is meant by a name, by the first word of the paper: MHGD's authors train hints for 40 epochs before the rest."""

HINTON = {"kd": {"temperature": 20.0, "ce": 1.0, "weight": 1.0}}

OPTIONS: Mapping[tuple[str, str], Mapping[str, Mapping[str, Scalar]]] = {
    ("Distillation", "kd"): HINTON,
    ("Distillation", "kd@without_3"): HINTON,
    ("GKD", "rkd_d"): {"rkd_d": {"stages": 3}},
    ("MHGD", "kd"): {"kd": {"ce": 0.7, "weight": 0.3, "t_squared": False}},
    ("MHGD", "rkd_da"): {"rkd_da": {"normalize": True}},
}
"""What a method of the suite needs to be the published one, by the first word of the paper, where that is not what it
has by default: with other options it is not compared."""

WITHIN, OUTSIDE, TOO_FEW = "within", "outside", "too few seeds"
"""Verdicts: the means do not differ at the 5 % level, they do, or neither side has a spread to judge by."""

SPELLINGS = {"wresnet": "wrn"}
"""Beginnings of architectures' names that mean the same."""


@dataclass(frozen=True)
class Published:
    """One published mean of top-1 accuracies in percent, and where it stands. `std` and `n` of runs, and the `epochs`
    of their main schedule, are None where the source does not say.
    """

    paper: str
    source: str
    value: float
    std: float | None
    n: int | None
    epochs: int | None


@dataclass(frozen=True)
class Match:
    """A cell whose number was published. `difference` is reproduced minus published accuracy in percentage points, with
    half of its 95 % interval: the least difference that would have been seen (None where there is no spread to judge
    by). `p` is of the test with variances moderated within our pair, corrected for all matches. The gains are over the
    student alone in percentage points, of the same source and of the same pair; None where there is no such student.
    """

    cell: Cell
    published: Published
    difference: float
    half_width: float | None
    p: float | None
    published_gain: float | None
    reproduced_gain: float | None

    @property
    def verdict(self) -> str:
        return TOO_FEW if self.p is None else OUTSIDE if self.p < ALPHA else WITHIN

    @property
    def shorter(self) -> bool:
        """Whether the cell was trained for fewer epochs than the source's."""
        ours, theirs = self.cell.epochs, self.published.epochs
        return ours is not None and theirs is not None and ours < theirs


Key = tuple[str, str, str, str]


def read(file: Path = FILE) -> dict[Key, list[Published]]:
    """Top-1 accuracies of the last epoch, errors as what they leave of 100 %, by data set, teacher, student and method,
    all normalised. Numbers of the best epoch on the test set, and of none that is known, are not comparable.

    Raises UsageError for a file that is not there or not of its kind.
    """
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise UsageError(f"published numbers {str(file)!r} cannot be read: {error.strerror}") from None
    found: dict[Key, list[Published]] = {}
    try:
        for row in rows:
            if row["epoch"] == "last" and row["metric"].startswith(("top1_acc", "top1_err")):
                found.setdefault(_key(row), []).append(_published(row))
    except KeyError as error:
        raise UsageError(f"published numbers {str(file)!r} have no column {error}") from None
    except ValueError as error:
        raise UsageError(f"published numbers {str(file)!r}: {error}") from None
    return found


def _key(row: Mapping[str, str]) -> Key:
    method = OTHERWISE.get((_word(row["paper"]), row["method"]), row["method"])
    return _name(row["dataset"]), _network(row["teacher"]), _network(row["student"]), _name(method)


def _published(row: Mapping[str, str]) -> Published:
    value, error = float(row["value"]), row["metric"].startswith("top1_err")
    return Published(
        paper=row["paper"],
        source=row["source"],
        value=100 - value if error else value,
        std=float(row["std"]) if row["std"] else None,
        n=int(row["n"]) if row["n"] else None,
        epochs=int(row["epochs"]) if row["epochs"] else None,
    )


def compare(
    cells: Sequence[Cell],
    published: Mapping[Key, list[Published]],
    pairs: Sequence[PairRuns],
    gains: Mapping[Place, float],
) -> list[Match]:
    """Every finished cell of which a number was published, once for each source, in the order of the cells.

    gains: of cells over the student alone, in percentage points.
    """
    moderations = {pair.block: pair.moderation for pair in pairs}
    found = []
    for cell in cells:
        alone = {each.paper: each.value for each in _of(cell, CONTROL, published)}
        gain = gains.get(cell.place)
        lent = Moderation() if cell.method == TEACHER else moderations.get(cell.block, Moderation())
        found += [_match(cell, each, lent, gain, alone.get(each.paper)) for each in _of(cell, cell.method, published)]
    adjusted = holm([match.p for match in found])
    return [replace(match, p=p) for match, p in zip(found, adjusted, strict=True)]


def account(matches: Sequence[Match]) -> str:
    """How many are of each verdict, and how many of those outside were trained for less."""
    counts = Counter(match.verdict for match in matches)
    shorter = sum(match.shorter for match in matches if match.verdict == OUTSIDE)
    listed = [f"{counts[verdict]} {verdict}" for verdict in (WITHIN, OUTSIDE, TOO_FEW) if counts[verdict]]
    fewer = f"; {shorter} of those outside were trained for fewer epochs" if shorter else ""
    return f"Of {len(matches)}, {', '.join(listed)}{fewer}."


def _of(cell: Cell, method: str, published: Mapping[Key, list[Published]]) -> Iterable[Published]:
    """What was published of a method on the cell's pair."""
    if cell.top1_percent is None or not cell.published_as:
        return []
    place = (_name(cell.published_as), _network(cell.teacher), _network(cell.student))
    found = [each for name in METHODS.get(method, (method,)) for each in published.get((*place, _name(name)), [])]
    own = json.loads(cell.options)
    return [each for each in found if _is_meant(OPTIONS.get((_word(each.paper), method), {}), own)]


def _is_meant(wanted: Mapping[str, Mapping[str, Scalar]], own: Mapping[str, Mapping[str, Scalar]]) -> bool:
    """Whether options, by method, are those of a paper as far as it wants any."""
    return all(options.items() <= own.get(name, {}).items() for name, options in wanted.items())


def _match(cell: Cell, published: Published, lent: Moderation, gain: float | None, alone: float | None) -> Match:
    """gain: the cell's; alone: what the same source gives for the student alone. A number of runs that is not stated is
    taken for the least that there can have been: two with a spread, one without.
    """
    assert cell.top1_percent is not None
    n = published.n or (1 if published.std is None else 2)
    theirs = Sample(n, published.value, published.std if n > 1 else None)
    tested = lent.agreement(Sample(cell.n, cell.top1_percent, cell.std_percent), theirs)
    return Match(
        cell=cell,
        published=published,
        difference=cell.top1_percent - published.value,
        half_width=tested.half_width() or None if tested else None,
        p=tested.p if tested else None,
        published_gain=None if gain is None or alone is None else published.value - alone,
        reproduced_gain=None if alone is None else gain,
    )


def _word(paper: str) -> str:
    return paper.partition(" ")[0]


def _name(text: str) -> str:
    """A name without what spellings differ in: `ResNet-32x4` and `resnet32x4` are the same, and so are CIFAR-100 and
    cifar100. A plus stays, as it composes methods; brackets too, so that a variant is never taken for its method.
    """
    return re.sub(r"[\s_\-.]", "", text.casefold())


def _network(text: str) -> str:
    name = _name(text).removeprefix("cifar")
    for written, meant in SPELLINGS.items():
        if name.startswith(written):
            return meant + name.removeprefix(written)
    return name
