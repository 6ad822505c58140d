"""Which matches are counted, and what runs they make. The counts themselves: tests/training/test_controls.py."""

from pathlib import Path
from typing import Any

import fake_results as fake

from benchmark.plan.cells import cells
from benchmark.plan.frozen import freeze
from benchmark.plan.matched import known_counts, uncounted, with_counts
from benchmark.records import Folder
from benchmark.spec import Architecture, Control, Dataset, Grid, Pair

CONTROLS = tuple(Control(name=f"matched_{method}", flops_of=method) for method in ("kd", "sp"))
COUNTS = {"matched_kd": {"digits": {"l_s": 70}}}


def grid(*methods: str, students: str = "st", **changes: Any) -> Grid:
    """Pairs of one teacher, and the controls that match kd and sp."""
    values: dict[str, Any] = {
        "name": "g",
        "datasets": [Dataset(name="digits")],
        "pairs": [Pair(teacher="l", student=student) for student in students],
        "architectures": {name: Architecture(name=name, model=f"model_{name}") for name in "lst"},
        "methods": ("student", *methods),
        "recipe": fake.RECIPE,
        "teacher_recipe": fake.RECIPE,
        "control": CONTROLS,
    }
    return Grid(**{**values, **changes})


def test_a_match_has_runs_where_it_is_counted() -> None:
    wanted = grid("kd", "student@matched_kd")
    assert {run.label for run in cells(wanted)} == {"student", "kd"}
    runs = [run for run in cells(with_counts(wanted, COUNTS)) if run.label == "student@matched_kd"]
    assert {(run.pair, run.method, run.recipe.epochs) for run in runs} == {("l_s", "student", 70)}
    assert len({run.id for run in runs}) == len(wanted.seeds)
    other = with_counts(wanted, {"matched_kd": {"digits": {"l_s": 71}}})
    assert not {run.id for run in runs} & {run.id for run in cells(other)}


def test_only_what_is_wanted_and_not_known_is_counted() -> None:
    assert uncounted(grid("kd", "sp")) == []
    wanted = with_counts(grid("student@matched_kd", "student@matched_sp"), COUNTS)
    found = [(each.control, each.alone.label, each.method.label, each.alone.pair) for each in uncounted(wanted)]
    assert found == [
        ("matched_sp", "student", "sp", "l_s"),
        ("matched_kd", "student", "kd", "l_t"),
        ("matched_sp", "student", "sp", "l_t"),
    ]


def test_a_folder_keeps_its_counts_and_takes_more(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "g")
    assert known_counts(folder) == {}
    begun = with_counts(grid("kd", "student@matched_kd", students="s"), COUNTS)
    freeze(begun, folder, write=True)
    assert known_counts(folder) == COUNTS
    more = {"matched_kd": {"digits": {"l_s": 99, "l_t": 80}}}
    wider = with_counts(with_counts(grid("student@matched_kd"), known_counts(folder)), more)
    freeze(wider, folder, write=True)
    assert known_counts(folder) == {"matched_kd": {"digits": {"l_s": 70, "l_t": 80}}}
    freeze(grid("kd"), folder, write=True)
    assert known_counts(folder)["matched_kd"]["digits"] == {"l_s": 70, "l_t": 80}


def test_an_untrained_teacher_is_the_pairs_own_without_epochs_or_weights() -> None:
    random = Control(name="random", methods=("kd",), teacher="untrained")
    pretrained = Architecture(name="l", model="model_l", weights="timm", weights_sha256="0" * 64)
    architectures = {name: Architecture(name=name, model=name) for name in "st"} | {"l": pretrained}
    runs = cells(grid("kd@random", control=(random,), architectures=architectures, teacher_seed="paired"))
    teachers = {run.teacher.seed: run.teacher for run in runs if run.teacher and run.label == "kd@random"}
    assert set(teachers) == {0, 1, 2}
    assert all(teacher.untrained and teacher.student.weights is None for teacher in teachers.values())
    assert not any(run.teacher.untrained for run in runs if run.teacher and run.label == "student")
