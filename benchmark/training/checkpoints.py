"""Checkpoints of one run: written atomically, two kept, and the newest that is whole and fits is gone on from.

A file is what torch.save writes, a zip archive, with the SHA-256 of all that comes before it as the archive's comment;
nothing of a file is parsed unless that is right. Files from before there was a digest end with an archive that has no
comment; of those, the archive's own checksums are compared.
"""

import copy
import hashlib
import io
import logging
import re
import shutil
import struct
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Self

import torch
from torch import Tensor

from benchmark.ground.files import inside, open_regular, remove, write_bytes

KEPT = 2
LABEL = b"sha256:"
COMMENT = len(LABEL) + 64
END = 22
"""Bytes of a zip archive's last record without a comment, whose length is in the last two (APPNOTE 4.3.16)."""

log = logging.getLogger(__name__)


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write a run's state; the name is its step, which is below 0 in phases. Raises UsageError for a folder that is a
    link to somewhere else.
    """
    inside(folder.parent, folder.name)
    serialised = io.BytesIO()
    torch.save(state, serialised)
    serialised.seek(-2, io.SEEK_END)
    serialised.write(struct.pack("<H", COMMENT))
    with serialised.getbuffer() as content:
        digest = hashlib.sha256(content).hexdigest()
    serialised.write(LABEL + digest.encode())
    write_bytes(folder / f"{state['next_step']:09d}.pt", serialised.getbuffer())
    steps = {path: int(path.stem) for path in files(folder)}
    kept = [path for path, step in steps.items() if step <= state["next_step"]][-KEPT:]
    for path in steps.keys() - kept:  # one of a later step could not be gone on from
        remove(path)


def is_behind(device: torch.device) -> bool:
    """Whether states are written while training goes on: where it would wait for copies of hundreds of tensors."""
    return device.type == "cuda"


class Writer:
    """Writes states at once, or while training goes on: then copies of them, in pinned memory if they are on a GPU,
    which are made in their turn among its work, without a wait; a thread does the rest.

    One call's states are under way at a time. What a thread failed at is raised by the next `save` or `wait`, or logged
    at the end. A process that is killed leaves what had been written, whole.
    """

    def __init__(self, *, behind: bool) -> None:
        self._thread = ThreadPoolExecutor(1, "checkpoints") if behind else None
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown()
        if self._under_way is not None and (error := self._under_way.exception()):
            log.warning("the last checkpoints could not be written: %s", error)

    def save(self, states: Mapping[Path, dict[str, Any]]) -> None:
        """`save` for states by their folder."""
        if self._thread is None:
            _write(states, None)
            return
        self.wait()
        copies = {folder: on_host(state) for folder, state in states.items()}
        copied = torch.cuda.Event() if torch.cuda.is_available() else None
        if copied is not None:
            copied.record()
        self._under_way = self._thread.submit(_write, copies, copied)

    def wait(self) -> None:
        """Until all is written. Raises what writing raised."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()


def _write(states: Mapping[Path, dict[str, Any]], copied: torch.cuda.Event | None) -> None:
    if copied is not None:
        copied.synchronize()
    for folder, state in states.items():
        save(folder, state)


def on_host(value: Any) -> Any:
    """A copy of plain values and tensors, these in the host's memory; of a GPU's, it is there when the GPU has come to
    it. Attributes of dictionaries stay: torch's modules keep versions in them."""
    if isinstance(value, Tensor):
        return torch.empty_like(value, device="cpu", pin_memory=value.is_cuda).copy_(value, non_blocking=True)
    if isinstance(value, dict):
        copied = copy.copy(value)
        copied.update({key: on_host(each) for key, each in value.items()})
        return copied
    return type(value)(map(on_host, value)) if isinstance(value, list | tuple) else value


def newest_first(folder: Path, run_id: str, device: torch.device) -> Iterator[dict[str, Any]]:
    """Every state that is whole and of this run; what is wrong with the others is logged."""
    for path in reversed(files(folder)):
        try:
            yield _read(path, run_id, device)
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # a file may be damaged in more ways than its readers have errors
            log.warning("checkpoint %s cannot be used (%s); the one before it is tried", path, error)


def discard(folder: Path) -> None:
    """Remove a run's checkpoints; of a link, that alone."""
    if folder.is_symlink():
        remove(folder)
    shutil.rmtree(folder, ignore_errors=True)


def files(folder: Path) -> list[Path]:
    """Oldest first; none of a folder that is a link to somewhere else."""
    inside(folder.parent, folder.name)
    found = [path for path in folder.glob("*.pt") if re.fullmatch(r"-?\d{1,18}", path.stem) and path.is_file()]
    return sorted(found, key=lambda path: int(path.stem))


def _read(path: Path, run_id: str, device: torch.device) -> dict[str, Any]:
    """A file's state. Raises an error of any kind if it is damaged, or not of this run."""
    with open_regular(path) as file:
        if not _is_attested(file):
            file.seek(0)
            if (damaged := zipfile.ZipFile(file).testzip()) is not None:
                raise ValueError(f"its part {damaged} is damaged")
        file.seek(0)
        state = torch.load(file, map_location=device, weights_only=True)
    if not isinstance(state, dict) or state.get("run_id") != run_id:
        raise ValueError(f"it is not of {run_id}")
    return state


def _is_attested(file: BinaryIO) -> bool:
    """Whether a file ends with a digest, which is then right; False for one from before there were any.

    Raises ValueError for another digest, and for a file that ends in neither way.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - COMMENT))
    tail = file.read()
    if tail[-END:-18] == b"PK\x05\x06" and tail[-2:] == b"\0\0":
        return False
    if not tail.startswith(LABEL):
        raise ValueError("it was cut short")
    file.seek(0)
    digest, left = hashlib.sha256(), size - COMMENT
    while left and (part := file.read(min(left, 1 << 20))):
        digest.update(part)
        left -= len(part)
    if tail != LABEL + digest.hexdigest().encode():
        raise ValueError("its SHA-256 is not the one that it states")
    return True
