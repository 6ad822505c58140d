"""What a trained network says of every test image, kept beside its record. No torch here."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from benchmark.errors import UsageError, one_line
from benchmark.files import FileError, atomic, read_bytes


def save_predictions(path: Path, logits: np.ndarray, labels: np.ndarray) -> None:
    """Write logits [N, K], in half precision where their range allows it, and labels [N]."""
    fits = np.abs(logits).max(initial=0.0) < np.finfo(np.float16).max
    tensors = {"logits": logits.astype(np.float16 if fits else np.float32), "labels": labels.astype(np.int32)}
    with atomic(path) as temporary:
        temporary.write_bytes(save(tensors))


def load_predictions(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Logits float32 [N, K] and labels [N]. Raises UsageError for a file that does not hold them."""
    try:
        tensors = load(read_bytes(path))
        logits, labels = tensors["logits"].astype(np.float32), tensors["labels"]
    except FileError:
        raise
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UsageError(f"predictions {path} cannot be read: {one_line(error)}") from None
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise UsageError(f"predictions {path}: logits {logits.shape} and labels {labels.shape} do not belong together")
    if not np.isfinite(logits).all() or labels.dtype.kind not in "iu" or not _within(labels, logits.shape[1]):
        raise UsageError(f"predictions {path}: logits that are not finite, or labels that are no classes")
    return logits, labels


def _within(labels: np.ndarray, classes: int) -> bool:
    return bool(labels.size and labels.min() >= 0 and labels.max() < classes)
