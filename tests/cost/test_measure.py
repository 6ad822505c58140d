"""What `benchmark.cost` measures, keeps, and what forecasts make of it."""

import json
from pathlib import Path

import pytest
import tiny
import tomli_w
import torch
from torch import nn

from benchmark.cost.__main__ import main, not_measured
from benchmark.cost.measure import Measurer
from benchmark.plan.forecast import forecast, forecasts, step_key, training_images
from benchmark.plan.values import Cohort, Plan
from benchmark.records import Folder
from benchmark.records.measurements import Measured, Measurement, read, read_all, write
from benchmark.spec import Dataset, Run, load_grid
from benchmark.training.provenance import provenance
from methods.check.memory import Allocations

RUNS = [tiny.run(method) for method in ("student", "kd", "rkd_a", "mhgd", "fitnet_two_stage")]


@pytest.fixture(scope="module")
def measured() -> dict[str, Measurement]:
    found, reasons = Measurer(tiny.CPU, rounds=1).measure(RUNS, classes=10)
    assert not reasons
    return {each.method: each for each in found}


def test_a_step_contains_its_teacher_and_a_control_has_none(measured: dict[str, Measurement]) -> None:
    assert measured["student"].teacher_seconds == 0
    for method in ("kd", "rkd_a", "mhgd"):
        assert 0 < measured[method].teacher_seconds < measured[method].step_seconds
        assert measured[method].step_flops > measured["student"].step_flops
        assert measured[method].memory_bytes > measured["student"].memory_bytes
    assert measured["kd"].images_per_second == pytest.approx(40 / measured["kd"].step_seconds)
    assert len({each.latency_seconds for each in measured.values()}) == 1  # they deploy the same student


def test_phases_are_measured_apart(measured: dict[str, Measurement]) -> None:
    assert (measured["kd"].phase_epochs, measured["kd"].phase_step_seconds) == (0, 0)
    for method in ("mhgd", "fitnet_two_stage"):
        assert measured[method].phase_epochs == 40
        assert measured[method].phase_step_seconds > measured[method].teacher_seconds


def test_flops_are_those_of_the_record(measured: dict[str, Measurement], results: Path) -> None:
    assert tiny.train(results / "grid", RUNS[1])
    counted = tiny.record(results / "grid", RUNS[1]).cost.training_flops
    images = tiny.RECIPE.epochs * 100  # kd's FLOPs are proportional to images
    assert counted == pytest.approx(measured["kd"].step_flops / 40 * images)


def test_memory_is_what_tensors_take_up_at_most() -> None:
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
    network, images = nn.Sequential(*layers, nn.Conv2d(8, 8, 3, padding=1)), torch.zeros(4, 3, 10, 10)
    size = 4 * 4 * 8 * 100  # of one result
    with Allocations() as made:
        output = network(images)
        output.view(-1)  # no memory of its own
        assert made.now == made.peak == 3 * size  # both ReLUs keep their results for the backward pass
        del output
    assert made.now == 0
    with Allocations() as made, torch.no_grad():
        network(images)
    assert made.peak == 2 * size


def test_what_was_not_measured_is_told() -> None:
    assert list(not_measured((), processor=True, device="cpu")) == []
    energy, captured, idle = not_measured({"kd"}, processor=False, device="cuda")
    assert energy.startswith("energy: no counter can be read")
    assert captured.startswith("captured steps:")
    assert idle.startswith("an idle machine: seconds are of the wall")


def row(run: Run, step: float = 2.0, teacher: float = 0.0, phases: int = 0, label: str = "kd") -> Measurement:
    counts = {
        name: 1 for name in ("step_flops", "memory_bytes", "parameters", "macs", "inference_batch_size", "rounds")
    }
    values = {name: 1.0 for name in ("images_per_second", "latency_seconds", "inference_images_per_second")}
    names = {"dataset": run.dataset.name, "pair": run.pair, "teacher": "t", "student": "s", "method": label}
    seconds = {"step_seconds": step, "teacher_seconds": teacher, "phase_epochs": phases, "phase_step_seconds": 5.0}
    batch = {"batch_size": run.recipe.batch_size, "kind": step_key(run), "busy": None}
    return Measurement.model_validate({**counts, **values, **names, **seconds, **batch})


