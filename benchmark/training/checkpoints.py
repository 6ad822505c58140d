"""Checkpoints of one run: written atomically, two kept, a damaged one passed over."""

import io
import logging
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch

from benchmark.files import atomic

KEPT = 2
log = logging.getLogger(__name__)


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write a run's state; the name is its step, which is below 0 in phases."""
    serialised = io.BytesIO()
    torch.save(state, serialised)
    with atomic(folder / f"{state['next_step']:09d}.pt") as temporary:
        temporary.write_bytes(serialised.getbuffer())  # by Python's own means: a full disk has to be told as such
    for old in _files(folder)[:-KEPT]:
        old.unlink(missing_ok=True)


def newest(folder: Path, run_id: str, device: torch.device) -> dict[str, Any] | None:
    """The newest state that is whole and of this run, None if there is none."""
    for path in reversed(_files(folder)):
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
            log.warning("checkpoint %s cannot be read (%s); an older one is used", path, error)
            continue
        if damaged or not isinstance(state, dict) or state.get("run_id") != run_id:
            log.warning("checkpoint %s is damaged or not of %s; an older one is used", path, run_id)
            continue
        return state
    return None


def discard(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted((path for path in folder.glob("*.pt") if not path.name.startswith(".")), key=lambda p: int(p.stem))
