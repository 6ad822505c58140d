"""Run a grid of distillation methods, teacher-student pairs and seeds; what is finished is never run again.

python -m benchmark.grid --methods all --seeds 3
"""

import argparse
import shlex
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from benchmark.command import cluster
from benchmark.command.listing import available, export, shown
from benchmark.command.options import parser
from benchmark.command.status import left_undone, status_lines, to_try_again
from benchmark.command.terminal import completions, print_plan, print_results, problem_lines
from benchmark.ground.command import command, run_command
from benchmark.ground.console import Terminal
from benchmark.ground.errors import (
    COMPLETE,
    FAILED,
    INCOMPLETE,
    INTERRUPTED,
    STOPPED,
    USAGE,
    UsageError,
    machine_trouble,
)
from benchmark.launch.job import Executor, Settings
from benchmark.plan.choices import method_options, wanted
from benchmark.plan.more_seeds import DEFAULT_GRID, Blocks, MoreSeeds, meant
from benchmark.plan.tuning import choose, trial_grid, with_tuned, write_tuned
from benchmark.plan.values import Plan
from benchmark.records import Folder
from benchmark.records.cleanup import clean_up
from benchmark.spec import FROZEN, Grid


@command
def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__).parse_args(arguments)
    console = Terminal()
    try:
        return run(options, console)
    except OSError as error:
        if not (error.filename or machine_trouble(error)):
            raise
        what = f"use {error.filename}" if error.filename else f"write below {options.results_dir}"
        print(f"error: cannot {what}: {error.strerror}", file=sys.stderr)
        return USAGE
    except (MemoryError, RuntimeError) as error:
        if (trouble := machine_trouble(error)) is None:
            raise
        print(f"error: {trouble}; fewer workers or a smaller batch may fit", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        return INTERRUPTED


CHOICES = ("methods", "seeds", "pairs", "datasets", "more_seeds", "option", "retry")
"""What --cancel, which takes all of a grid's jobs out of the queue, would not heed."""


def run(options: argparse.Namespace, console: Console) -> int:
    if options.cancel and (chosen := next((name for name in CHOICES if getattr(options, name)), None)):
        raise UsageError(f"--cancel takes no --{chosen.replace('_', '-')}: it is of all there is")
    if options.list:
        print("\n".join(available(options.list, options.grid or DEFAULT_GRID)))
        return COMPLETE
    if options.show:
        print(shown(options.show), end="")
        return COMPLETE
    if options.export:
        return export(options.export, options.results_dir)
    grid, more = meant(options)
    folder = Folder(options.results_dir / (trial_grid(grid) if options.tune else grid).name)
    if options.status:
        for line in status_lines(folder):
            console.print(line)
        return COMPLETE
    if options.cancel:
        cluster.cancel(folder, console)
        return COMPLETE
    if options.tune:
        return tune(grid, options, console)
    if more and not more.pairs:
        console.print(f"{options.more_seeds} names no pair: nothing to train")
        return COMPLETE
    return execute(with_tuned(grid, folder), folder, options, console, more)


def tune(grid: Grid, options: argparse.Namespace, console: Console) -> int:
    """Train the trials of a grid's [tuning] section and keep each method's best as its control `tuned`.

    Records of what the trials were before, under another revision of a method or with other seeds, do not count. Parts
    of the trials, by pair or data set, may be made one after another.
    """
    from benchmark.plan.cells import aliases, cells

    for flag in ("methods", "seeds", "option"):
        if getattr(options, flag):
            raise UsageError(f"--tune takes no --{flag}: the grid's [tuning] section says what is tried")
    trials = pinned(trial_grid(grid))
    runs = cells(trials)
    for label, other in aliases(runs).items():
        raise UsageError(f"[tuning] names a trial twice: {label} is {other}")
    folder = Folder(options.results_dir / trials.name)
    code = execute(trials, folder, options, console)
    if code != COMPLETE or options.dry_run or options.prepare:
        return code
    tried = {run.id for run in runs}
    records = [record for record in folder.records()[0] if record.run_id in tried]
    if len(records) < len(runs):  # --pairs or --datasets left some out
        console.print(f"{len(runs) - len(records)} trials are still to be made: --tune of all pairs chooses")
        return INCOMPLETE
    chosen = choose(trials, records)
    write_tuned(Folder(options.results_dir / grid.name), chosen)
    for method, values in chosen.items():
        console.print(f"{method}: {', '.join(f'{name} = {value}' for name, value in values.items())}")
    console.print("--methods all tuned trains them beside the grid's own")
    return COMPLETE


def execute(
    grid: Grid, folder: Folder, options: argparse.Namespace, console: Console, more: MoreSeeds | None = None
) -> int:
    """Plan, check, launch, watch."""
    deadline = time.time() + options.stop_after if options.stop_after else None
    grid = matched(pinned(wanted(grid, options, more)), folder, options, console)
    plan = plan_missing(grid, folder, options, console, more.blocks if more else None)
    executor = cluster.choose_executor(options.executor)
    cluster.check_unused(executor, options, console)
    not_applicable = check(plan, grid, executor, options, console)
    data_dir = str(options.data_dir.resolve()) if options.data_dir else None
    settings = Settings(options.device, options.threads or grid.threads, data_dir, deadline, options.workers)
    if options.dry_run or options.prepare:
        from benchmark.plan.forecast import forecast

        print_plan(plan, not_applicable, forecast(plan, folder, not_applicable), folder, console)
        if options.prepare and plan.cohorts:
            pin_counts(grid, folder, console)
            console.print("ready: data and networks are there")
        if executor == "slurm" and options.dry_run:
            cluster.show(cluster.submission(plan, folder, settings, options), console)
        return COMPLETE
    if plan.cohorts:
        keep_plan(plan, grid, folder)
        if not train(plan, folder, settings, executor, options, console):
            return INCOMPLETE
    return conclude(plan, folder, console)


def plan_missing(
    grid: Grid, folder: Folder, options: argparse.Namespace, console: Console, blocks: Blocks | None = None
) -> Plan:
    """The grid, or `blocks` of it, minus what is finished, and what --retry adds or leaves; what kills left behind is
    removed first."""
    from benchmark.plan.cells import check_options
    from benchmark.plan.frozen import freeze
    from benchmark.plan.plan import make_plan, only

    overrides = method_options(options.option)
    check_options(grid, overrides)
    freeze(grid, folder, write=False)
    folder.check_parts()
    folder.teachers.check_parts()
    if not options.dry_run:
        clean_up(folder)
        clean_up(folder.teachers)
    plan = make_plan(grid, folder, overrides, blocks)
    for label, other in plan.aliases.items():
        console.print(f"{label} is {other}: the same runs, trained once and tabled by that name")
    if options.retry == "failed":
        failed = to_try_again(plan, folder, console)
        plan = make_plan(grid, folder, overrides, blocks, {run_id for _, run_id in failed})
        if not (options.dry_run or options.prepare):
            for home, run_id in failed:
                home.forget_failure(run_id)
    return only(plan, left_undone(plan, folder)) if options.retry == "lost" else plan


def check(plan: Plan, grid: Grid, executor: Executor, options: argparse.Namespace, console: Console) -> dict[str, str]:
    """Refuse what would fail, before compute is spent; of the device a dry run only says so, as the plan may be for
    another machine. Returns, by run id, why a method cannot serve a pair."""
    missing = [run for cohort in plan.cohorts for run in cohort.runs]
    if not missing:
        return {}
    from benchmark.training.preflight import check_device, check_runs

    if executor != "slurm":
        try:
            check_device(options.device, missing)
        except UsageError as refusal:
            if not options.dry_run:
                raise
            console.print(f"this machine would refuse it: {refusal}")
    return check_runs(missing, grid, options.data_dir, download=not (options.offline or options.dry_run))


def keep_plan(plan: Plan, grid: Grid, folder: Folder) -> None:
    """Write down the grid and every run in full: jobs get ids only."""
    from benchmark.plan.frozen import freeze

    freeze(grid, folder, write=True)
    for teacher in plan.teachers:
        folder.teachers.plan(teacher)
    for run in plan.runs:
        folder.plan(run)


def train(
    plan: Plan,
    folder: Folder,
    settings: Settings,
    executor: Executor,
    options: argparse.Namespace,
    console: Console,
) -> bool:
    """Launch what is missing and watch it to its end; False if it was only submitted."""
    from benchmark.command.display import Display
    from benchmark.launch.local import launch

    console.print(f"{len(plan.runs)} runs, {len(plan.missing)} to train{completions(plan)}; executor: {executor}")
    if executor == "slurm":
        cluster.submit(plan, folder, settings, options, console)
        if options.watch:
            cluster.watch(plan, folder, console)
        return bool(options.watch)
    launched = launch(plan, folder, settings, executor)
    with Display(folder, [run.id for run in plan.runs], console) as display:
        launched.wait(display.tick)
    folder.check_place()
    for complaint in launched.complaints():
        console.print(complaint)
    return True


def conclude(plan: Plan, folder: Folder, console: Console) -> int:
    """Derive the tables, print the results and what is wrong, and say where everything is."""
    found, unusable = folder.records()
    folder.write_tables(found)
    folder.teachers.write_tables()
    records = {record.run_id: record for record in found}
    states = {run.id: records[run.id].status if run.id in records else folder.state(run.id) for run in plan.runs}
    if any(state in ("done", "diverged", "not_applicable") for state in states.values()):
        print_results(plan.runs, records, states, console)
    for line in problem_lines(states, folder, unusable):
        console.print(line)
    missing = sum(state == "missing" for state in states.values())
    if missing:
        console.print(f"{missing} runs are still to be made: run the same command again to go on")
    path = folder.path
    console.print(f"records: {path / 'records'}, tables: {path / 'runs.csv'}, {path / 'costs.csv'}")
    console.print(f"gains, tests, ranks, figures and LaTeX tables: python -m analysis {shlex.quote(str(path))}")
    if missing:
        return INCOMPLETE
    return FAILED if any(state in ("failed", "corrupt") for state in states.values()) else COMPLETE


def matched(grid: Grid, folder: Folder, options: argparse.Namespace, console: Console) -> Grid:
    """The grid with the epochs of controls that match a method's training FLOPs: those the folder was begun with, and
    counts of the others."""
    from benchmark.plan.matched import known_counts, uncounted, with_counts

    grid = with_counts(grid, known_counts(folder))
    if not (wanted := uncounted(grid)):
        return grid
    from benchmark.training.matching import matching_epochs

    console.print(f"counting training FLOPs for {len(wanted)} matched controls of pairs")
    return with_counts(grid, matching_epochs(wanted, grid, options.data_dir, not (options.offline or options.dry_run)))


def pin_counts(grid: Grid, folder: Folder, console: Console) -> None:
    """Keep what was counted in the folder's grid, as a launch does."""
    from benchmark.plan.frozen import freeze

    if any(control.epochs for control in grid.control):
        freeze(grid, folder, write=True)
        console.print(f"matched epochs are pinned in {folder.path / FROZEN}")


def pinned(grid: Grid) -> Grid:
    """The grid with the hash of every file of weights that its networks start from."""
    if all(architecture.weights is None for architecture in grid.architectures.values()):
        return grid
    from benchmark.models.weights import pin

    return pin(grid)


if __name__ == "__main__":
    run_command(main)
