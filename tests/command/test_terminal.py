"""The table at the end of a command: what was asked for, by method and pair."""

import io
from pathlib import Path

import fake_results as fake
from planned import finish, grid

from benchmark.command.terminal import print_plan, print_results
from benchmark.ground.console import Terminal
from benchmark.plan.forecast import forecast
from benchmark.plan.plan import make_plan
from benchmark.records import Folder


def printed(folder: Folder, *runs: fake.Run, width: int = 200) -> list[str]:
    """Lines of the table, without what frames it."""
    file = io.StringIO()
    records = {record.run_id: record for record in folder.records()[0]}
    states = {run.id: folder.state(run.id) for run in runs}
    print_results(runs, records, states, Terminal(file, width))
    return [" ".join(line.strip("│┃").split()) for line in file.getvalue().splitlines() if line[0] in "│┃"]


def test_a_cell_is_a_mean_with_its_spread_or_how_its_runs_stand(tmp_path: Path) -> None:
    label = "kd[temperature=2]"
    seeds = [fake.run(seed=seed, label=label) for seed in range(3)]
    one, gone, odd = (fake.run(method, 5) for method in ("sp", "gkd", "fitnet"))
    fake.write(tmp_path, *(fake.record(run, top1) for run, top1 in zip(seeds, (0.9, 0.91, 0.92), strict=True)))
    fake.write(tmp_path, fake.record(one, 0.5), fake.record(odd, status="diverged", reason="not finite"))
    Folder(tmp_path).fail(gone.id, "boom", "log")
    second = fake.run("sp", 6)
    assert printed(Folder(tmp_path), *seeds, one, second, gone, odd) == [
        "top-1 % ┃ digits: resnet_l_resnet_s",
        f"{label} │ 91.00 ± 1.00",
        "sp │ 50.00, 1 missing",
        "gkd │ 1 failed",
        "fitnet │ 1 diverged",
    ]


def test_pairs_that_do_not_fit_the_terminal_go_below(tmp_path: Path) -> None:
    folder = Folder(fake.full_grid(tmp_path))
    runs = [fake.run("kd", seed, pair) for pair in fake.PAIRS for seed in range(3)]
    heads = [f"digits: {'_'.join(pair)}" for pair in fake.PAIRS]
    wide, narrow = (printed(folder, *runs, width=width) for width in (80, 50))
    assert wide[0] == f"top-1 % ┃ {heads[0]} ┃ {heads[1]}"
    assert [line for line in narrow if line.startswith("top-1")] == [f"top-1 % ┃ {head}" for head in heads]


def test_lines_are_printed_as_they_are() -> None:
    """A path may look like markup, a sign or a number, and be longer than the terminal is wide."""
    file, line = io.StringIO(), f"results in /data/[red]x:100:/{'long/' * 20}"
    Terminal(file, 40).print(line)
    assert file.getvalue() == f"{line}\n"


def test_a_plan_says_what_was_never_measured_and_which_teachers_have_no_weights(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "results" / "g")
    plan = make_plan(grid(), folder)
    finish(folder, plan, 10.0)
    for run in plan.runs:
        if run.seed == 1 or run.method == "sp":
            folder.record_path(run.id).unlink()
    first, *_ = plan.teachers
    folder.teachers.weights_path(first.id).parent.mkdir()
    folder.teachers.weights_path(first.id).touch()
    plan, file = make_plan(grid(), folder), io.StringIO()
    print_plan(plan, {}, forecast(plan, folder), folder, Terminal(file, 200))
    lines = file.getvalue().splitlines()
    cost = "at least 1:00 of device time, from earlier runs; 12 runs were never measured (sp)"
    assert lines[-1] == f"to train: 0 teachers, 24 runs; forecast time: {cost}"
    states = {line.split("│")[3].strip(): line.split("│")[2].strip() for line in lines if "teacher-" in line}
    assert states == {each.id: "done" if each.id == first.id else "done, no weights" for each in plan.teachers}
