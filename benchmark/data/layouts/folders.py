"""Folders of images, a folder a class: `{train,test|val}/<class>/...`, only `<class>/...`, or Tiny-ImageNet's own."""

import os
from collections.abc import Iterator
from functools import partial
from itertools import combinations, islice
from pathlib import Path

from benchmark.data.decode import is_image
from benchmark.data.naming import (
    SPLITS,
    SUFFIXES,
    class_name,
    defect,
    enumerated,
    is_rubbish,
    refused,
    split_of,
    words,
)
from benchmark.data.source import Item, Source

ANNOTATIONS = "val_annotations.txt"
SNIFFED, WRAPPINGS = 20, 4
"""How many files without an image's suffix are opened, and how deep an only folder in an only folder is followed."""

Listing = dict[str, list[Path]]
"""Files by the name of their class."""


def find(folder: Path) -> Source | None:
    """The images below a folder; None if it has neither a training folder nor a subfolder with images.

    Classes are numbered in the order of their names in the training split. Every file below a class folder is an image
    of the class, what `naming.RUBBISH` names excepted; whatever keeps one from being read is a problem of the source.
    Raises UsageError where folders named as splits leave a choice, or lie where classes are expected.
    """
    folder = _unwrapped(folder)
    tree = _Tree(folder)
    listings = _listings(tree)
    files = [file for listing in listings.values() for images in listing.values() for file in images]
    if not tree.splits and not tree.problems and not _any_image(files):
        return None
    names = tuple(sorted(listings["train"]))
    numbers = {name: number for number, name in enumerate(names)}
    return Source(
        location=folder,
        files=(*files, *(place / ANNOTATIONS for place in tree.splits.values() if (place / ANNOTATIONS).is_file())),
        splits={split: partial(_items, folder, listing, numbers) for split, listing in listings.items()},
        classes=len(numbers),
        names=names,
        problems=(*tree.strays, *tree.problems, *_problems(listings)),
        notes=tree.notes,
    )


class _Tree:
    """The folders of a data set, each looked into once, and what is wrong with them or passed over on the way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[str] = []
        self.strays: list[str] = []
        self._passed: list[str] = []
        self._nested: list[Path] = []
        self._seen: dict[str, Path] = {}
        self.splits = self._splits()

    def name(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    @property
    def notes(self) -> tuple[str, ...]:
        nested = enumerated(map(self.name, self._nested), 3)
        return (*self._passed, *([f"images of subfolders count to the class above: {nested}"] if nested else []))

    def _splits(self) -> dict[str, Path]:
        """The folder of each split; none if there is no training folder."""
        found: dict[str, list[Path]] = {}
        for place in subfolders(self.root):
            found.setdefault(split_of(place.name) or "", []).append(place)
        others = found.pop("", [])
        if "train" not in found:
            _check_no_split(self.root, [place for places in found.values() for place in places], others)
            return {}
        for split, places in found.items():
            if len(places) > 1:
                named = enumerated(place.name for place in places)
                raise refused(f"{self.root}: {named} look like one split, {split}: keep one of them there")
        splits = {split: places[0] for split, places in found.items()}
        if len(splits) == 1:
            _check_not_tested_on(self.root, splits["train"], others)
        self.pass_over([*others, *self._entries(self.root)[1]], "neither split nor class")
        return splits

    def pass_over(self, places: list[Path], why: str) -> None:
        """Say that something is not used; what may have been a class or a split, a link to nothing, is a problem."""
        broken = {place: defect(place) for place in places if not place.is_dir() and defect(place)}
        self.problems += [f"{self.name(place)} {reason}" for place, reason in broken.items()]
        if places := [place for place in places if place not in broken]:
            self._passed.append(f"not used, {why}: {enumerated(map(self.name, places), 5)}")

    def classes(self, folder: Path) -> Listing:
        """The files below each subfolder, by its name."""
        listing: Listing = {}
        places, beside = self._entries(folder)
        for place in places:
            name = class_name(place.name)
            if split_of(place.name):
                self.problems.append(f"{self.name(place)} has a split's name where classes are expected")
            if name in listing:
                self.problems.append(f"{self.name(place)} has the name of another class in another spelling")
            listing[name] = self.files(place)
        self.strays += [f"{self.name(file)} lies in no class folder" for file in beside if _suffixed(file)]
        self.pass_over([file for file in beside if not _suffixed(file)], "not in a class folder")
        return listing

    def files(self, folder: Path) -> list[Path]:
        """Everything below a folder but rubbish, in the order of the paths; linked folders are followed."""
        found: list[Path] = []
        places = [folder]
        while places:
            place = places.pop()
            if self._is_new(place):
                inner, files = self._entries(place)
                places, found = places + inner, found + files
                self._nested += [place] if files and place != folder else []
                named = [path for path in inner if split_of(path.name)]
                self.problems += [f"{self.name(path)} has a split's name below a class" for path in named]
        return sorted(found)

    def _is_new(self, folder: Path) -> bool:
        """No folder is read twice, by way of a link: its images would be there twice."""
        before = self._seen.setdefault(os.path.realpath(folder), folder)
        if before != folder:
            self.problems.append(f"{self.name(folder)} is the same folder as {self.name(before)}")
        return before == folder

    def _entries(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Subfolders, and everything else but rubbish."""
        folders = subfolders(folder)
        known = set(folders)
        return folders, sorted(path for path in folder.iterdir() if path not in known and not is_rubbish(path.name))


