"""What a trained network says of the test images, kept beside its record. No torch here."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from benchmark.ground.errors import UsageError, one_line
from benchmark.ground.files import FileError, read_bytes
from benchmark.records.folder import Folder
from benchmark.records.record import Record, Result

Array = NDArray[Any]

SAMPLE = 1000
"""Of how many test images embeddings are kept."""

SMALL = 5_000_000
"""Bytes up to which predictions are kept where the grid does not say: CIFAR-100's are 2.2 million."""

TOLERATED = 2e-3
"""How far a measure of kept predictions may be from the record's, of full precision; or by what two images make."""

HELD = frozenset(("logits", "labels", "embeddings", "embedding_labels", "teacher_logits", "teacher_embeddings"))
"""What metrics may ask of the predictions of a run and its teacher."""


class NoPredictionsError(UsageError):
    """None were kept, of which a file that cannot be used is another case."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Logits [N, K] and labels [N] of all test images; embeddings [R, D] of those at the positions `images` [R], of
    which any first ones have every class's share. Older files have no embeddings."""

    logits: Array
    labels: Array
    embeddings: Array | None = None
    images: Array | None = None

    @property
    def finite(self) -> bool:
        return all(np.isfinite(each).all() for each in (self.logits, self.embeddings) if each is not None)

    def content(self) -> bytes:
        """A safetensors file, in half precision where the range of its numbers allows that."""
        tensors = {"logits": _ranked(self.logits), "labels": _small(self.labels)}
        if self.embeddings is not None and self.images is not None:
            tensors |= {"embeddings": _halved(self.embeddings), "images": _small(self.images)}
        return bytes(save(tensors))

    def given(self, teacher: "Predictions | None" = None) -> dict[str, Array]:
        """What `benchmark.metrics` may ask for. Raises UsageError for a teacher's of other images."""
        found = {"logits": self.logits, "labels": self.labels}
        if self.embeddings is not None:
            found |= {"embeddings": self.embeddings, "embedding_labels": self.labels[self.images]}
        if teacher is None:
            return found
        if self.logits.shape != teacher.logits.shape or not np.array_equal(self.labels, teacher.labels):
            raise UsageError("predictions of student and teacher are of other test images")
        found["teacher_logits"] = teacher.logits
        if teacher.embeddings is not None and np.array_equal(self.images, teacher.images):  # type: ignore[arg-type]
            found["teacher_embeddings"] = teacher.embeddings
        return found


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read(path: Path) -> Predictions:
    """In single precision. Raises UsageError for a file that does not hold predictions."""
    try:
        return _parsed(path, read_bytes(path))
    except FileError:
        raise
    except OSError as error:
        raise UsageError(f"predictions {path} cannot be read: {error.strerror}") from None


def of_run(folder: Folder, record: Record) -> Predictions:
    """A finished run's predictions. Raises NoPredictionsError where none were kept, UsageError where others lie under
    its name or they are damaged."""
    path = folder.predictions_path(record.run_id)
    try:
        content = read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        raise NoPredictionsError(f"no predictions of {record.run_id} at {path} (keep_predictions)") from None
    found, recorded = _parsed(path, content), record.result.predictions_sha256
    # a file from before there were hashes is told by its accuracy
    if not (agree(found, record.result) if recorded is None else sha256(content) == recorded):
        raise UsageError(f"predictions {path} are not those of the record's training")
    return found


def agree(predictions: Predictions, result: Result) -> bool:
    """Whether the accuracy is the recorded one, as far as half precision can tell."""
    right, images = int((predictions.logits.argmax(1) == predictions.labels).sum()), len(predictions.labels)
    return abs(right - (result.top1 or 0.0) * images) <= max(1, TOLERATED * images)


def _parsed(path: Path, content: bytes) -> Predictions:
    try:
        tensors = load(content)
        logits, labels = tensors["logits"].astype(np.float32), tensors["labels"]
        embeddings, images = tensors.get("embeddings"), tensors.get("images")
        if embeddings is not None:
            embeddings = embeddings.astype(np.float32)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UsageError(f"predictions {path} cannot be read: {one_line(error)}") from None
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise UsageError(f"predictions {path}: logits {logits.shape} and labels {labels.shape} do not belong together")
    if not np.isfinite(logits).all() or not _within(labels, logits.shape[1]):
        raise UsageError(f"predictions {path}: logits that are not finite, or labels that are no classes")
    if (embeddings is None) != (images is None):
        raise UsageError(f"predictions {path}: embeddings without the images that they are of, or the other way round")
    if embeddings is not None and images is not None:
        belong = embeddings.ndim == 2 and images.shape == embeddings.shape[:1]
        if not (belong and np.isfinite(embeddings).all() and _within(images, len(labels))):
            raise UsageError(f"predictions {path}: embeddings that are not finite, or of images that are not there")
    positions = None if images is None else images.astype(np.int64)
    return Predictions(logits, labels.astype(np.int64), embeddings, positions)


def _halved(values: Array) -> Array:
    fits = np.abs(values).max(initial=0.0) < np.finfo(np.float16).max
    return np.ascontiguousarray(values.astype(np.float16 if fits else np.float32))


def _ranked(logits: Array) -> Array:
    """The same with the likeliest class still the likeliest: rounding makes a few others its equal."""
    halved, best = _halved(logits), logits.argmax(1)
    rows = np.flatnonzero(halved.argmax(1) != best)
    halved[rows, best[rows]] = np.nextafter(halved[rows, best[rows]], np.inf, dtype=halved.dtype)
    return halved


def _small(values: Array) -> Array:
    """The same whole numbers in as few bytes as hold the largest."""
    return np.ascontiguousarray(values.astype(np.min_scalar_type(int(values.max(initial=0)))))


def _within(values: Array, end: int) -> bool:
    """Whether they are positions in something of this length."""
    whole = values.dtype.kind in "iu"
    return bool(whole and values.size and values.min() >= 0 and values.max() < end)
