"""Runs pooled over seeds: one cell for each data set x pair x method, which knows its holes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any, Protocol

import pandas as pd

from analysis.runs.alike import CELL, POOLED, SETTINGS, Row, competes, differences, finished, grouped
from analysis.runs.load import plain
from analysis.runs.measured import ORIGIN
from analysis.runs.shared import own_teacher
from analysis.statistics.basic import summarise
from analysis.statistics.places import OfPlace
from analysis.style import CONTROL, TEACHER, listing_order, ranged
from benchmark.spec import digest

LONGEST_REASON = 140
"""Characters of a failure's message that a footnote repeats."""

WORDS = {"diverged": "diverged", "failed": "failed", "stale": "stale", "missing": "missing", "not_applicable": "n/a"}
"""What a cell without a result is called: the first of these states that any of its runs is in."""

COSTS = (
    *("parameters", "macs", "latency_seconds", "memory_bytes"),
    *("student_seconds", "teacher_seconds", "alone_seconds", "training_flops", "energy_joules"),
)
"""Columns of the runs, some of which nothing may have measured."""


@dataclass(frozen=True)
class Cell(OfPlace):
    """A method (or the teacher) on one pair. Accuracies are over the `n` of `seeds` runs that finished
    (for a teacher: over its n distinct runs); None where there is nothing to pool. Costs are means over the same runs;
    `measured_on` is the device of those that runs cannot tell (`runs.measured`).

    `state` is done; incomplete, where some seeds have no result; one of WORDS, where none has; or mixed, where the runs
    were not made alike and must not be pooled. `note` says why. `apart` says what a method was trained with otherwise
    than the student alone: a control with more epochs, say; whether it `competes` with it all the same, `runs.alike`
    says. Where a pair has no student alone to compare with and its
    methods were not trained alike, `caveat` says what differs. `epochs` are those of the main schedule, `options` those
    of the method, as JSON; `settings` is a hash of what cells of several students must agree in to be read together:
    SETTINGS but for the student. `published_as` is the data set's name where none of its images were left out: what
    published numbers are about.
    """

    dataset: str
    pair: str
    teacher: str
    student: str
    method: str
    seeds: int
    n: int
    top1_percent: float | None
    std_percent: float | None
    state: str
    note: str
    caveat: str = ""
    apart: str = ""
    competes: bool = True
    options: str = "{}"
    epochs: int | None = None
    settings: str = ""
    test_images: int | None = None
    published_as: str = ""
    parameters: float | None = None
    macs: float | None = None
    training_flops: float | None = None
    student_seconds: float | None = None
    teacher_seconds: float | None = None
    alone_seconds: float | None = None
    latency_seconds: float | None = None
    memory_bytes: float | None = None
    energy_joules: float | None = None
    measured_on: str | None = None

    def row(self, *columns: str) -> dict[str, Any]:
        """A row of a CSV file: which cell it is, then these fields."""
        return {name: getattr(self, name) for name in ("dataset", "pair", "teacher", "student", "method", *columns)}


class OfNetworks(Protocol):
    """Whatever belongs to a pair of a data set and knows its student."""

    @property
    def dataset(self) -> str: ...

    @property
    def pair(self) -> str: ...

    @property
    def student(self) -> str: ...


def networks(cell: OfNetworks) -> tuple[str, str]:
    """The teacher of a cell's pair, which a control's own may not be, and the student."""
    return own_teacher(cell.pair, cell.student), cell.student


def pair_title(cell: OfNetworks) -> str:
    return f"{cell.dataset}: {' → '.join(networks(cell))}"


def pool(runs: pd.DataFrame) -> list[Cell]:
    """The teacher's and every method's cell, by data set and pair, methods in listing order."""
    cells = []
    # Plain values, because hundreds of tiny tables take a data frame seconds.
    for rows in grouped(plain(runs), *CELL[:2]):
        done = finished(rows)
        alone = [row for row in done if row["method"] == CONTROL]
        comparable = bool(alone) and not differences(POOLED, alone)
        caveat = "" if comparable else differences(SETTINGS, done)
        members = []
        for group in grouped(rows, "method"):
            apart = differences(SETTINGS, alone, finished(group)) if comparable else ""
            rival = not comparable or competes(finished(group), alone)
            members.append(_cell(group, caveat=caveat, apart=apart, competes=rival))
        # A control may have another teacher; the pair's own is that of the student alone.
        taught = [row for row in (alone if comparable else rows) if row["teacher_top1"] is not None]
        if taught:
            members.append(_teacher_cell(taught, caveat))
        cells += sorted(members, key=lambda cell: listing_order(cell.method))
    return cells


