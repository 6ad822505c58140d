"""What the command line prints: plans, states, lists. No torch here."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean, stdev

from rich.console import Console
from rich.table import Column, Table

from benchmark.command.display import clock
from benchmark.plan.values import Forecast, Plan
from benchmark.records import Folder, Record, RecordError
from benchmark.spec import Run

SHOWN_RUNS = 3

RECORDED = ("done", "diverged")
"""States of runs that were trained."""

ORDER = ("done", "diverged", "not_applicable", "running", "queued", "failed", "corrupt", "lost", "missing")


def counts(states: Iterable[str]) -> str:
    """`40 done, 2 failed, 6 missing`."""
    found = Counter(states)
    return ", ".join(f"{found[state]} {state.replace('_', ' ')}" for state in ORDER if found[state]) or "none"


def print_plan(
    plan: Plan, not_applicable: Mapping[str, str], forecast: Forecast, folder: Folder, console: Console
) -> None:
    """Teachers, cohorts, states, what cannot be served and why (by run id), forecast."""
    console.print(f"{len(plan.runs)} runs in {folder.path}: {counts(plan.states.values())}")
    table = Table("teacher", "state", "run id", title="Teachers", title_justify="left")
    for teacher in plan.teachers:
        name = f"{teacher.dataset.name} {teacher.student.name} seed {teacher.seed}"
        table.add_row(name, _teacher_state(teacher, plan, folder), teacher.id)
    console.print(table)
    if plan.cohorts:
        table = Table("cohort", "runs", "students", "methods", title="Cohorts to train", title_justify="left")
        for cohort in plan.cohorts:
            students = dict.fromkeys(run.student.name for run in cohort.runs)
            labels = dict.fromkeys(run.label for run in cohort.runs)
            table.add_row(cohort.name, str(len(cohort.runs)), " ".join(students), " ".join(labels))
        console.print(table)
    reasons = {(run.label, run.pair, not_applicable[run.id]) for run in plan.runs if run.id in not_applicable}
    for label, pair, reason in sorted(reasons):
        console.print(f"n/a: {label} on {pair}: {reason}")
    runs = f"{len(plan.missing)} runs{completions(plan)}"
    console.print(f"to train: {len(plan.missing_teachers)} teachers, {runs}; forecast time: {_cost(forecast)}")


def _teacher_state(teacher: Run, plan: Plan, folder: Folder) -> str:
    """`done, no weights` where nothing can learn from it any more, as where its record was merged."""
    state = plan.teacher_states[teacher.id]
    kept = teacher.as_it_came or folder.teachers.weights_path(teacher.id).exists()
    lost = state == "done" and not kept
    return f"{state.replace('_', ' ')}, no weights" if lost else state.replace("_", " ")


def _cost(forecast: Forecast) -> str:
    """`at least 1:09:19 of device time, from earlier runs; 6 runs were never measured (crd, teacher)`."""
    basis = f" of device time, from {', '.join(forecast.basis)}" if forecast.basis else ""
    if not (unknown := forecast.unknown):
        return clock(forecast.seconds) + basis
    if not basis:
        return "unknown"
    kinds = dict.fromkeys(run.label for run in unknown)
    return f"at least {clock(forecast.seconds)}{basis}; {len(unknown)} runs were never measured ({', '.join(kinds)})"


def completions(plan: Plan) -> str:
    return f", {plan.to_complete} to complete by their teacher" if plan.to_complete else ""


ENDED = {"not_applicable": "n/a", "diverged": "diverged"}
"""States of runs whose records say why they have no accuracy."""


def print_results(
    runs: Sequence[Run], records: Mapping[str, Record], states: Mapping[str, str], console: Console
) -> None:
    """Test accuracy by method and pair, of the runs that were asked for: mean ± standard deviation over seeds, and how
    those stand that have none; then why they ended so. As many pairs stand side by side as the terminal is wide."""
    cells: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        cells.setdefault(f"{run.dataset.name}: {run.pair}", {}).setdefault(run.label, []).append(run)
    methods = list(dict.fromkeys(run.label for run in runs))
    pairs = list(cells)
    beside = max(1, (console.width - max(map(len, methods)) - 4) // (max(map(len, pairs)) + 3))
    for shown in (pairs[start : start + beside] for start in range(0, len(pairs), beside)):
        table = Table("top-1 %", *(Column(pair, justify="right") for pair in shown))
        for method in methods:
            table.add_row(method, *(_accuracy(cells[pair].get(method, []), records, states) for pair in shown))
        console.print(table)
    ended = [(ENDED[states[run.id]], run) for run in runs if states[run.id] in ENDED]
    for line in dict.fromkeys(
        f"{how}: {run.label} on {run.pair}: {records[run.id].result.reason}" for how, run in ended
    ):
        console.print(line)


def _accuracy(runs: Sequence[Run], records: Mapping[str, Record], states: Mapping[str, str]) -> str:
    """`91.79 ± 1.34`, the divisor being n - 1; `90.10, 1 failed` where another seed has none."""
    results = (records[run.id].result.top1 for run in runs if run.id in records)
    found = [100 * top1 for top1 in results if top1 is not None]
    spread = f" ± {stdev(found):.2f}" if len(found) > 1 else ""
    others = [states[run.id] for run in runs if states[run.id] != "done"]
    return ", ".join(part for part in (found and f"{mean(found):.2f}{spread}", others and counts(others)) if part)


def problem_lines(states: Mapping[str, str], folder: Folder, unusable: Sequence[RecordError]) -> Iterator[str]:
    """Why runs failed and records cannot be read, in a few lines."""
    failed = [run_id for run_id, state in states.items() if state == "failed"]
    alone = [run_id for run_id, state in states.items() if state in RECORDED and folder.why_without_teacher(run_id)]
    reasons: dict[str, list[str]] = {}
    for run_id in (*failed, *alone):
        reasons.setdefault(folder.failure(run_id) or "", []).append(run_id)
    for reason, run_ids in reasons.items():
        numbers = {"failed": failed, "recorded without their teacher": alone}
        how = (f"{n} {what}" for what, ids in numbers.items() if (n := len(set(ids) & set(run_ids))))
        shown = ", ".join(run_ids[:SHOWN_RUNS]) + (" ..." if len(run_ids) > SHOWN_RUNS else "")
        yield f"{', '.join(how)}: {reason} ({shown})"
    if not all(map(folder.blamed, failed)):  # a teacher's fault says itself what helps
        yield f"logs are in {folder.path / 'failures'}; run again with --retry failed to try them once more"
    for problem in unusable:
        yield f"not used: {problem}; move it away to have the run made again"
