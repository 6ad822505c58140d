"""Exclusive claims on runs, so that two workers never train the same one. No torch here.

A claim is a file that appears whole and is its maker's, who touches it now and then. Whether its holder lives is judged
by that beat: a claim that did not change while someone watched it, by the watcher's clock, is stale and may be taken
over. When it was stamped counts for nothing, since clocks of hosts and file servers differ. Only of a process of this
very host, boot and process namespace is death known at once; a host's name alone is shared by containers. A holder that
was stopped meanwhile (Ctrl-Z, a suspended job) sees that when it wakes up, and lets go.
"""

import errno
import json
import math
import os
import threading
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from benchmark.ground.files import FileError, made_folder, read_table, say_once
from benchmark.records.process import identity, is_dead, slurm_job, was_this_job

HEARTBEAT_SECONDS = 15.0
STALE_SECONDS = 300.0
"""How long a claim is watched without a sign of life before it is taken over."""

SOON_STALE_SECONDS = 2 * HEARTBEAT_SECONDS
"""The same for a claim whose process is gone as far as anyone knows: one of the same SLURM job, from before that was
queued again (a node that lost touch with the scheduler may not know yet), and one that names nobody.
"""


NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What making a second name of a file fails with where the file system has none."""


class Claims:
    """The claims that this worker holds, kept alive by a background thread until the block ends; and what it has seen
    of others' claims.
    """

    def __init__(self) -> None:
        self._me = {**identity(os.getpid()), **slurm_job(), "token": uuid.uuid4().hex}
        self._held: dict[Path, float] = {}  # when each was last known to be held
        self._seen: dict[Path, tuple[Any, float]] = {}  # others' last beats, and since when this knows of them
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.release(tuple(self._held))

    def take(self, path: Path) -> bool:
        """Claim a run; False if another worker has it who lives, or may."""
        made_folder(path.parent)
        if self.is_stale(path):
            self._clear(path)
        if not self._made(path):
            return False
        self._held[path] = time.monotonic()
        return True

    def hold(self, paths: Iterable[Path]) -> bool:
        """Whether all of these are still held, as far as the last heartbeat saw; where that was too long ago, for this
        process or its file server having slept, it looks again."""
        return all(self._is_fresh(path) or self.refresh(path) for path in paths)

    def _is_fresh(self, path: Path) -> bool:
        return time.monotonic() - self._held.get(path, -math.inf) < STALE_SECONDS

    def release(self, paths: Iterable[Path]) -> None:
        """Give up these claims, those that are still this worker's."""
        for path in paths:
            self._held.pop(path, None)
            if _holder(path) == self._me:
                path.unlink(missing_ok=True)

    def refresh(self, path: Path) -> bool:
        """Look at a claim: touch one that is this worker's, forget one that is not; False as well if the disk gives no
        answer, which it may give to the next heartbeat."""
        try:
            if _holder(path) != self._me:
                self._held.pop(path, None)
                return False
            os.utime(path, follow_symlinks=False)
        except OSError:
            return False
        if path in self._held:
            self._held[path] = time.monotonic()
        return path in self._held

    def is_stale(self, path: Path) -> bool:
        """Whether a claim's holder is gone: it is known to be, or this has seen no beat for long enough."""
        holder = _holder(path)  # opened first: a file server then looks at the file anew
        try:
            beat = holder, path.lstat().st_mtime_ns
        except FileNotFoundError:
            return False
        if is_dead(holder):
            return True
        last, since = self._seen.get(path, (None, 0.0))
        if beat != last:
            since = time.monotonic()
            self._seen[path] = beat, since
        say_if_quiet(path)
        return time.monotonic() - since > _patience(holder)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            for path in tuple(self._held):
                self.refresh(path)

    def clear_if_dead(self, path: Path) -> None:
        """Take a claim away whose holder is known to be gone."""
        if is_dead(_holder(path)):
            self._clear(path)

    def _clear(self, path: Path) -> None:
        """Take a stale claim away. One worker at a time may, and looks again: a fresh claim may have come in the stale
        one's place.
        """
        turn = path.with_name(f".{path.name}.turn")
        if self._made(turn):
            if self.is_stale(path):
                _put_away(path)
            turn.unlink(missing_ok=True)
        elif self.is_stale(turn):  # its worker died meanwhile; the next one may
            _put_away(turn)

    def _made(self, path: Path) -> bool:
        """Write who this is to a file that appears whole, unless its name is taken."""
        whole = path.with_name(f".{path.name}.{self._me['token']}")
        try:
            whole.write_text(json.dumps(self._me), encoding="utf-8")
            os.link(whole, path)
        except FileExistsError:
            return whole.stat().st_nlink > 1  # a file server's first answer was lost, and it was asked again
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return self._made_in_place(path)
        finally:
            whole.unlink(missing_ok=True)
        return True

    def _made_in_place(self, path: Path) -> bool:
        """The same where files cannot have two names: for a moment it is empty, and names nobody."""
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(self._me, file)
        return True


def is_claimed(path: Path) -> bool:
    """Whether a run seems to be at a live worker's, by one look, which has to trust clocks: for what is shown, never
    for what is done."""
    return os.path.lexists(path) and not seems_left(path)


def seems_left(path: Path) -> bool:
    """Whether a claim's holder is known to be gone, or its last beat is long ago if this host's clock is right."""
    return is_dead(_holder(path)) or _age(path) > STALE_SECONDS


def say_if_quiet(path: Path) -> None:
    """Say once of a claim that is older than a live holder lets it become that it is waited for, and for how long."""
    if _age(path) > SOON_STALE_SECONDS:
        holder = _holder(path)
        who = f"process {holder['pid']} on {holder['host']}" if holder else "nobody that it names"
        say_once(f"{path} is held by {who}: taken over after {_patience(holder):.0f} s without a sign of life")


def _patience(holder: dict[str, Any]) -> float:
    """How long a claim is watched."""
    return SOON_STALE_SECONDS if not holder or was_this_job(holder) else STALE_SECONDS


def _age(path: Path) -> float:
    """By this host's clock; 0 for a claim that is gone."""
    try:
        return time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _holder(path: Path) -> dict[str, Any]:
    """Who made a claim; empty for one that is gone, half written, a link or of no known form."""
    try:
        holder = {} if path.is_symlink() else read_table(path)
    except (FileNotFoundError, NotADirectoryError, FileError):
        return {}
    pid = holder.get("pid")
    known = isinstance(holder.get("host"), str) and isinstance(pid, int) and 0 < pid < 1 << 31
    return holder if known else {}


def _put_away(path: Path) -> None:
    """Remove a claim; a folder that has its name gets another one."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        if not path.is_dir():
            raise
        path.rename(path.with_name(f".{path.name}.{uuid.uuid4().hex}"))
