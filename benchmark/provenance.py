"""Where a record's numbers come from: code, libraries, machine."""

import hashlib
import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch

from benchmark.records import Provenance

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "scikit-learn")
ROOT = Path(__file__).parent.parent


def provenance(device: torch.device, deterministic: bool, resumed: int) -> Provenance:
    return Provenance(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        host=platform.node(),
        device=device_name(device),
        threads=torch.get_num_threads(),
        deterministic=deterministic or device.type == "cpu",
        code=code_version(),
        versions={"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in LIBRARIES}},
        resumed=resumed,
    )


def device_name(device: torch.device) -> str:
    """The GPU's name, or the CPU's with the vector instructions that torch uses on it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu_model()} ({torch.backends.cpu.get_cpu_capability()})"


@cache
def code_version() -> str:
    """Commit, whether the tree has changes, and a hash of the source that runs, which alone is there for a wheel."""
    digest = hashlib.blake2b(digest_size=5)
    for path in sorted(path for package in ("benchmark", "methods") for path in (ROOT / package).rglob("*.py")):
        digest.update(path.read_bytes())
    commit = _git("rev-parse", "--short=12", "HEAD")
    changes = "+changes" if commit and _git("status", "--porcelain", "--", "benchmark", "methods") else ""
    return f"{commit or 'no commit'}{changes}, source {digest.hexdigest()}"


def _git(*arguments: str) -> str:
    try:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
