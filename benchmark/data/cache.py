"""Decoded images, kept in memory-mapped files: decoded once, by the first process that needs them.

An entry is a folder, named after the data set and its source's fingerprint, that takes its name when it is complete: a
process that is killed while it builds one leaves a folder of another name, which the next builder removes. Others wait
while an entry is being built.
"""

import fcntl
import json
import logging
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from benchmark.data.decode import decode_all
from benchmark.data.found import Found, class_problems, described
from benchmark.data.images import DIGEST, Encoded, Images, Packed, Varied, image_digest
from benchmark.data.naming import printable
from benchmark.data.source import Item, Source, wrong
from benchmark.ground.errors import UsageError
from benchmark.ground.files import expanded
from benchmark.spec import digest

log = logging.getLogger(__name__)

ENVIRONMENT = "RELATIONAL_DISTILLATION_CACHE"
REVISION = 3
"""Raised when decoding or the layout of an entry changes."""

LABELS = 2**31
"""Higher labels are no numbers of classes."""


@dataclass(frozen=True)
class Decoded:
    """The official splits of a data set; test is None where there is no such split."""

    train: Images
    test: Images | None
    classes: int


def cache_dir(data_dir: Path | None) -> Path:
    """$RELATIONAL_DISTILLATION_CACHE; else `.cache` in the data folder, if it can be written; else the user's own."""
    if own := os.environ.get(ENVIRONMENT):
        return expanded(own)
    if data_dir is not None and os.access(data_dir, os.W_OK):
        return data_dir / ".cache"
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "relational-distillation"


def decoded(name: str, source: Source, root: Path, keep_pixels: bool) -> Decoded:
    """The images of a source from the cache, into which they are decoded first if they are not there.

    Without keep_pixels only what is known of the images is kept, and they are decoded again wherever they are used;
    those that are not files of their own, as in Parquet, are kept as they were encoded. Raises UsageError that lists
    everything that is wrong with the images, if they were never encoded, or if the cache cannot be written.
    """
    key = digest([REVISION, source.fingerprint(), keep_pixels], size=16)
    entry = root / f"{name}-{key}"
    if (found := _open(entry, source, keep_pixels)) is not None:
        return found
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root / f".{name}.lock") as alone:
            if (found := _open(entry, source, keep_pixels)) is not None:  # another process has built it meanwhile
                return found
            if alone:
                _clear(name, entry, _origin(source, keep_pixels))
            place = printable(str(source.location))
            log.warning("%s: decoding the images in %s, once, into %s", name, place, entry)
            _build(name, source, entry, keep_pixels)
    except OSError as error:
        raise UsageError(
            f"cannot keep decoded images in {root}: {error.strerror}; another place: {ENVIRONMENT}"
        ) from None
    found = _open(entry, source, keep_pixels)
    assert found is not None
    return found


def _open(entry: Path, source: Source, keep_pixels: bool) -> Decoded | None:
    """What an entry holds; None if it is not there or not what its own description says."""
    try:
        about = json.loads((entry / "about.json").read_bytes())
        splits = {split: _open_split(entry, split, source, keep_pixels, size) for split, size in about["bytes"].items()}
    except (OSError, ValueError, KeyError, BadZipFile):  # damaged
        return None
    return Decoded(splits["train"], splits.get("test"), about["classes"])


