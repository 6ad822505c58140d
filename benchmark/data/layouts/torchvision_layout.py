"""Data sets as torchvision lays them out, read by its classes."""

import gzip
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.naming import defect, refused
from benchmark.data.source import Item, Source
from benchmark.ground.errors import one_line
from benchmark.ground.libraries import torchvision
from benchmark.spec.datasets import DatasetInfo

BY_SPLIT_NAME = ("SVHN", "STL10")
"""Classes that take split = "train"; the others take train = True."""


def find(roots: Sequence[Path], name: str, known: DatasetInfo, download: bool) -> Source | None:
    """The first folder that holds a copy; else, if it may be downloaded, what torchvision leaves in the last one.

    Raises UsageError if the download fails.
    """
    if known.torchvision is None or known.files is None:
        return None
    if download and not any(any(root.glob(known.files)) for root in roots):
        _download(roots[-1], name, known)
    for root in roots:
        if files := tuple(sorted(root.glob(known.files))):
            return Source(
                location=root,
                files=files,
                splits={split: partial(_read, root, split, name, known) for split in ("train", "test")},
                classes=known.classes,
            )
    return None


def _download(root: Path, name: str, known: DatasetInfo) -> None:
    try:
        for split in ("train", "test"):
            _dataset(root, split, known, download=True)
    except (RuntimeError, OSError) as error:  # a wrong checksum; no network, no room
        why = " ".join(str(error).split())
        raise refused(f"dataset {name!r} is not in {root} and cannot be downloaded there: {why}") from None


def _dataset(root: Path, split: str, known: DatasetInfo, download: bool = False) -> Any:
    kind = getattr(torchvision.datasets, str(known.torchvision))
    which = {"split": split} if known.torchvision in BY_SPLIT_NAME else {"train": split == "train"}
    return kind(root=str(root), download=download, **which)


def _read(root: Path, split: str, name: str, known: DatasetInfo) -> Iterator[Item]:
    try:
        for file in root.glob(str(known.files)):
            if why := defect(file):
                raise OSError(f"{file} {why}")
        with _unpacked(root, known) as place:
            dataset = _dataset(place, split, known)
        pixels = np.asarray(dataset.data)
        labels = np.asarray(dataset.labels if known.torchvision in BY_SPLIT_NAME else dataset.targets)
        if len(pixels) != len(labels):
            raise ValueError(f"the {split} split has {len(pixels)} images and {len(labels)} labels")
    except Exception as error:  # each of torchvision's readers fails in its own way
        wanted = f"what torchvision.datasets.{known.torchvision}({str(root)!r}, download=True) leaves there"
        why = f"needed is {wanted} ({one_line(error)})"
        raise refused(f"dataset {name!r} is not in {root}, or is damaged: {why}") from None
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    elif pixels.shape[1] == 3 and pixels.shape[3] != 3:  # planes first
        pixels = pixels.transpose(0, 2, 3, 1)
    for row, (image, label) in enumerate(zip(pixels, labels.tolist(), strict=True)):
        yield Item(f"{name} {split} image {row}", np.ascontiguousarray(image), label)


@contextmanager
def _unpacked(root: Path, known: DatasetInfo) -> Iterator[Path]:
    """The root, or, where its archives were never unpacked, a temporary one that holds them unpacked."""
    archives = [file for file in root.glob(str(known.files)) if file.suffix == ".gz"]
    if all(archive.with_suffix("").exists() for archive in archives):
        yield root
        return
    with tempfile.TemporaryDirectory() as temporary:
        for archive in archives:
            target = Path(temporary) / archive.relative_to(root).with_suffix("")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(gzip.decompress(archive.read_bytes()))
        yield Path(temporary)
