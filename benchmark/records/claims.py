"""Exclusive claims on runs, so that two workers never train the same one. No torch here.

A claim is a file made exclusively. Its holder touches it now and then; a claim whose process is gone (same host), or
that nobody touched for a while, is stale and may be taken over. A holder that was stopped meanwhile (Ctrl-Z, a
suspended job) sees that when it wakes up, and lets go.
"""

import json
import math
import os
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

HEARTBEAT_SECONDS = 15.0
STALE_SECONDS = 300.0
REQUEUED_SECONDS = 2 * HEARTBEAT_SECONDS
"""How long a claim of the same SLURM job, from before it was queued again, has to be silent: its process is gone, but
a node that lost touch with the scheduler may not know that yet.
"""


class Claims:
    """The claims that this worker holds, kept alive by a background thread until the block ends."""

    def __init__(self) -> None:
        self._me = {**identity(os.getpid()), **slurm_job()}
        self._held: dict[Path, float] = {}  # when each was last known to be held
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Claims":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self.release(tuple(self._held))

    def take(self, path: Path) -> bool:
        """Claim a run; False if a live worker has it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and is_stale(path):
            self._clear(path)
        if not self._made(path):
            return False
        self._held[path] = time.monotonic()
        return True

    def hold(self, paths: Iterable[Path]) -> bool:
        """Whether all of these are still held, as far as the last heartbeat saw; where that was too long ago, for this
        process or its file server having slept, it looks again."""
        return all(self._is_fresh(path) or self._refresh(path) for path in paths)

    def _is_fresh(self, path: Path) -> bool:
        return time.monotonic() - self._held.get(path, -math.inf) < STALE_SECONDS

    def release(self, paths: Iterable[Path]) -> None:
        for path in paths:
            self._held.pop(path, None)
            if _holder(path) == self._me:
                path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            for path in tuple(self._held):
                self._refresh(path)

    def _refresh(self, path: Path) -> bool:
        """Touch a claim that is this worker's, forget one that is not; False as well if the disk gives no answer, which
        it may give to the next heartbeat."""
        try:
            if _holder(path) != self._me:
                self._held.pop(path, None)
                return False
            os.utime(path)
        except OSError:
            return False
        if path in self._held:
            self._held[path] = time.monotonic()
        return path in self._held

    def _clear(self, path: Path) -> None:
        """Take a stale claim away. One worker at a time may, and looks again, lest it takes away the fresh claim that
        has come in the stale one's place.
        """
        turn = path.with_name(f".{path.name}.turn")
        if self._made(turn):
            if is_stale(path):
                path.unlink(missing_ok=True)
            turn.unlink()
        elif is_stale(turn):  # its worker died at it; whoever asks next may
            turn.unlink(missing_ok=True)

    def _made(self, path: Path) -> bool:
        """Write who this is to a file, unless it exists."""
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(self._me, file)
        except OSError:  # a full disk; nobody would know whose the empty file is
            path.unlink()
            raise
        return True


def identity(pid: int) -> dict[str, str | int]:
    """Who a process is: its id alone may be used again by another after a restart."""
    return {"host": socket.gethostname(), "pid": pid, "started": _start_time(pid)}


def slurm_job() -> dict[str, str]:
    """Which SLURM job this process belongs to, and how often that was queued again; empty outside SLURM."""
    if "SLURM_JOB_ID" not in os.environ:
        return {}
    return {"slurm_job": os.environ["SLURM_JOB_ID"], "restarts": os.environ.get("SLURM_RESTART_COUNT", "0")}


def is_claimed(path: Path) -> bool:
    """Whether a live worker has a run."""
    return path.exists() and not is_stale(path)


def is_stale(path: Path) -> bool:
    """Whether a claim's holder is gone. A claim that is still being written counts as live."""
    try:
        holder = _holder(path)
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    return age > (REQUEUED_SECONDS if _was_this_job(holder) else STALE_SECONDS) or _is_dead(holder)


def _holder(path: Path) -> dict[str, Any]:
    """Who made a claim; empty for one that is gone, half written or of no known form."""
    try:
        holder = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _was_this_job(holder: dict[str, Any]) -> bool:
    now = slurm_job()
    return bool(now) and holder.get("slurm_job") == now["slurm_job"] and holder.get("restarts") != now["restarts"]


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether a process is known to be gone, which can be told of this host's alone."""
    if not holder or holder.get("host") != socket.gethostname():
        return False
    return any(holder.get(key) != value for key, value in identity(holder["pid"]).items())


def _start_time(pid: int) -> str:
    """When a process of this host started, in a form that never repeats; empty if there is none, or only what is left
    of one that ended and that nobody waits for, as in a container without an init process.

    Where /proc is missing (macOS), a live process is told from a dead one, but not from a later one of the same id.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in ("Z", "X") else fields[18]
    except (FileNotFoundError, ProcessLookupError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
