"""A metric of finished runs, computed from what they said of the test images: nothing is trained."""

from collections.abc import Iterable
from dataclasses import replace

from analysis.runs.alike import Row
from analysis.runs.banks import Banks, valued
from analysis.runs.load import Results, plain
from analysis.style import TEACHER
from benchmark.ground.errors import UsageError
from benchmark.metrics import Metric
from benchmark.records.predictions import HELD

RUN = ("dataset", "pair", "method", "seed", "run_id")
"""Columns that say which run a row is of."""


def scored(results: Results, metric: Metric) -> tuple[list[Row], list[str]]:
    """A row for each finished run, with RUN and the metric, None where it is not defined, and one for each pair's
    teachers, unless the metric compares with a teacher; and a line for whatever predictions cannot serve.

    Raises UsageError for a metric that needs what no predictions hold.
    """
    if lacking := [need for need in metric.needs if need not in HELD]:
        raise UsageError(f"metric {metric.name} needs {' and '.join(lacking)}, which predictions do not hold")
    banks, done = Banks(results.records), plain(results.runs[results.runs.status == "done"])
    problems: dict[str, None] = {}
    values: dict[str, float | None] = {}
    for run_id in {row["run_id"]: None for row in done}:
        try:
            values[run_id] = banks.value(run_id, metric)
        except UsageError as error:
            problems[str(error)] = None
    found = [] if metric.of_teacher else [*_of_teachers(done, banks, metric, problems)]
    for row in done:
        if row["run_id"] in values:
            found.append({**{name: row[name] for name in RUN}, metric.name: values[row["run_id"]]})
    return found, list(problems)


def _of_teachers(done: Iterable[Row], banks: Banks, metric: Metric, problems: dict[str, None]) -> Iterable[Row]:
    """The pair's own are those of runs under no control; another is its control's, as `teacher@random`."""
    taught: dict[tuple[str, str, str], Row] = {}
    for row in sorted(done, key=lambda row: "@" in row["method"]):
        taught.setdefault((row["dataset"], row["pair"], row["teacher_id"]), row)
    for (dataset, pair, teacher_id), row in taught.items():
        try:
            value = valued(teacher_id, metric, banks.of_teacher(row["run_id"]))
        except UsageError as error:
            problems[str(error)] = None
            continue
        _, at, control = row["method"].rpartition("@")
        own = {"method": f"{TEACHER}@{control}" if at else TEACHER, "seed": row["teacher_seed"], "run_id": teacher_id}
        yield {"dataset": dataset, "pair": pair, **own, metric.name: value}


def filled(results: Results, metric: Metric) -> tuple[Results, list[str]]:
    """The results with the metric of kept predictions where records have none, as those that were made before there was
    such a metric; and a line if some have neither."""
    runs = results.runs
    lacking = (runs.status == "done") & runs[metric.name].isna()
    if not lacking.any() or not HELD.issuperset(metric.needs):
        return results, []
    found, problems = scored(replace(results, runs=runs[lacking]), metric)
    values = {row["run_id"]: row[metric.name] for row in found}
    mended = runs[metric.name].astype(float).fillna(runs.run_id.map(values).astype(float))
    said = (
        f"{metric.name} of {lacking.sum()} runs is in no record, and was computed from the predictions of {len(values)}"
    )
    said += f": python -m analysis.score --metric {metric.name} names the others"
    return replace(results, runs=runs.assign(**{metric.name: mended})), [said] if problems else []
