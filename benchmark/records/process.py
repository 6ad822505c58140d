"""Who a process is, and whether it is gone, as far as that can be told. No torch here."""

import os
import socket
from functools import cache
from pathlib import Path
from typing import Any

ALIVE = "alive"
"""Of a process whose start cannot be told."""


@cache
def _world() -> dict[str, str]:
    """What tells where process ids mean the same: host, its boot, and the namespace of processes; empty where the
    system has no such thing."""
    return {"host": socket.gethostname(), "boot": _boot(), "namespace": _namespace()}


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def identity(pid: int) -> dict[str, str | int]:
    """Who a process is: its id alone may be used again by another after a restart, and in another container."""
    return {**_world(), "pid": pid, "started": _start_time(pid)}


def slurm_job() -> dict[str, str]:
    """Which SLURM job this process belongs to, and how often that was queued again; empty outside SLURM."""
    if "SLURM_JOB_ID" not in os.environ:
        return {}
    return {"slurm_job": os.environ["SLURM_JOB_ID"], "restarts": os.environ.get("SLURM_RESTART_COUNT", "0")}


def was_this_job(holder: dict[str, Any]) -> bool:
    """Whether a process belonged to this SLURM job before that was queued again."""
    now = slurm_job()
    return bool(now) and holder.get("slurm_job") == now["slurm_job"] and holder.get("restarts") != now["restarts"]


def is_dead(holder: dict[str, Any]) -> bool:
    """Whether a process is known to be gone, which can be told of this host's and this container's alone."""
    if not holder or any(holder.get(key) != value for key, value in _world().items()):
        return False
    return _start_time(holder["pid"]) not in (holder.get("started"), ALIVE)


def _start_time(pid: int) -> str:
    """When a process of this host started, in a form that never repeats: the kernel's ticks since boot. psutil's times
    of creation move with the clock, when that is set right. Empty if there is none, or only what is left of one that
    ended and that no process waits for, as in a container without an init process.

    Where /proc is missing (macOS), or hides other users' processes (hidepid), a live process is told from a dead one,
    but not from a later one of the same id.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in ("Z", "X") else fields[18]
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return ALIVE
