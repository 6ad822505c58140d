"""Tuning: equal trials, chosen on validation images, kept as records."""

from pathlib import Path
from typing import Any

import fake_results as fake
import pytest

from benchmark.ground.errors import UsageError
from benchmark.plan.cells import cells
from benchmark.plan.tuning import choose, trial_grid, trials_of, with_tuned, write_tuned
from benchmark.records import Folder, Record, Result
from benchmark.spec import Architecture, Dataset, Grid, Options, Pair, Range, Scalar, Tuning

RANGES: dict[str, Any] = {
    "kd": [{"ce": 0.1, "weight": 0.9}, {"ce": 0.5, "weight": 0.5}, {"ce": 0.9, "weight": 0.1}],
    "sp": {"weight": {"low": 30.0, "high": 3000.0}},
    "rkd_da": {"distance": [25.0, 5.0, 1.0], "angle": {"low": 0.0, "high": 50.0, "scale": "linear"}},
}
TUNING = Tuning(trials=3, seeds=(100, 101), ranges=RANGES)
GRID = Grid(
    name="g",
    datasets=(Dataset(name="digits", validation=50),),
    pairs=(Pair(teacher="l", student="s"), Pair(teacher="l", student="t")),
    architectures={name: Architecture(name=name, model=name) for name in "lst"},
    methods=("student", "kd", "sp", "rkd_da"),
    recipe=fake.RECIPE,
    teacher_recipe=fake.RECIPE,
    tuning=TUNING,
)


def values(trials: tuple[Options, ...], method: str, option: str) -> list[Scalar]:
    return [trial[method][option] for trial in trials]


def test_every_method_gets_the_same_number_of_trials_over_its_ranges() -> None:
    trials = trials_of(TUNING)
    assert len(trials) == 3
    assert [trial["kd"] for trial in trials] == RANGES["kd"]
    assert values(trials, "sp", "weight") == [30.0, 300.0, 3000.0]  # evenly in the logarithm
    assert sorted(values(trials, "rkd_da", "angle")) == [0.0, 25.0, 50.0]
    assert sorted(values(trials, "rkd_da", "distance")) == [1.0, 5.0, 25.0]
    assert trials_of(TUNING) == trials


def test_ranges_of_several_options_use_every_value_once_in_another_order() -> None:
    ranges: dict[str, Any] = {"rkd_da": {"distance": Range(low=1, high=100), "angle": Range(low=1, high=100)}}
    trials = trials_of(Tuning(trials=20, seeds=(1,), ranges=ranges))
    distance, angle = values(trials, "rkd_da", "distance"), values(trials, "rkd_da", "angle")
    assert sorted(distance, key=float) == sorted(angle, key=float)
    assert len(set(distance)) == 20
    assert distance != angle


def test_trials_are_a_grid_of_their_own_on_seeds_of_their_own() -> None:
    trials = trial_grid(GRID)
    assert (trials.name, trials.seeds, trials.tuning) == ("g-tuning", (100, 101), None)
    runs = cells(trials)
    assert len(runs) == 3 * 3 * 2 * 2  # methods, trials, pairs, seeds
    assert {run.label for run in runs} == {f"{m}@trial{i}" for m in RANGES for i in (1, 2, 3)}
    assert {run.options["sp"]["weight"] for run in runs if run.label == "sp@trial2"} == {300.0}


def records(trials: Grid, scores: dict[str, list[float]]) -> list[Record]:
    """Validation accuracies of each method's trials; the second pair's and seed's are a little lower."""
    like = fake.record(fake.run())
    found = []
    for run in cells(trials):
        method, trial = run.label.split("@trial")
        score = scores[method][int(trial) - 1] - 0.01 * (run.seed - 100) - 0.02 * (run.student.name == "t")
        result = Result(top1=1 - score, validation_top1=score)  # the test set says the opposite
        found.append(like.model_copy(update={"run_id": run.id, "run": run, "result": result}))
    return found


def test_the_best_by_validation_accuracy_is_chosen_and_the_first_of_equals() -> None:
    trials = trial_grid(GRID)
    scores = {"kd": [0.6, 0.7, 0.5], "sp": [0.4, 0.5, 0.6], "rkd_da": [0.5, 0.5, 0.5]}
    chosen = choose(trials, records(trials, scores))
    assert chosen == {"kd": RANGES["kd"][1], "sp": {"weight": 3000.0}, "rkd_da": trials_of(TUNING)[0]["rkd_da"]}


def test_a_diverged_trial_counts_as_nothing_and_a_missing_one_is_named() -> None:
    trials = trial_grid(GRID)
    made = records(trials, {"kd": [0.9, 0.7, 0.5], "sp": [0.4, 0.5, 0.6], "rkd_da": [0.5, 0.4, 0.3]})
    diverged = [
        r.model_copy(update={"status": "diverged", "result": Result()}) if r.run.label == "kd@trial1" else r
        for r in made
    ]
    assert choose(trials, diverged)["kd"] == RANGES["kd"][1]
    with pytest.raises(UsageError, match=r"kd@trial1 has 3 of 4 records"):
        choose(trials, [r for r in made if r is not made[0]])


def test_what_was_chosen_is_a_control_beside_the_defaults(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "g")
    assert with_tuned(GRID, folder) == GRID
    write_tuned(folder, {"sp": {"weight": 300.0}})
    tuned = with_tuned(GRID, folder)
    assert tuned.all_methods == GRID.all_methods  # asked for by name
    runs = {run.label: run for run in cells(tuned.model_copy(update={"methods": ("sp", "sp@tuned")})) if run.seed == 0}
    assert (runs["sp"].options["sp"]["weight"], runs["sp@tuned"].options["sp"]["weight"]) == (3000.0, 300.0)
    (folder.path / "tuned.toml").write_text("sp = ")
    with pytest.raises(UsageError, match="is not TOML"):
        with_tuned(GRID, folder)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tuning": None}, "grid 'g' has no .tuning. section"),
        ({"datasets": (Dataset(name="digits"),)}, "dataset 'digits' has validation = 0"),
    ],
)
def test_what_cannot_be_tuned_is_said(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        trial_grid(GRID.model_copy(update=changes))
