"""What decoding has found in a data set, class by class: what is wrong with it as a whole, and how it is told."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmark.data.naming import printable
from benchmark.data.source import SHOWN, Source


@dataclass(frozen=True)
class Found:
    """What decoding a split has shown: the bytes kept, None where the images are files; how many images there are, in
    all and of each class; how many equal an earlier one; and how many have metadata that ask to be turned."""

    size: int | None
    count: int
    labels: Counter[int]
    copies: int
    turned: int


def class_problems(source: Source, classes: int, splits: Mapping[str, Found], otherwise_sound: bool) -> Iterator[str]:
    """Splits without images; classes without images, in one of the splits or in all; labels beyond the classes; and a
    set of one class. Where the number of classes comes from labels of which some are wrong, nothing is said of them."""
    if source.problems or not (source.classes or all(f.count == f.labels.total() for f in splits.values())):
        return
    for split, found in splits.items():
        what = _what(split)
        lacking = classes - sum(label < classes for label in found.labels)
        if not found.count:
            yield f"the {what} split has no images"
        elif lacking > SHOWN:
            yield f"{lacking} of {classes} classes have no {what} image" + ("" if source.names else ", by their labels")
        else:
            for number in range(classes):
                if number not in found.labels:
                    yield f"class {number} has no {what} image" + (
                        f": '{source.names[number]}'" if source.names else ""
                    )
        for label in sorted(label for label in found.labels if label >= classes):
            yield f"label {label} has {found.labels[label]} {what} images and no training image"
    if classes == 1 and otherwise_sound:
        yield f"all images are of one class, '{[*source.names, 0][0]}'"


def described(source: Source, classes: int, splits: Mapping[str, Found]) -> Iterator[str]:
    """Lines that say what was found, and what its maker may not expect."""
    names = source.names or range(classes)
    each = [
        f"{names[number]} {' + '.join(str(found.labels[number]) for found in splits.values())}"
        for number in range(min(classes, SHOWN))
    ]
    more = [f"and {classes - SHOWN} more"] if classes > SHOWN else []
    images = " + ".join(f"{found.count} {_what(split)}" for split, found in splits.items())
    yield printable(f"found {images} images of {classes} classes: {', '.join(each + more)}")
    yield from map(printable, source.notes)
    for split, found in splits.items():
        if found.copies:
            yield f"{found.copies} {_what(split)} images equal another one of them, pixel by pixel"
    if turned := sum(found.turned for found in splits.values()):
        yield f"{turned} images have an EXIF orientation; they are read as stored, not turned by it"


def _what(split: str) -> str:
    return "training" if split == "train" else split
