"""The fixed, stratified splits of a data set, what identifies them, and the file that keeps them with a grid."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from benchmark.data.cache import Decoded
from benchmark.data.images import Images
from benchmark.ground.errors import UsageError
from benchmark.ground.files import inside, read_table, write_json
from benchmark.spec import Dataset, derive_seed, digest


@dataclass(frozen=True)
class Splits:
    """The images of one data set. `sha256` covers pixels, labels and which image is in which split; `test_duplicates`
    counts the test images whose pixels equal a training image's. `drawn` are the positions, among the official
    training or test images, of the splits that were drawn from them.
    """

    train: Images
    validation: Images
    test: Images
    classes: int
    sha256: str
    test_duplicates: int
    drawn: dict[str, list[int]]


def split(dataset: Dataset, images: Decoded) -> Splits:
    """Split the official images, stratified by class.

    Raises UsageError if more images are asked for than there are, too few for the classes, or so many that a class has
    no training image.
    """
    train, test = images.train, images.test
    of_train, drawn = np.arange(len(train)), {}
    if test is None:
        if dataset.test is None:
            raise UsageError(f"dataset {dataset.name!r} has no test split of its own: say how many images, test = N")
        of_train, drawn["test"] = _draw(of_train, train, dataset.test, dataset, "test")
        test = train.take(drawn["test"])
    elif dataset.test is not None:
        _, drawn["test"] = _draw(np.arange(len(test)), test, dataset.test, dataset, "test")
        test = test.take(drawn["test"])
    of_train, drawn["validation"] = _draw(of_train, train, dataset.validation, dataset, "validation")
    if dataset.train is not None:
        _, of_train = _draw(of_train, train, dataset.train, dataset, "train")
        drawn["train"] = of_train
    parts = train.take(of_train), train.take(drawn["validation"]), test
    if lacking := images.classes - len(parts[0].labels.unique()):
        raise UsageError(
            f"dataset {dataset.name!r}: {lacking} of {images.classes} classes have none of the {len(of_train)} images "
            "that are left for training: choose other sizes (train, validation, test)"
        )
    return Splits(
        *parts,
        classes=images.classes,
        sha256=_sha256(parts),
        test_duplicates=_duplicates(parts[0], parts[2]),
        drawn={name: index.tolist() for name, index in drawn.items()},
    )


def record_split(dataset: Dataset, splits: Splits, folder: Path) -> None:
    """Write down which images were drawn, in `<folder>/splits`, to be looked at and shared.

    Raises UsageError if the folder was begun with other images of that name, or another draw of them.
    """
    described = dataset.identity()
    path = inside(folder, "splits") / f"{dataset.name}-{digest(described)}.json"
    if not path.exists():
        write_json(path, {"dataset": described, "sha256": splits.sha256, "positions": splits.drawn})
    elif (before := _sha256_in(path)) != splits.sha256:
        raise UsageError(
            f"dataset {dataset.name!r} is not the one that {folder} was begun with (sha256 {before[:12]} in "
            f"{path.name}, {splits.sha256[:12]} now): give it another name, or use another results folder"
        )


def _sha256_in(path: Path) -> str:
    """The hash of images that a folder was begun with. Raises UsageError for a file that does not say."""
    before = read_table(path).get("sha256")
    if not isinstance(before, str):
        raise UsageError(f"{path} gives no sha256 of images; move it away to have it made anew")
    return before


def _draw(index: np.ndarray, images: Images, count: int, dataset: Dataset, what: str) -> tuple[np.ndarray, np.ndarray]:
    """The rest and `count` of the positions, drawn stratified; split_seed and the split's name decide which. A class of
    a single image stays in the rest."""
    if count > len(index):
        raise UsageError(f"dataset {dataset.name!r} has {len(index)} images left, {what} = {count} asks for more")
    if count == len(index):
        return index[:0], index
    if count == 0:
        return index, index[:0]
    labels = images.labels.numpy()[index]
    several = np.flatnonzero(np.bincount(labels)[labels] > 1)
    try:
        _, drawn = train_test_split(
            several,
            test_size=count,
            stratify=labels[several],
            random_state=derive_seed("split", what, dataset.split_seed) % 2**32,
        )
    except ValueError as error:  # fewer images than classes, on either side
        raise UsageError(f"dataset {dataset.name!r} cannot be split with {what} = {count}: {error}") from None
    return np.delete(index, drawn), index[np.sort(drawn)]


def _sha256(parts: tuple[Images, ...]) -> str:
    result = hashlib.sha256()
    for images in parts:
        for content in images.content():
            result.update(content)
    return result.hexdigest()


def _duplicates(train: Images, test: Images) -> int:
    seen = {digest.tobytes() for digest in train.digested()}
    return sum(digest.tobytes() in seen for digest in test.digested())
