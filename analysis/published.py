"""Published numbers beside reproduced ones: `results/reference/published.csv` and the names it goes by."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.cells import Cell
from analysis.statistics import mean_half_width
from analysis.style import CONTROL, TEACHER
from benchmark.errors import UsageError

FILE = Path(__file__).parent.parent / "results" / "reference" / "published.csv"

LAST_EPOCH = ("CRD (Tian 2020)", "MHGD (Lee & Song BMVC 2019)")
"""Sources whose `top1_acc` is that of the last epoch, the suite's protocol. RepDistiller says so in its training
script; the slides of MHGD hold the last wherever its authors' benchmark gives last and best. Other sources report the
best epoch on the test set or do not say, and are compared with only where they give `top1_acc_last`.
"""

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

SPELLINGS = {"wresnet": "wrn"}
"""Beginnings of architectures' names that mean the same."""


@dataclass(frozen=True)
class Match:
    """A cell whose number was published: accuracies in percent, `difference` reproduced minus published in percentage
    points with the half-width of the reproduced mean's 95 % interval (None with one run).
    """

    cell: Cell
    paper: str
    source: str
    published: float
    published_std: float | None
    reproduced: float
    difference: float
    half_width: float | None


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


def compare(cells: Sequence[Cell], published: Mapping[Key, list[Published]]) -> list[Match]:
    """Every finished cell of which a number was published, once for each source, in the order of the cells."""
    return [_match(cell, each) for cell in cells for each in _of(cell, published)]


def _of(cell: Cell, published: Mapping[Key, list[Published]]) -> Iterable[Published]:
    if cell.top1_percent is None:
        return []
    place = (_name(cell.dataset), _network(cell.teacher), _network(cell.student))
    names = METHODS.get(cell.method, (cell.method,))
    return [each for name in names for each in published.get((*place, _name(name)), [])]


def _match(cell: Cell, published: Published) -> Match:
    assert cell.top1_percent is not None
    half_width = None if cell.std_percent is None else mean_half_width(cell.std_percent, cell.n)
    return Match(
        cell=cell,
        paper=published.paper,
        source=published.source,
        published=published.value,
        published_std=published.std,
        reproduced=cell.top1_percent,
        difference=cell.top1_percent - published.value,
        half_width=half_width,
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
