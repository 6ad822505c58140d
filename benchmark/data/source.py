"""What every kind of data source comes to: image files or arrays with labels, split by split, read when asked for."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.data.naming import refused
from benchmark.ground.errors import UsageError

SHOWN = 10
"""How many problems a message lists; it counts the others."""


class Item(NamedTuple):
    """One image as it lies there: where (a file, and the row of a Parquet file, from 0), encoded or as an array
    [H, W, C], and the number of its class."""

    origin: str
    content: bytes | Path | np.ndarray | None
    label: int | None


@dataclass(frozen=True)
class Source:
    """A data set on disk. `files` decide whether what was decoded before is still valid, `choice` names what was chosen
    among their columns; `classes` is None where only the labels tell how many there are, `names` are theirs where they
    have some; `problems` are those that the listing of the files showed, `notes` what is to be said of it otherwise.
    `inspect` gives the same source with what the files' headers add, which is read only where images are decoded.
    """

    location: Path
    files: tuple[Path, ...]
    splits: Mapping[str, Callable[[], Iterable[Item]]]
    classes: int | None
    names: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    choice: str = ""
    inspect: "Callable[[], Source] | None" = None

    def fingerprint(self) -> str:
        """Changes when a file comes, goes, grows or is written again; reads none of them."""
        listed = [(str(file.relative_to(self.location)), *_stamp(file)) for file in self.files]
        return hashlib.sha256(json.dumps([listed, self.choice, self.problems]).encode()).hexdigest()


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except OSError:  # gone, or listed in a table of annotations; decoding it will say so
        return ()
    return status.st_size, status.st_mtime_ns


def wrong(location: Path, problems: Sequence[str]) -> UsageError:
    """The error that lists what is wrong with the files of a data set, in one line."""
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    count = f"{len(problems)} problem" + "s" * (len(problems) > 1)
    return refused(f"{location}: {count}: {'; '.join(problems[:SHOWN])}{more}")