def _open_split(entry: Path, split: str, source: Source, keep_pixels: bool, size: int | None) -> Images:
    with (entry / f"{split}.npz").open("rb") as file, np.load(file) as table:
        labels, shapes, digests = torch.from_numpy(table["labels"]), table["shapes"], table["digests"]
        lengths = table["lengths"]
    if size is None:
        files = np.array([item.content for item in source.splits[split]()], dtype=object)
        return Images(Encoded(files, shapes), labels, digests)
    kept = entry / f"{split}.images"
    if kept.stat().st_size != size:
        raise ValueError(f"{kept.name} has {kept.stat().st_size} bytes, not {size}")
    packed = Packed(kept, lengths.cumsum() - lengths, lengths)
    if not keep_pixels:
        return Images(Encoded(packed, shapes), labels, digests)
    if (shapes == shapes[0]).all():
        flat = np.memmap(kept, np.uint8, mode="c")  # copy on write: torch has no arrays that cannot be written
        return Images(torch.from_numpy(flat.reshape(len(shapes), *shapes[0])), labels, digests)
    return Images(Varied(packed, shapes), labels, digests)


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """One process at a time; the kernel lets go of the lock of a killed one. False where the file system has no locks:
    then several may do the same work, of which the first to end is kept.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            yield False
        else:
            yield True


def _origin(source: Source, keep_pixels: bool) -> list[object]:
    return [str(source.location), source.choice, keep_pixels]


def _clear(name: str, entry: Path, origin: list[object]) -> None:
    """Remove what killed builders left, a damaged entry, and those of an earlier state of the same files."""
    for left in entry.parent.glob(f".{name}.building-*"):
        shutil.rmtree(left)
    if entry.exists():
        log.warning("%s is damaged", entry)
        shutil.rmtree(entry)
    for other in entry.parent.glob(f"{name}-*/about.json"):
        if _source(other) == origin:
            log.warning("%s: files in %s have changed since they were decoded", name, origin[0])
            shutil.rmtree(other.parent)


def _source(about: Path) -> object:
    """Where an entry says that it comes from; None if it is damaged, which opening it shows."""
    try:
        return json.loads(about.read_bytes())["source"]
    except (OSError, ValueError, KeyError):
        return None


def _build(name: str, source: Source, entry: Path, keep_pixels: bool) -> None:
    source = source.inspect() if source.inspect else source
    building = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{name}.building-"))
    try:
        problems = list(source.problems)
        splits = {split: _decode_split(source, split, building, keep_pixels, problems) for split in source.splits}
        classes = source.classes or max(splits["train"].labels, default=-1) + 1
        problems += class_problems(source, classes, splits, otherwise_sound=not problems)
        if problems:
            raise wrong(source.location, problems)
        for line in described(source, classes, splits):
            log.warning("%s: %s", name, line)
        sizes = {split: found.size for split, found in splits.items()}
        about = {"source": _origin(source, keep_pixels), "classes": classes, "bytes": sizes}
        (building / "about.json").write_text(json.dumps(about), encoding="utf-8")
        building.chmod(0o755)
        try:
            os.replace(building, entry)
        except OSError:  # a process without a lock was faster
            if not entry.exists():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _decode_split(source: Source, split: str, folder: Path, keep_pixels: bool, problems: list[str]) -> Found:
    """Decode one split into a folder; problems are appended to those there are."""
    labels, shapes, digests, lengths, count, turned = [], [], [], [], 0, 0
    most = source.classes or LABELS
    with (folder / f"{split}.images").open("wb") as file:
        for item, pixels, is_turned in decode_all(source.splits[split]()):
            if item.label is None:
                problems.append(f"{item.origin} has no label")
            elif not 0 <= item.label < most:
                valid = f"0 to {source.classes - 1}" if source.classes else "from 0 on, without gaps"
                problems.append(f"{item.origin} has label {item.label}, valid are whole numbers {valid}")
            else:
                labels.append(item.label)
            if isinstance(pixels, str):
                problems.append(pixels)
            elif not problems:
                lengths.append(file.write(_kept(item, pixels, keep_pixels)))
                shapes.append(pixels.shape)
                digests.append(image_digest(pixels))
            count, turned = count + 1, turned + is_turned
    if not problems:
        np.savez(
            folder / f"{split}.npz",
            labels=np.array(labels, np.int64),
            shapes=np.array(shapes).reshape(-1, 3),
            digests=np.array(digests).reshape(-1, DIGEST),
            lengths=np.array(lengths, np.int64),
        )
    copies = len(digests) - len({digest.tobytes() for digest in digests})
    return Found(sum(lengths) or None, count, Counter(labels), copies, turned)


def _kept(item: Item, pixels: np.ndarray, keep_pixels: bool) -> memoryview | bytes:
    """What the cache keeps of an image: its pixels, the bytes they were decoded from, or nothing if it is a file."""
    if keep_pixels:
        return np.ascontiguousarray(pixels).data
    if isinstance(item.content, np.ndarray):
        raise UsageError(f"storage = 'streamed' reads image files or Parquet; {item.origin} was never encoded")
    return item.content if isinstance(item.content, bytes) else b""