def keep(folder: Folder, *rows: Measurement) -> Path:
    origin = provenance(tiny.CPU, True, 0)
    return write(folder, Measured(grid="grid", provenance=origin, clock="wall", measurements=rows))


def test_what_was_measured_before_stays(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "grid")
    keep(folder, row(RUNS[1], 1.0), row(RUNS[1], 1.0, label="other"))
    path = keep(folder, row(RUNS[1], 3.0))
    (found,) = read_all(folder)
    assert {each.method: each.step_seconds for each in found.measurements} == {"kd": 3.0, "other": 1.0}
    raw = json.loads(path.read_text())
    path.write_text(json.dumps({**raw, "schema_version": 0}))
    with pytest.raises(ValueError, match="has schema version 0; this suite reads 1"):
        read(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"\.json is not JSON"):
        read(path)


def test_a_forecast_takes_measured_steps_and_shares_the_teacher(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "grid")
    kd, rkd = RUNS[1], RUNS[2]
    keep(folder, row(kd, 2.0, 0.5), row(rkd, 3.0, 0.5, phases=4, label="rkd_a"))
    known = forecasts([*RUNS[1:3], RUNS[0]], folder)
    steps = 100 / 40 * 2  # an epoch's images in batches, epochs
    assert known[kd.id].own == pytest.approx(steps * 1.5)
    assert known[kd.id].alone == pytest.approx(steps * 2.0)
    assert known[rkd.id].own == pytest.approx(steps * 2.5 + 100 / 40 * 4 * 5.0)
    assert RUNS[0].id not in known
    plan = Plan((kd, rkd), {kd.id: "missing", rkd.id: "missing"}, (), {}, (Cohort((kd, rkd)),))
    together = forecast(plan, folder)
    assert together.seconds == pytest.approx(known[kd.id].own + known[rkd.id].own + steps * 0.5)
    longer = tiny.run("kd", epochs=20)
    assert forecasts([longer], folder)[longer.id].alone == pytest.approx(10 * known[kd.id].alone)
    other = kd.model_copy(update={"dataset": Dataset(name="mnist", validation=10_000)})
    assert forecasts([other], folder)[other.id].alone == pytest.approx(500 * known[kd.id].alone)
    assert not forecasts([tiny.run("kd", batch_size=41)], folder)


def test_the_reference_serves_where_nothing_was_measured_here(tmp_path: Path) -> None:
    kd = RUNS[1]
    keep(Folder(tmp_path / "reference" / "grid"), row(kd, 2.0))
    assert forecasts([kd], Folder(tmp_path / "grid"))[kd.id].own == pytest.approx(10.0)
    keep(Folder(tmp_path / "grid"), row(kd, 4.0))
    assert forecasts([kd], Folder(tmp_path / "grid"))[kd.id].own == pytest.approx(20.0)


def test_records_scale_to_other_lengths_and_data_sets(results: Path) -> None:
    run = tiny.run("kd")
    assert tiny.train(results / "grid", run)
    seconds = tiny.record(results / "grid", run).cost.cohort_seconds
    assert seconds is not None
    folder = Folder(results / "grid")
    longer, other = tiny.run("kd", epochs=6), run.model_copy(update={"dataset": Dataset(name="cifar10")})
    lacking = tiny.run("kd", without_classes=(3, 5))
    known = forecasts([run, longer, other, lacking, tiny.run("sp")], folder)
    assert known[run.id].alone == pytest.approx(seconds)
    assert known[longer.id].alone == pytest.approx(3 * seconds)
    assert known[other.id].alone == pytest.approx(500 * seconds)
    assert known[lacking.id].alone == pytest.approx(0.8 * seconds)
    assert len(known) == 4


@pytest.mark.parametrize(
    ("dataset", "images"),
    [
        (Dataset(name="cifar100"), 50_000),
        (Dataset(name="cifar100", validation=5000), 45_000),
        (Dataset(name="digits", validation=400, test=397), 1000),
        (Dataset(name="birds", train=7), 7),
        (Dataset(name="birds"), None),
    ],
    ids=str,
)
def test_training_images(dataset: Dataset, images: int | None) -> None:
    assert training_images(dataset) == images


