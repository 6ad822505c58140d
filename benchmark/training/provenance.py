"""Where a record's numbers come from: code, libraries, machine."""

import importlib.metadata
import platform
from datetime import UTC, datetime
from pathlib import Path

import torch

import methods
from benchmark.records import Provenance
from benchmark.records.code import code_version
from benchmark.records.process import slurm_job

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "scikit-learn")


def provenance(
    device: torch.device, deterministic: bool, resumed: int, method: str | None = None, captured: bool | None = None
) -> Provenance:
    """Of what runs now; resumed: how often the run was gone on with; method: whose labels are noted; captured: whether
    steps were replayed, if they can be here."""
    job = slurm_job()
    return Provenance(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
        device=device_name(device),
        threads=torch.get_num_threads(),
        deterministic=deterministic or device.type == "cpu",
        code=code_version(),
        versions={"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in LIBRARIES}},
        resumed=resumed,
        job=f"slurm {job['slurm_job']}" if job else None,
        labels=(methods.labels(method) or None) if method else None,
        captured=captured,
    )


def device_name(device: torch.device) -> str:
    """The GPU's name, or the CPU's with the vector instructions that torch uses on it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu_model()} ({torch.backends.cpu.get_cpu_capability()})"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
