"""Folders of images, a subfolder a class: `{train,val|test}/<class>/*`, only `<class>/*`, or Tiny-ImageNet's own."""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmark.data.source import Item, Source
from benchmark.errors import UsageError

log = logging.getLogger(__name__)

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
ANNOTATIONS = "val_annotations.txt"
SPLITS = ("train", "training", "test", "testing", "val", "valid", "validation")

Listing = dict[str, list[Path]]
"""Image files by the name of their class."""


def find(folder: Path) -> Source | None:
    """The images below a folder; None if it has no subfolder with images.

    Classes are numbered in the order of their names in the training split. Hidden files are passed over; so are, with a
    note in the log, files whose suffix is no image's.
    """
    listings = _listings(folder)
    if not any(files for listing in listings.values() for files in listing.values()):
        return None
    numbers = {name: number for number, name in enumerate(sorted(listings["train"]))}
    images = (file for listing in listings.values() for files in listing.values() for file in files)
    return Source(
        location=folder,
        files=(*images, *folder.glob(f"val/{ANNOTATIONS}")),
        splits={split: partial(_items, folder, listing, numbers) for split, listing in listings.items()},
        classes=len(numbers),
        problems=tuple(_problems(listings)),
    )


def _listings(folder: Path) -> dict[str, Listing]:
    if not (folder / "train").is_dir():
        _check_no_split(folder)
        return {"train": _classes(folder)}
    train = {"train": _classes(folder / "train")}
    if (folder / "val" / ANNOTATIONS).is_file():
        return train | {"test": _annotated(folder / "val")}
    held_out = [name for name in ("test", "val") if (folder / name).is_dir()]
    if len(held_out) > 1:
        log.info("%s: the images of 'val' are not used; a validation split is drawn from 'train'", folder)
    return train | ({"test": _classes(folder / held_out[0])} if held_out else {})


def _check_no_split(folder: Path) -> None:
    """Raise UsageError where a split's folder has an unknown name: it would become a class."""
    if misnamed := sorted(place.name for place in folder.iterdir() if place.is_dir() and place.name.lower() in SPLITS):
        named = ", ".join(map(repr, misnamed))
        raise UsageError(f"{folder} has {named}, which look like splits, but no 'train'; valid: train, val, test")


def _classes(folder: Path) -> Listing:
    places = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))
    return {place.name: _images(place) for place in places}


def _images(folder: Path) -> list[Path]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    if images and len(images) < len(files):
        others = [file.name for file in files if file.suffix.lower() not in SUFFIXES]
        log.warning("%s: passed over, no image by its suffix: %s", folder, ", ".join(others))
    return images


def _annotated(folder: Path) -> Listing:
    """Tiny-ImageNet's validation images, whose classes are in the second column of a table."""
    listing: Listing = {}
    for line in (folder / ANNOTATIONS).read_text(encoding="utf-8").splitlines():
        file, name = line.split("\t")[:2]
        listing.setdefault(name, []).append(folder / "images" / file)
    return dict(sorted(listing.items()))


def _problems(listings: dict[str, Listing]) -> Iterator[str]:
    for split, listing in listings.items():
        yield from (f"{split} class {name} has no images" for name, files in listing.items() if not files)
    if "test" in listings:
        train, test = set(listings["train"]), set(listings["test"])
        yield from (f"class {name} is in the training split only" for name in sorted(train - test))
        yield from (f"class {name} is in the test split only" for name in sorted(test - train))


def _items(folder: Path, listing: Listing, numbers: dict[str, int]) -> Iterator[Item]:
    """The images of the classes that are in the training split; `problems` holds the others."""
    for name in sorted(listing.keys() & numbers.keys()):
        for file in listing[name]:
            yield Item(str(file.relative_to(folder)), file, numbers[name])
