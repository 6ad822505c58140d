"""Weights that networks start from: found, and pinned by the hash of their file. No torch here but for timm's own."""

import hashlib
from pathlib import Path

from benchmark.errors import UsageError
from benchmark.spec import TIMM, Architecture, Grid


def pin(grid: Grid) -> Grid:
    """The grid with the hash of every file of weights, and the files' whole paths.

    Raises UsageError for a file that cannot be read or is not the one that the grid states the hash of.
    """
    pinned = {name: _pinned(architecture) for name, architecture in grid.architectures.items()}
    return grid.model_copy(update={"architectures": pinned})


def weights_file(architecture: Architecture) -> Path:
    """Where an architecture's weights lie; timm's are downloaded if they are not in its cache.

    Raises UsageError if there are none, or other ones than those that were pinned.
    """
    assert architecture.weights is not None
    path = Path(architecture.weights)
    if architecture.weights == TIMM:
        from benchmark.models.timm_weights import timm_file

        path = timm_file(architecture)
    expected = architecture.weights_sha256
    found = _sha256(path, architecture)
    if expected is not None and found != expected:
        raise UsageError(
            f"architecture {architecture.name!r}: {path} has SHA-256 {found}, not {expected} as stated or planned"
        )
    return path


def _pinned(architecture: Architecture) -> Architecture:
    if architecture.weights is None:
        return architecture
    path = weights_file(architecture)
    source = TIMM if architecture.weights == TIMM else str(path.resolve())
    return architecture.model_copy(update={"weights": source, "weights_sha256": _sha256(path, architecture)})


def _sha256(path: Path, architecture: Architecture) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        why = error.strerror
        raise UsageError(f"architecture {architecture.name!r}: weights {str(path)!r} cannot be read: {why}") from None