def subfolders(folder: Path) -> list[Path]:
    """All but rubbish, by name. Raises UsageError if the folder cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if not is_rubbish(entry.name) and _is_folder(entry))
    except OSError as error:
        raise refused(f"{folder} cannot be listed: {error.strerror}") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _unwrapped(folder: Path, split: str | None = None) -> Path:
    """What an archive was unpacked to: of a folder that holds nothing but one folder of folders, that one. In a split's
    folder only one that is named so too."""
    for _ in range(WRAPPINGS):
        inner = subfolders(folder)
        if len(inner) != 1 or split_of(inner[0].name) != split or not subfolders(inner[0]):
            break
        if any(_suffixed(path) for path in folder.iterdir()):
            break
        folder = inner[0]
    return folder


def _check_no_split(root: Path, splits: list[Path], others: list[Path]) -> None:
    """Raise UsageError where folders that would become classes are splits, by their names, or hold splits."""
    valid = "valid: train, and test or val"
    if splits:
        named = enumerated(sorted(place.name for place in splits))
        raise refused(f"{root} has {named}, which look like splits, but no 'train'; {valid}")
    for place in others:
        if "train" in map(split_of, names := [inner.name for inner in subfolders(place)]):
            named = enumerated(name for name in names if split_of(name))
            raise refused(
                f"{root} has several folders, and '{place.name}' holds {named}: splits lie at the top, not "
                f"below classes; if this is the data set, choose it with path = ... in its entry"
            )
    unpictured = [place for place in others if not any(map(_suffixed, place.iterdir()))]
    named = enumerated(place.name for place in unpictured)
    said = {split for place in unpictured for split, keys in SPLITS.items() if set(words(place.name)) & set(keys)}
    if "train" in said and len(said) > 1:
        raise refused(f"{root} has {named}, which look like splits, but no 'train'; {valid}")
    inner = {place: {each.name for each in subfolders(_unwrapped(place))} for place in unpictured}
    for one, other in combinations(unpictured, 2):
        if len(shared := sorted(inner[one] & inner[other])) > 1:
            raise refused(
                f"{root}: '{one.name}' and '{other.name}' both hold {enumerated(shared, 3)}: if these are the classes, "
                f"those are splits ({valid}) or several data sets (choose one with path = ...); if '{one.name}' is a "
                "class, put all classes below a folder 'train'"
            )


def _check_not_tested_on(root: Path, train: Path, others: list[Path]) -> None:
    """Raise UsageError where there is no split to test on, but a folder that holds the same classes."""
    classes = {place.name for place in subfolders(_unwrapped(train, "train"))}
    for place in others:
        if len(classes & {inner.name for inner in subfolders(_unwrapped(place))}) > 1:
            raise refused(
                f"{root}: '{place.name}' holds classes of '{train.name}', but its name is no split's: call it test or "
                "val if it is tested on, else move it away"
            )


def _listings(tree: _Tree) -> dict[str, Listing]:
    """Of the training split, and of the one that is tested on: a test split with classes, else the validation split."""
    splits = tree.splits
    if not splits:
        return {"train": tree.classes(tree.root)}
    listings = {"train": tree.classes(_unwrapped(splits["train"], "train"))}
    if not listings["train"]:
        tree.problems.append(f"{tree.name(splits['train'])} holds no class folders")
    if "validation" in splits and (splits["validation"] / ANNOTATIONS).exists():
        listings = {"train": _without_boxes(tree, listings["train"]), "test": _annotated(tree, splits["validation"])}
        tree.pass_over([place for split, place in splits.items() if split == "test"], "validation has the labels")
        return listings
    for split in ("test", "validation"):
        if (place := splits.get(split)) is None:
            continue
        place = _unwrapped(place, split)
        if "test" in listings:
            tree.pass_over([place], "a validation split is drawn from the training images")
        elif subfolders(place):
            listings["test"] = tree.classes(place)
        else:
            tree.pass_over([place], "no class folders")
    return listings


def _without_boxes(tree: _Tree, listing: Listing) -> Listing:
    """Tiny-ImageNet's training images, without the table of boxes that each class has."""
    boxes = {file for files in listing.values() for file in files if file.name == f"{file.parent.name}_boxes.txt"}
    tree.pass_over(sorted(boxes), "tables of boxes")
    return {name: [file for file in files if file not in boxes] for name, files in listing.items()}


def _annotated(tree: _Tree, folder: Path) -> Listing:
    """Tiny-ImageNet's validation images, whose classes are in the second column of a table."""
    table, listing, images = folder / ANNOTATIONS, Listing(), folder / "images"
    if why := defect(table):
        raise refused(f"{table} {why}")
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise refused(f"{table} cannot be read: {' '.join(str(error).split())}") from None
    listed: set[str] = set()
    for number, line in enumerate(lines, 1):
        file, name, *_ = [*line.split("\t"), "", ""]
        if not name or Path(file).name != file or file in listed:
            found = "names an image again" if file in listed else "is no image's name, a tab and its class"
            raise refused(f"{table} line {number} {found}: {line[:80]!r}")
        listed.add(file)
        listing.setdefault(class_name(name), []).append(images / file)
    there = tree.files(images) if images.is_dir() else []
    tree.problems += [f"{tree.name(file)} is not in {ANNOTATIONS}" for file in there if file.name not in listed]
    return dict(sorted(listing.items()))


def _any_image(files: list[Path]) -> bool:
    """Whether this is a folder of images at all: by suffix, else by what the first files hold."""
    return any(map(_suffixed, files)) or any(is_image(file) for file in islice(files, SNIFFED))


def _suffixed(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES


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