def with_several_options(runs: pd.DataFrame) -> list[str]:
    """Methods that have other options, or another revision, on one pair than on another, in listing order."""
    hashes = runs[runs.pooled].groupby("method").method_hash.nunique()
    return sorted(hashes[hashes > 1].index, key=listing_order)


def _cell(rows: Sequence[Row], *, caveat: str, apart: str, competes: bool) -> Cell:
    done, holes = finished(rows), [row for row in rows if row["status"] != "done"]
    state = "incomplete" if holes else "done"
    notes = [_hole(group) for group in grouped(holes, "status", "reason")]
    if not done:
        state = next(word for status, word in WORDS.items() if status in {row["status"] for row in holes})
    elif unlike := differences(POOLED, done):
        state, notes = "mixed", [f"not pooled, because its runs differ in {unlike}", *notes]
        done = []
    numbers = {**_pooled(done, "top1"), **_mean_costs(done, {name: name for name in COSTS}), **_epochs(done, "epochs")}
    numbers |= {**_of_data(done), **_settings(done)}
    text: dict[str, Any] = {"state": state, "note": "; ".join(notes), "caveat": caveat}
    text |= {"apart": apart, "competes": competes} | ({"options": done[0]["options"]} if done else {})
    seeds = len({row["seed"] for row in rows})
    measured_on = next((row[ORIGIN] for row in done if row.get(ORIGIN)), None)
    return Cell(**_place(rows), method=rows[0]["method"], seeds=seeds, measured_on=measured_on, **text, **numbers)


def _teacher_cell(rows: Sequence[Row], caveat: str) -> Cell:
    """The distinct teachers of a pair, by their weights: a network that is used as it came is one, whatever the seed.
    Their budgets are those of inference."""
    teachers = list({row["teacher_weights_sha256"] or row["teacher_id"]: row for row in reversed(rows)}.values())[::-1]
    state, note = "done", ""
    if unlike := differences({"teacher_hash": SETTINGS["teacher_hash"]}, rows):
        state, note, teachers = "mixed", f"not pooled, because runs differ in {unlike}", []
    costs = _mean_costs(teachers, {"parameters": "teacher_parameters", "macs": "teacher_macs"})
    numbers: dict[str, Any] = {"seeds": len(teachers), **_pooled(teachers, "teacher_top1"), **costs}
    numbers |= {**_epochs(teachers, "teacher_epochs"), **_of_data(teachers)}
    return Cell(**_place(rows), method=TEACHER, state=state, note=note, caveat=caveat, **numbers)


def _place(rows: Sequence[Row]) -> dict[str, Any]:
    return {name: rows[0][name] for name in ("dataset", "pair", "teacher", "student")}


def _pooled(rows: Sequence[Row], column: str) -> dict[str, Any]:
    """Accuracies, shares of 1 in seed order, in percent."""
    summary = summarise([100 * float(row[column]) for row in rows])
    return {"n": summary.n, "top1_percent": summary.mean, "std_percent": summary.std}


def _epochs(rows: Sequence[Row], column: str) -> dict[str, int | None]:
    """None for a network that is used as it came, whose training the suite does not know."""
    return {"epochs": int(rows[0][column]) or None} if rows else {}


def _of_data(rows: Sequence[Row]) -> dict[str, Any]:
    """Of runs on one data set; how many test images it has, older records do not all say."""
    images = next((int(row["test_images"]) for row in rows if row.get("test_images")), None)
    whole = bool(rows) and bool(rows[0]["whole_dataset"])
    return {"test_images": images, "published_as": rows[0]["dataset_name"] if whole else ""}


def _settings(rows: Sequence[Row]) -> dict[str, str]:
    """Of runs that were made alike."""
    common = [name for name in SETTINGS if name != "student_hash"]
    return {"settings": digest([next((row[name] for row in rows if row[name]), None) for name in common])}


def _mean_costs(rows: Sequence[Row], columns: Mapping[str, str]) -> dict[str, Any]:
    known = {
        name: [float(row[column]) for row in rows if row.get(column) is not None] for name, column in columns.items()
    }
    return {name: summarise(values).mean for name, values in known.items()}


def _hole(rows: Sequence[Row]) -> str:
    """Runs that have no result for one reason: `seeds 0 and 2 diverged (the loss was not finite in epoch 3)`."""
    which = f"seed{'s' if len(rows) > 1 else ''} {ranged(row['seed'] for row in rows)}"
    first = rows[0]
    reason = "" if first["reason"] is None else f" ({shorten(first['reason'], LONGEST_REASON, placeholder=' ...')})"
    return f"{which} {first['status'].replace('_', ' ')}{reason}"
