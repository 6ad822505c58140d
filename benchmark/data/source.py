"""What every kind of data source comes to: image files or arrays with labels, split by split, read when asked for."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.errors import UsageError

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
    among their columns; `classes` is None where only the labels tell how many there are; `problems` are those that the
    listing of the files showed.
    """

    location: Path
    files: tuple[Path, ...]
    splits: Mapping[str, Callable[[], Iterable[Item]]]
    classes: int | None
    problems: tuple[str, ...] = ()
    choice: str = ""

    def fingerprint(self) -> str:
        """Changes when a file comes, goes, grows or is written again; reads none of them."""
        listed = [(str(file.relative_to(self.location)), *_stamp(file)) for file in self.files]
        return hashlib.sha256(json.dumps([listed, self.choice]).encode()).hexdigest()


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except FileNotFoundError:  # listed in a table of annotations; decoding it will say so
        return ()
    return status.st_size, status.st_mtime_ns


def wrong(location: Path, problems: list[str]) -> UsageError:
    """The error that lists what is wrong with the files of a data set, in one line."""
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    count = f"{len(problems)} problem" + "s" * (len(problems) > 1)
    return UsageError(f"{location}: {count}: {'; '.join(problems[:SHOWN])}{more}")
