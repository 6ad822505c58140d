"""Energy that a device takes, from the counters of its hardware."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pynvml
import torch

POWERCAP = Path("/sys/class/powercap")
"""Where Linux lists the energy counters (RAPL) of processor packages; as a rule only root may read them."""

MEASURED_SECONDS = 1.0
"""For how long work should be repeated: a GPU's counter moves some ten times a second."""


@dataclass(frozen=True)
class Counter:
    """`read` counts up in `unit` joules and starts at 0 again after `wraps_at`."""

    read: Callable[[], int]
    unit: float
    wraps_at: int | None = None

    def joules(self, before: int, after: int) -> float:
        wrapped = self.wraps_at if self.wraps_at and after < before else 0
        return self.unit * (after - before + wrapped)


class EnergyMeter:
    """Joules of all that a device does meanwhile, idling included: true of the work where nothing else runs. A CPU's
    are those of its packages, memory and board apart.
    """

    def __init__(self, device: torch.device, powercap: Path | None = None) -> None:
        self.device = device
        self.counters = gpu_counters(device) if device.type == "cuda" else package_counters(powercap or POWERCAP)

    def joules(self, work: Callable[[], object], calls: int) -> float | None:
        """Of one call, the mean over `calls`; None where no counter can be read."""
        if not self.counters:
            return None
        before = self._read()
        for _ in range(calls):
            work()
        spent = [counter.joules(*ends) for counter, *ends in zip(self.counters, before, self._read(), strict=True)]
        return sum(spent) / calls

    def _read(self) -> list[int]:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return [counter.read() for counter in self.counters]


def package_counters(powercap: Path) -> Sequence[Counter]:
    """One for each processor package; none where one of them cannot be read."""
    found = []
    try:
        for zone in sorted(powercap.glob("intel-rapl:*")):
            if (zone / "name").read_text().startswith("package"):
                counter = Counter(_reader(zone / "energy_uj"), 1e-6, int((zone / "max_energy_range_uj").read_text()))
                counter.read()
                found.append(counter)
    except (OSError, ValueError):
        return ()
    return found


def _reader(path: Path) -> Callable[[], int]:
    return lambda: int(path.read_text())


def gpu_counters(device: torch.device) -> Sequence[Counter]:
    """The one of a GPU, Volta or later, that is not cut into instances."""
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        counter = Counter(lambda: int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)), 1e-3)
        counter.read()
    except pynvml.NVMLError:
        return ()
    return (counter,)
