"""A grid minus what is finished: teachers to train, then cohorts. Imports torch for the method registry, not timm."""

from collections.abc import Container, Sequence
from dataclasses import replace

from benchmark.plan.cells import aliases, cells
from benchmark.plan.more_seeds import Blocks
from benchmark.plan.values import Cohort, Plan
from benchmark.records import Folder, State
from benchmark.spec import Grid, Options, Run


def make_plan(
    grid: Grid,
    folder: Folder,
    overrides: Options = {},
    blocks: Blocks | None = None,
    again: Container[str] = (),
) -> Plan:
    """Compare the wanted runs with the records. What is the same run under two names is one, by the first. Of a grid's
    data sets and pairs, `blocks` may leave only some together. Runs and teachers that failed are to be done where they
    are among those to try `again`."""
    named = [run for run in cells(grid, overrides) if blocks is None or (run.dataset.name, run.pair) in blocks]
    runs = tuple({run.id: run for run in reversed(named)}.values())[::-1]
    teachers = tuple({run.teacher.id: run.teacher for run in runs if run.teacher}.values())
    looked = {run.id: _look(folder, run.id, again) for run in runs}
    states = {run_id: state for run_id, (state, _) in looked.items()}
    open_runs = [run for run in runs if looked[run.id][1]]
    grouped: dict[str, list[Run]] = {}
    for run in open_runs:
        grouped.setdefault(run.cohort_key, []).append(run)
    cohorts = tuple(Cohort(tuple(members)) for members in grouped.values())
    teacher_states = {teacher.id: _look(folder.teachers, teacher.id, again)[0] for teacher in teachers}
    return Plan(runs, states, teachers, teacher_states, cohorts, aliases=aliases(named))


def _look(folder: Folder, run_id: str, again: Container[str]) -> tuple[State, bool]:
    """`Folder.look`, as if a failure that is tried again were forgotten."""
    state, is_open = folder.look(run_id)
    return ("missing" if state == "failed" else state, True) if run_id in again else (state, is_open)


def only(plan: Plan, run_ids: Sequence[str]) -> Plan:
    """The plan with nothing else to be done than these runs."""
    kept = (tuple(run for run in cohort.runs if run.id in run_ids) for cohort in plan.cohorts)
    return replace(plan, cohorts=tuple(Cohort(runs) for runs in kept if runs))
