"""Data sets: from files, decoded once, to batches on the device."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from benchmark.data.cache import Decoded, cache_dir, decoded
from benchmark.data.images import Encoded, Images
from benchmark.data.layouts import OWN, find
from benchmark.data.resident import Resident, TrainingSet, Views
from benchmark.data.resize import check
from benchmark.data.splits import Splits, record_split, split
from benchmark.data.streaming import Streamed, StreamedTrainingSet
from benchmark.ground.errors import UsageError
from benchmark.spec import Dataset, Recipe
from benchmark.spec.datasets import KNOWN


class EvaluationData(Protocol):
    """A split as evaluation reads it, resident or streamed."""

    labels: Tensor
    device: torch.device

    def __len__(self) -> int: ...

    def batch(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Normalised images [B, C, H, W] and labels [B], in order."""


class TrainingData(EvaluationData, Protocol):
    """A training split as the loop reads it, resident or streamed."""

    steps: int

    def views(self, seed: int, epoch: int) -> Any:
        """What the batches of an epoch show, to be handed to `training_batch`."""

    def training_batch(self, views: Any, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Augmented, normalised images [B, C, H, W], labels [B] and positions in the training set [B]."""

    def second_view(self, views: Any, step: int) -> Tensor: ...


def evaluation_data(images: Images, recipe: Recipe, device: torch.device) -> EvaluationData:
    """Raises UsageError if the images do not fit the recipe or the device."""
    return (Streamed if isinstance(images.pixels, Encoded) else Resident)(images, recipe, device)


def training_data(images: Images, recipe: Recipe, device: torch.device) -> TrainingData:
    """Without the classes that the recipe leaves out. Raises UsageError if the images do not fit the recipe or the
    device."""
    kept = images.without(recipe.without_classes)
    return (StreamedTrainingSet if isinstance(kept.pixels, Encoded) else TrainingSet)(kept, recipe, device)


def load(dataset: Dataset, data_dir: Path | None = None, *, download: bool = False) -> Splits:
    """Read a data set, decoding it the first time, and split it, stratified by class.

    Raises UsageError for a name that is not known, files that are not there, images that cannot be used (all of them,
    by file), other sizes than the published ones of a set of that name, or more images asked for than there are.
    """
    if dataset.name == OWN and dataset.path is None:
        _check_own(dataset, data_dir)
        return split(dataset, _digits())
    source = find(dataset, data_dir, download)
    images = decoded(dataset.name, source, cache_dir(data_dir), keep_pixels=dataset.storage == "resident")
    _check_sizes(dataset, images)
    return split(dataset, images)


def _check_own(dataset: Dataset, data_dir: Path | None) -> None:
    """Raise UsageError for what scikit-learn's digits have not got, and for a folder that may be meant instead."""
    if dataset.image_column or dataset.label_column:
        raise UsageError(f"dataset {OWN!r} is scikit-learn's, which has no columns to choose")
    if dataset.storage != "resident":
        raise UsageError(f"dataset {OWN!r} is scikit-learn's, of arrays: storage = 'resident'")
    if data_dir is not None and (data_dir / OWN).is_dir():
        raise UsageError(
            f"dataset {OWN!r} is scikit-learn's, but there is a folder {data_dir / OWN}: if that is meant, say "
            f"path = {OWN!r} in its entry, else call it otherwise"
        )


def _check_sizes(dataset: Dataset, images: Decoded) -> None:
    """A set that goes by a published name is the published one: a missing file would go unnoticed."""
    if (known := KNOWN.get(dataset.name)) is None:
        return
    found = images.classes, len(images.train), len(images.test or ())
    classes = found[0] if dataset.label_column else known.classes
    if found != (classes, known.train, known.test):
        raise UsageError(
            f"dataset {dataset.name!r} has {classes} classes, {known.train} training and {known.test} test "
            f"images, found were {found[0]}, {found[1]} and {found[2]}: a file is missing, or it needs another name"
        )


def _digits() -> Decoded:
    """scikit-learn's 1,797 handwritten digits, 8 x 8, sixteen grey levels."""
    bundle = load_digits()
    pixels = np.rint(bundle.images * (255 / 16)).astype(np.uint8)[..., None]
    return Decoded(Images(torch.from_numpy(pixels), torch.from_numpy(bundle.target.astype(np.int64))), None, classes=10)
