"""Energy from the counters of the hardware: in joules, over a wrap, and not at all where one cannot be read."""

from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest
import tiny
import torch

from benchmark.cost import energy
from benchmark.cost.energy import EnergyMeter
from benchmark.cost.isolated import IsolatedRun, noise
from benchmark.cost.measure import Measurer
from benchmark.training.untrained import untrained


def zone(powercap: Path, name: str, kind: str, microjoules: int = 0) -> Path:
    """A zone as Linux shows it, which counts up to 10 J."""
    path = powercap / name
    path.mkdir(parents=True)
    for file, content in {"name": kind, "energy_uj": microjoules, "max_energy_range_uj": 10_000_000}.items():
        (path / file).write_text(f"{content}\n", encoding="ascii")
    return path


def count_to(microjoules: int, path: Path) -> None:
    (path / "energy_uj").write_text(f"{microjoules}\n", encoding="ascii")


def test_a_cpus_energy_is_that_of_its_packages(tmp_path: Path) -> None:
    first, second = zone(tmp_path, "intel-rapl:0", "package-0"), zone(tmp_path, "intel-rapl:1", "package-1", 9_000_000)
    core, system = zone(tmp_path, "intel-rapl:0:0", "core"), zone(tmp_path, "intel-rapl:2", "psys")

    def work() -> None:
        count_to(6_000_000, first)
        count_to(1_000_000, second)  # over its end: 2 J
        count_to(5_000_000, core)
        count_to(9_000_000, system)

    assert EnergyMeter(tiny.CPU, tmp_path).joules(work, calls=4) == pytest.approx((6 + 2) / 4)


def test_every_call_is_made(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0")
    calls: list[int] = []
    assert EnergyMeter(tiny.CPU, tmp_path).joules(lambda: calls.append(1), calls=3) == 0
    assert len(calls) == 3


@pytest.mark.parametrize("content", [None, "not a number"])
def test_a_package_that_hides_its_counter_leaves_energy_unknown(content: str | None, tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0")
    hidden = zone(tmp_path, "intel-rapl:1", "package-1") / "energy_uj"
    hidden.unlink()
    if content:
        hidden.write_text(content, encoding="ascii")
    assert EnergyMeter(tiny.CPU, tmp_path).joules(pytest.fail, calls=1) is None


def test_a_machine_without_counters_leaves_energy_unknown(tmp_path: Path) -> None:
    assert EnergyMeter(tiny.CPU, tmp_path / "none").joules(pytest.fail, calls=1) is None


def test_a_gpus_energy_is_asked_of_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    millijoules = count(5_000_000, 600)
    asked: list[str] = []
    driver = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetHandleByUUID": asked.append,
        "nvmlDeviceGetTotalEnergyConsumption": lambda _: next(millijoules),
    }
    for name, answer in driver.items():
        monkeypatch.setattr(pynvml, name, answer)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="12ab"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    assert EnergyMeter(torch.device("cuda")).joules(lambda: None, calls=3) == pytest.approx(0.2)
    assert asked == ["GPU-12ab"]  # by a name that CUDA_VISIBLE_DEVICES does not change


def test_a_gpu_without_a_counter_leaves_energy_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    assert EnergyMeter(torch.device("cuda")).joules(pytest.fail, calls=1) is None


def test_a_steps_energy_is_measured_where_the_device_counts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0")
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    spent = count(0, 500_000)

    def read(path: Path) -> int:
        count_to(next(spent), package)
        return int(path.read_text(encoding="ascii"))

    monkeypatch.setattr(energy, "_reader", lambda path: lambda: read(path))
    runs = [tiny.run("student"), tiny.run("mhgd")]
    found, _ = Measurer(tiny.CPU, rounds=1).measure(runs, classes=10)
    for each in found:
        assert each.step_joules is not None
        # Half a joule between two readings, shared by as many steps as take a second.
        assert each.step_joules == pytest.approx(0.5 / (1 / each.step_seconds), rel=0.5)


def test_what_is_measured_for_seconds_does_not_train(tmp_path: Path) -> None:
    """On one batch of noise, again and again, training would diverge."""
    zone(tmp_path, "intel-rapl:0", "package-0")
    run = tiny.run("rkd_d", learning_rate=1e3)
    assert run.teacher
    data = noise(run.recipe, 10, tiny.CPU)
    bench = IsolatedRun(run, data, 10, untrained(run.teacher, data, 10))
    before = {name: value.clone() for name, value in bench.member.network.named_parameters()}
    assert bench.joules(EnergyMeter(tiny.CPU, tmp_path), seconds=0.5) == 0
    for name, value in bench.member.network.named_parameters():
        torch.testing.assert_close(value, before[name], rtol=0, atol=1e-12)