def test_kinds_are_told_apart_by_what_a_step_costs() -> None:
    kd = tiny.run("kd")
    same = [tiny.run("kd", seed=3), tiny.run("kd", epochs=9), tiny.run("kd", options={"kd": {"temperature": 2.0}})]
    other = [tiny.run("sp"), tiny.run("kd", tiny.VIT), tiny.run("kd", batch_size=8), tiny.run("kd", input_size=16)]
    other += [tiny.run("kd", precision="bfloat16"), tiny.run("kd", channels_last=True)]
    assert {step_key(run) for run in same} == {step_key(kd)}
    assert len({step_key(run) for run in (kd, *other)}) == 7
    alone = tiny.TEACHER.model_copy(update={"recipe": tiny.RECIPE, "student": tiny.RESNET})
    assert step_key(tiny.run("student")) == step_key(alone)  # labels alone: who would teach does not matter


def test_data_sets_of_other_classes_are_measured_apart(tmp_path: Path) -> None:
    """Their networks have other classifiers."""
    smoke = load_grid("smoke").as_toml()
    smoke |= {"name": "two", "methods": ["student"], "datasets": [{"name": "cifar10"}, {"name": "cifar100"}]}
    (tmp_path / "two.toml").write_text(tomli_w.dumps(smoke))
    assert main(["--grid", str(tmp_path / "two.toml"), "--rounds", "1", "--results-dir", str(tmp_path)]) == 0
    (path,) = (tmp_path / "two" / "measured").glob("*.json")
    parameters = {(each.student, each.dataset): each.parameters for each in read(path).measurements}
    for student, width in (("resnet_s", 8), ("resnet_m", 32)):
        assert parameters[student, "cifar100"] - parameters[student, "cifar10"] == 90 * (width + 1)


def test_options_that_cost_are_measured_and_controls_that_do_not_are_not(tmp_path: Path) -> None:
    smoke = load_grid("smoke").as_toml()
    deep = {"name": "deep", "methods": ["sp"], "options": {"sp": {"stages": 3}}}
    longer = {"name": "longer", "methods": ["sp"], "recipe": {"epochs": 9}}
    smoke |= {"name": "deep", "methods": ["sp"], "control": [deep, longer]}
    (tmp_path / "deep.toml").write_text(tomli_w.dumps(smoke))
    assert main(["--grid", str(tmp_path / "deep.toml"), "--rounds", "1", "--results-dir", str(tmp_path)]) == 0
    (path,) = (tmp_path / "deep" / "measured").glob("*.json")
    found = {each.method: each for each in read(path).measurements}
    assert found["sp@deep"].step_flops > found["sp"].step_flops
    assert found["sp@longer"] == found["sp"].model_copy(update={"method": "sp@longer"})


def test_a_control_of_matched_epochs_is_measured_before_these_are_counted(tmp_path: Path) -> None:
    smoke = load_grid("smoke").as_toml() | {"name": "two", "control": ["matched"], "methods": ["student", "kd"]}
    (tmp_path / "two.toml").write_text(tomli_w.dumps(smoke))
    arguments = ["--grid", str(tmp_path / "two.toml"), "--rounds", "1", "--results-dir", str(tmp_path)]
    assert main([*arguments, "--methods", "student@matched_kd"]) == 0
    [found] = read_all(Folder(tmp_path / "two"))
    assert [each.method for each in found.measurements if each.pair] == ["student@matched_kd"]


def test_the_command_measures_a_grid_and_says_what_it_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--grid", "smoke", "--methods", "student", "kd", "--rounds", "1", "--results-dir", str(tmp_path)]
    assert main(arguments) == 0
    (path,) = (tmp_path / "smoke" / "measured").glob("*.json")
    found = {(each.pair != "", each.method) for each in read(path).measurements}
    assert found == {(False, "teacher"), (True, "student"), (True, "kd")}
    assert str(path) in capsys.readouterr().out.replace("\n", "")
    assert main([*arguments, "--pairs", "a_b"]) == 2
    assert "unknown pair 'a_b'" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--rounds", "0"])
    assert main(["--methods", "kdd"]) == 2
