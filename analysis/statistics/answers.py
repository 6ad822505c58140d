"""What students and teachers answered for each test image, of runs that kept it."""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis.runs.alike import Row, grouped
from analysis.runs.banks import Banks
from analysis.style import CONTROL, count
from benchmark.errors import UsageError
from benchmark.metrics import Array
from benchmark.metrics.classification import classes
from benchmark.metrics.fidelity import second


@dataclass(frozen=True, eq=False)
class Answers:
    """For each test image [N]: whether the student is `right`, whether the teacher is, whether they `agreed`, and
    whether the student gave the teacher's `second` choice."""

    right: Array
    teacher_right: Array
    agreed: Array
    second: Array


SHOWN = 3
"""How many runs a note names."""

Key = tuple[str, str, str]
"""Data set, pair and run id: a student alone may be of several pairs, each with its teacher."""


def answers(rows: Iterable[Row], banks: Banks) -> tuple[dict[Key, Answers], list[str]]:
    """Of these runs, those that kept what they said; and a line for others, if any did."""
    found: dict[Key, Answers] = {}
    problems: dict[str, None] = {}
    rows = list(rows)
    for members in grouped(rows, "dataset", "pair"):
        teachers = {row["teacher_id"] for row in members if row["method"] != CONTROL}
        for row in members:
            own = row["teacher_id"] if row["teacher_id"] in teachers or len(teachers) != 1 else min(teachers)
            try:
                found[row["dataset"], row["pair"], row["run_id"]] = _answered(row["run_id"], own, banks)
            except UsageError as error:
                problems[str(error)] = None
    if not found:
        return {}, ["fidelity and McNemar's tests not tabled: no run and its teacher kept predictions"] if rows else []
    if not problems:
        return found, []
    said = f"fidelity: {count(len(rows) - len(found), 'run')} of {len(rows)} cannot be used: "
    first, others = list(problems)[:SHOWN], len(problems) - SHOWN
    more = [f"and {others} more, which python -m analysis.score names"] if others > 0 else []
    return found, [said + "; ".join(first + more)]


def _answered(run_id: str, teacher_id: str, banks: Banks) -> Answers:
    given = banks.of(run_id).given(banks.of_teacher(run_id, teacher_id))
    ours, its, labels = classes(given["logits"]), classes(given["teacher_logits"]), given["labels"]
    return Answers(ours == labels, its == labels, ours == its, ours == second(given["teacher_logits"]))
