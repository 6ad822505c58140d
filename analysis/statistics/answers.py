"""What students and teachers answered for each test image, of runs that kept it."""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis.runs.alike import Row, grouped
from analysis.runs.banks import Banks
from analysis.style import CONTROL, count
from benchmark.ground.errors import UsageError
from benchmark.metrics import Array
from benchmark.metrics.classification import classes
from benchmark.metrics.fidelity import second
from benchmark.records.predictions import NoPredictionsError


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

Key = tuple[str, str, str, str]
"""Data set, pair, run id and the id of the teacher that the run is held against."""


def key(row: Row, teacher_id: str | None = None) -> Key:
    """Of a run held against its own teacher, or another."""
    return row["dataset"], row["pair"], row["run_id"], teacher_id or row["teacher_id"]


def held_against(row: Row, taught: Iterable[Row]) -> str | None:
    """Which of the teachers of these runs the student alone, that had none, is held against: its own, or that of its
    teacher's seed, or the only one. None where it could be several."""
    seeds = {other["teacher_id"]: other["teacher_seed"] for other in taught}
    if row["teacher_id"] in seeds:
        return str(row["teacher_id"])
    alike = [each for each, seed in seeds.items() if seed == row["teacher_seed"]] or [*seeds]
    return alike[0] if len(alike) == 1 else None


def answers(rows: Iterable[Row], banks: Banks) -> tuple[dict[Key, Answers], list[str]]:
    """Of these runs, those that kept what they said, the student alone beside the teachers of each method of its pair;
    and a line for others, if any did."""
    found: dict[Key, Answers] = {}
    problems: dict[str, UsageError] = {}
    usable, rows = 0, list(rows)
    for members in grouped(rows, "dataset", "pair"):
        methods = grouped([row for row in members if row["method"] != CONTROL], "method")
        for row in members:
            beside = [held_against(row, own) for own in methods] if row["method"] == CONTROL else []
            for teacher_id in filter(None, dict.fromkeys([row["teacher_id"], *beside])):
                try:
                    found[key(row, teacher_id)] = _answered(row["run_id"], teacher_id, banks)
                except UsageError as error:
                    problems[str(error)] = error
            usable += key(row) in found
    if not found:
        damaged = [text for text, error in problems.items() if not isinstance(error, NoPredictionsError)]
        why = damaged[0] if damaged else "no run and its teacher kept predictions"
        return {}, [f"fidelity and McNemar's tests not tabled: {why}"] if rows else []
    if not problems:
        return found, []
    said = f"fidelity: {count(len(rows) - usable, 'run')} of {len(rows)} cannot be used: "
    first, others = list(problems)[:SHOWN], len(problems) - SHOWN
    more = [f"and {others} more, which python -m analysis.score names"] if others > 0 else []
    return found, [said + "; ".join(first + more)]


def _answered(run_id: str, teacher_id: str, banks: Banks) -> Answers:
    given = banks.of(run_id).given(banks.of_teacher(run_id, teacher_id))
    ours, its, labels = classes(given["logits"]), classes(given["teacher_logits"]), given["labels"]
    return Answers(ours == labels, its == labels, ours == its, ours == second(given["teacher_logits"]))
