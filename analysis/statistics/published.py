"""Published numbers beside reproduced ones: `results/reference/published.csv` and the names it goes by."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.statistics.cells import Cell
from analysis.statistics.paired import mean_half_width
from analysis.style import CONTROL, TEACHER
from benchmark.errors import UsageError

FILE = Path(__file__).parent.parent.parent / "results" / "reference" / "published.csv"

LAST_EPOCH = ("CRD (Tian 2020)", "MHGD (Lee & Song BMVC 2019)")
"""Sources whose `top1_acc` is that of the last epoch, the suite's protocol. RepDistiller says so in its training
script; the slides of MHGD hold the last wherever its authors' benchmark gives last and best. Other sources report the
best epoch on the test set or do not say, and are compared with only where they give `top1_acc_last`.
"""

EPOCHS = {
    "CRD (Tian 2020)": 240,
    "MHGD (Lee & Song BMVC 2019)": 100,
    "MHGD authors TF benchmark (2019)": 100,
}
"""For how many epochs the sources that are compared with trained, by their code; phases before these not counted."""

METHODS = {
    TEACHER: ("teacher",),
    CONTROL: ("student",),
    "kd": ("KD", "Soft-logits"),
    "fitnet": ("FitNet",),
    "rkd_da": ("RKD",),
    "kd+sp": ("SP+KD",),
    "kd+rkd_da": ("RKD+KD",),
}
"""What a method of the suite is called in the literature, where it is not by its own name. RKD is the sum of its
distance and angle terms in every source that is compared with, FitNet the one-stage form but where OTHERWISE says so.
"""

OTHERWISE = {("MHGD", "FitNet"): "fitnet_two_stage"}
"""What is meant by a name, by the first word of the paper: MHGD's authors train hints for 40 epochs before the rest."""

FAR = 1.0
"""Percentage points by which a reproduced number differs more than chance and devices would have it."""

SPELLINGS = {"wresnet": "wrn"}
"""Beginnings of architectures' names that mean the same."""


@dataclass(frozen=True)
class Match:
    """A cell whose number was published: accuracies in percent, `difference` reproduced minus published in percentage
    points with the half-width of the reproduced mean's 95 % interval (None with one run). The gains are over the
    student alone in percentage points, of the same source and over paired seeds; None where there is no such student.
    `published_epochs` are what the source trained for, None where that is not known.
    """

    cell: Cell
    paper: str
    source: str
    published: float
    published_std: float | None
    reproduced: float
    difference: float
    half_width: float | None
    published_gain: float | None = None
    reproduced_gain: float | None = None
    published_epochs: int | None = None

    @property
    def far(self) -> bool:
        return abs(self.difference) > FAR

    @property
    def shorter(self) -> bool:
        """Whether the cell was trained for fewer epochs than the source's."""
        ours, theirs = self.cell.epochs, self.published_epochs
        return ours is not None and theirs is not None and ours < theirs


@dataclass(frozen=True)
class Published:
    """One published number, in percent, and where it stands."""

    paper: str
    source: str
    value: float
    std: float | None


Key = tuple[str, str, str, str]


def read(file: Path = FILE) -> dict[Key, list[Published]]:
    """Last-epoch top-1 accuracies by data set, teacher, student and method, all normalised.

    Raises UsageError for a file that is not there or lacks a column.
    """
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise UsageError(f"published numbers {str(file)!r} cannot be read: {error.strerror}") from None
    found: dict[Key, list[Published]] = {}
    try:
        for row in rows:
            if row["metric"] == "top1_acc_last" or (row["metric"] == "top1_acc" and row["paper"] in LAST_EPOCH):
                method = OTHERWISE.get((row["paper"].partition(" ")[0], row["method"]), row["method"])
                key = (_name(row["dataset"]), _network(row["teacher"]), _network(row["student"]), _name(method))
                std = float(row["std"]) if row["std"] else None
                found.setdefault(key, []).append(Published(row["paper"], row["source"], float(row["value"]), std))
    except KeyError as error:
        raise UsageError(f"published numbers {str(file)!r} have no column {error}") from None
    return found


def compare(
    cells: Sequence[Cell], published: Mapping[Key, list[Published]], gains: Mapping[tuple[str, str, str], float]
) -> list[Match]:
    """Every finished cell of which a number was published, once for each source, in the order of the cells.

    gains: of cells over the student alone, in percentage points, by data set, pair and method.
    """
    found = []
    for cell in cells:
        alone = {each.paper: each.value for each in _of(cell, CONTROL, published)}
        gain = gains.get((cell.dataset, cell.pair, cell.method))
        found += [_match(cell, each, gain, alone.get(each.paper)) for each in _of(cell, cell.method, published)]
    return found


def apart(matches: Sequence[Match]) -> str:
    """How many are far from what was published, and how many of those were trained for less."""
    far = [match for match in matches if match.far]
    shorter = sum(match.shorter for match in far)
    fewer = f", {shorter} of them trained for fewer epochs" if shorter else ""
    return f"{len(far)} of {len(matches)} differ by more than a point{fewer}."


def _of(cell: Cell, method: str, published: Mapping[Key, list[Published]]) -> Iterable[Published]:
    """What was published of a method on the cell's pair."""
    if cell.top1_percent is None:
        return []
    place = (_name(cell.dataset), _network(cell.teacher), _network(cell.student))
    return [each for name in METHODS.get(method, (method,)) for each in published.get((*place, _name(name)), [])]


def _match(cell: Cell, published: Published, gain: float | None, alone: float | None) -> Match:
    """gain: the cell's; alone: what the same source gives for the student alone."""
    assert cell.top1_percent is not None
    half_width = None if cell.std_percent is None else mean_half_width(cell.std_percent, cell.n)
    gains = (None, None) if gain is None or alone is None else (published.value - alone, gain)
    return Match(
        cell=cell,
        paper=published.paper,
        source=published.source,
        published=published.value,
        published_std=published.std,
        reproduced=cell.top1_percent,
        difference=cell.top1_percent - published.value,
        half_width=half_width,
        published_gain=gains[0],
        reproduced_gain=gains[1],
        published_epochs=EPOCHS.get(published.paper),
    )


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
