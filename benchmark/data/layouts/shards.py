"""Which Parquet files are a data set: one folder of them, a complete series of shards for each split."""

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from benchmark.data.layouts.folders import subfolders
from benchmark.data.naming import enumerated, is_rubbish, refused, split_of, words

SHARD = re.compile(r"(?P<stem>.*?)[-_.]?(?P<number>\d+)([-_]of[-_](?P<total>\d+))?(-[0-9a-f]{16})?", re.IGNORECASE)
"""`train-00000-of-00005`, with a hash after it, `train-0`, or `0000` in a folder `train`."""


class Shards(NamedTuple):
    """The folder that holds a data set, the files of each split in order, and what is to be said of others."""

    place: Path
    splits: dict[str, list[Path]]
    notes: tuple[str, ...]


class _File(NamedTuple):
    """A Parquet file; the folder of its data set and its split, None where no name says them."""

    path: Path
    place: Path
    split: str | None


def find(folder: Path, name: str) -> Shards | None:
    """The training files, and those of the test or validation split, in a folder, or in the only one below it that has
    some; None where no Parquet file belongs to a split.

    Raises UsageError where several folders or series of files leave a choice, and where a shard is missing.
    """
    files = list(_files(folder))
    places = sorted({file.place for file in files if file.split == "train"})
    if not places:
        if named := [file.path for file in files if file.split]:
            found = enumerated(str(path.relative_to(folder)) for path in named)
            raise refused(
                f"dataset {name!r}: no Parquet file in {folder} has a name that begins with train- or lies in a folder "
                f"'train'; found: {found}"
            )
        return None
    if len(places) > 1 and folder not in places:
        holding = ", ".join(str(place.relative_to(folder)) for place in places)
        raise refused(
            f"dataset {name!r}: several folders below {folder} hold Parquet files ({holding}): "
            "choose one with path = ... in its entry"
        )
    place = folder if folder in places else places[0]
    own = [file for file in files if file.place == place]
    splits = {split: [file.path for file in own if file.split == split] for split in ("train", "test", "validation")}
    used = {split: _series(paths, place, split) for split, paths in splits.items() if paths}
    unused = [file.path for file in files if file.place != place or not file.split]
    unused += [inner for inner in subfolders(folder) if split_of(inner.name) and not _tables(inner)]
    return Shards(
        place,
        used,
        (f"not used: {enumerated((str(path.relative_to(folder)) for path in unused), 5)}",) if unused else (),
    )


def _files(folder: Path) -> Iterator[_File]:
    """In the folder itself, its subfolders (configurations, or splits) and the splits' folders in these."""
    for place in (folder, *(inner for inner in subfolders(folder) if not _is_split(inner))):
        yield from (_File(path, place, _split(path)) for path in _tables(place))
        for inner in filter(_is_split, subfolders(place)):
            yield from (_of_folder(path, place, inner) for path in _tables(inner))


def _tables(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".parquet")
    return [path for path in paths if not is_rubbish(path.name)]


def _is_split(folder: Path) -> bool:
    return split_of(folder.name.lower().removeprefix("partial-")) is not None


def _of_folder(path: Path, place: Path, folder: Path) -> _File:
    """A file whose folder says its split, and all of it."""
    if "metadata" in words(path.stem):
        return _File(path, place, None)
    split, own = split_of(folder.name), _split(path)
    if split is None:
        raise refused(f"{folder} holds only a part of the split: fetch the whole data set")
    if own not in (None, split):
        raise refused(f"{path} is named for the {own} split in a folder for the {split} split")
    return _File(path, place, split)


def _split(path: Path) -> str | None:
    """The split that a file's name begins with, else the only one that it names."""
    said = [split_of(word) for word in words(path.stem)]
    if "metadata" in words(path.stem):
        return None
    kinds = {split for split in said if split}
    return said[0] if said and said[0] else kinds.pop() if len(kinds) == 1 else None


def _series(paths: list[Path], place: Path, split: str) -> list[Path]:
    """The shards of a split in order. Raises UsageError unless they are one series with each number once."""
    series: dict[tuple[Path, str, str | None], list[tuple[int, Path]]] = {}
    for path in paths:
        match = SHARD.fullmatch(path.stem)
        stem, number, total = match.group("stem", "number", "total") if match else (path.stem, 0, None)
        series.setdefault((path.parent, stem.lower(), total), []).append((int(number), path))
    if len(series) > 1:
        firsts = enumerated(str(shards[0][1].relative_to(place)) for shards in series.values())
        raise refused(
            f"{place}: the {split} split is there {len(series)} times, or in files that are not numbered alike as "
            f"train-00000-of-00002 is: {firsts}; keep one"
        )
    (((_, _, total), shards),) = series.items()
    shards.sort()
    _check_complete(dict(shards), int(total) if total else None, place, split)
    for (number, path), (following, other) in pairwise(shards):
        if number == following:
            found = enumerated([path.name, other.name])
            raise refused(f"{place}: the {split} split has one shard twice: {found}; keep one")
    return [path for _, path in shards]


def _check_complete(shards: dict[int, Path], total: int | None, place: Path, split: str) -> None:
    """Raise UsageError if numbers are missing from 0 on, or from 1 on, or if there are more than the names promise.
    The hub's converted files, which have no name but their number, begin at 0."""
    converted = all(path.stem.isdigit() for path in shards.values())
    first = 1 if min(shards) == 1 and total in (None, max(shards)) and not converted else 0
    end = first + (max(shards) + 1 - first if total is None else total)
    if extra := [path.name for number, path in sorted(shards.items()) if number >= end]:
        raise refused(f"{place}: the {split} split has more shards than its names say: {enumerated(extra)}")
    if missing := end - first - len(shards):
        absent = (number for number in range(first, end) if number not in shards)
        some = enumerated(_renumbered(next(iter(shards.values())), number) for number in islice(absent, 3))
        more = f" and {missing - 3} more" if missing > 3 else ""
        only = next(iter(shards.values())).name if len(shards) == 1 and total is None else ""
        whole = f", or, if {only!r} is all of it, call that {split}.parquet" if only else ""
        raise refused(f"{place}: the {split} split lacks {some}{more}: fetch the whole data set{whole}")


def _renumbered(path: Path, number: int) -> str:
    """The name of another shard of a series."""
    match = SHARD.fullmatch(path.stem)
    assert match is not None
    start, end = match.span("number")
    rest = match.group("total") and path.stem[end : match.end("total")]
    return f"{path.stem[:start]}{number:0{end - start}}{rest or ''}{path.suffix}"
