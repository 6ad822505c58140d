"""Isolated measurements beside the runs they belong to: of one device, which is named, and of these networks only."""

from pathlib import Path

import fake_results as fake
import pytest

from analysis.figures.budget import data
from analysis.runs.load import load
from analysis.statistics.evidence import collect_evidence
from analysis.tables.budget import budget_table
from analysis.tables.markdown import markdown
from benchmark.ground.errors import UsageError

ALL = ("student", "kd", "sp")


def grid(path: Path) -> Path:
    """One pair x three methods x two seeds, trained on a 2-core CPU."""
    return fake.write(path, *(fake.record(fake.run(method, seed)) for method in ALL for seed in range(2)))


def test_nothing_measured_adds_no_column(tmp_path: Path) -> None:
    assert not {"latency_seconds", "memory_bytes", "measured_on"} & set(load([grid(tmp_path / "grid")]).runs)


def test_a_folder_of_holes_alone_may_have_been_measured(tmp_path: Path) -> None:
    folder = grid(tmp_path / "grid")
    fake.measure(folder)
    for path in (folder / "records").iterdir():
        path.unlink()
    none = fake.record(fake.run("fsp", 0), status="not_applicable", reason="widths")
    assert set(load([fake.write(folder, none)]).runs.status) == {"not_applicable"}


def test_every_run_gets_what_was_measured_of_its_cell(tmp_path: Path) -> None:
    fake.measure(grid(tmp_path / "grid"), methods=("kd", "sp"))
    runs = load([tmp_path / "grid"]).runs
    assert runs.latency_seconds[runs.method == "kd"].tolist() == pytest.approx([310e-6] * 2)
    assert runs.latency_seconds[runs.method == "student"].isna().all()
    assert len(runs) == 6


@pytest.mark.parametrize(
    ("devices", "chosen"),
    [
        ({"2-core CPU": ALL, "a GPU": ALL}, "2-core CPU"),  # trained these runs
        ({"2-core CPU": ("kd",), "a GPU": ALL}, "a GPU"),  # measured more of them
        ({"another GPU": ALL, "a GPU": ALL}, "a GPU"),
    ],
)
def test_devices_are_never_mixed(tmp_path: Path, devices: dict[str, tuple[str, ...]], chosen: str) -> None:
    folder = grid(tmp_path / "grid")
    for i, (device, methods) in enumerate(devices.items()):
        fake.measure(folder, device, methods=methods, times=i + 1)
    found = load([folder])
    assert set(found.runs.measured_on) == {f"{chosen}, 2 threads"}
    assert found.runs.latency_seconds.nunique() == 1
    [problem] = [each for each in found.problems if "latency" in each]
    assert f"are those measured on {chosen}, 2 threads (3 cells), not on " in problem


def test_measurements_of_another_network_by_that_name_are_left_out(tmp_path: Path) -> None:
    folder = grid(tmp_path / "grid")
    fake.measure(folder)
    [path] = (folder / "measured").iterdir()
    path.write_text(path.read_text().replace('"macs": 310000', '"macs": 310001'), encoding="utf-8")
    assert "latency_seconds" not in load([folder]).runs


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    folder = grid(tmp_path / "grid")
    fake.measure(folder)
    [path] = (folder / "measured").iterdir()
    path.write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=f"{path} is not JSON"):
        load([folder])


def test_the_budget_table_has_latency_and_memory_where_they_are_known(tmp_path: Path) -> None:
    folder = grid(tmp_path / "grid")
    assert "Latency" not in markdown(budget_table(collect_evidence(load([folder]).runs)))
    fake.measure(folder)
    text = markdown(budget_table(collect_evidence(load([folder]).runs)))
    assert "Latency (µs)" in text
    assert "Peak memory (kB)" in text
    assert "seconds alone measured on 2-core CPU, 2 threads" in text
    [line] = [line for line in text.splitlines() if line.startswith("| KD")]
    assert [field.strip() for field in line.split("|")[4:6]] == ["310", "151"]


def test_a_runs_energy_is_that_of_its_flops(tmp_path: Path) -> None:
    folder = grid(tmp_path / "grid")
    fake.measure(folder, methods=("kd", "sp"), joules_per_flop=2e-9)
    found = load([folder]).runs
    known = found[found.method != "student"]
    assert known.energy_joules.tolist() == pytest.approx((2e-9 * known.training_flops).tolist())
    assert found.energy_joules[found.method == "student"].isna().all()
    text = markdown(budget_table(collect_evidence(found)))
    assert "Training energy (" in text
    assert "2 threads, energy as it counts it" in text


def test_a_runs_seconds_alone_are_those_of_isolated_steps(tmp_path: Path) -> None:
    """Of runs that trained together others took their share of the machine."""
    folder = grid(tmp_path / "grid")
    fake.measure(folder, methods=("kd", "sp"))
    found = load([folder]).runs
    known = found[found.method != "student"]
    assert known.alone_seconds.tolist() == pytest.approx((1e-9 * known.training_flops).tolist())  # as made up
    rows = {row["method"]: row for row in data(collect_evidence(found))}
    assert rows["kd"]["device_seconds"] == 10.5 + 4  # the student alone was not measured: an axis has seconds of a kind
    fake.measure(folder, methods=("student", "kd", "sp"))
    found = load([folder]).runs
    rows = {row["method"]: row for row in data(collect_evidence(found))}
    assert rows["kd"]["device_seconds"] == pytest.approx(found.alone_seconds[found.method == "kd"].mean())


def test_a_folder_of_another_machine_adds_its_measurements(tmp_path: Path) -> None:
    here, there = grid(tmp_path / "a"), grid(tmp_path / "b")
    fake.measure(there)
    assert load([here, there]).runs.latency_seconds.notna().all()
