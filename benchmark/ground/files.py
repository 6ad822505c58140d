"""Files of a results folder: written whole or not at all, read from regular files alone, never past its edge.

Results folders are shared, copied and killed at; whatever lies in one may be damaged or planted. No torch here.
"""

import csv
import json
import logging
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BufferedRandom, BufferedReader, StringIO
from pathlib import Path
from typing import Any

import tomli_w

from benchmark.ground.errors import UsageError, machine_trouble, one_line

log = logging.getLogger(__name__)

_CLONED = Path(__file__).parents[2] / "results" / "reference"

REFERENCE = _CLONED if _CLONED.is_dir() else Path(__file__).parents[2] / "analysis" / "reference"
"""The committed results, a folder for each grid: those of the clone, or what of them is in an installed wheel. It holds
published weights too, which alone are there for jobs that run a snapshot of the code."""


PARTIAL = ".partial"
"""Ends the name of a file that is being written, so that nobody takes a user's own hidden file for one."""


class FileError(UsageError):
    """A file that is there and cannot be used. Says its name and what is wrong with it."""


def expanded(path: str) -> Path:
    """A path as a shell reads it: `~` is the home folder, `$NAME` what the environment says."""
    return Path(os.path.expandvars(os.path.expanduser(path)))


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """A whole file. Raises UsageError as `atomic`; a full disk is told as such, which not every library does."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_toml(path: Path, values: dict[str, Any]) -> None:
    write_bytes(path, tomli_w.dumps(values).encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Plain values as JSON with sorted keys. Raises ValueError for NaN and infinity, UsageError as `atomic`."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode("utf-8"))


FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r")
"""What a spreadsheet takes the rest of a cell for a formula after, and runs it; some take the wide forms for these."""


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """A CSV file of rows with equal keys; numbers in their shortest exact form."""
    write_bytes(path, rows_as_csv(list(rows)))


def rows_as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """The same as a file's content. Text that a spreadsheet would take for a formula begins with an apostrophe."""
    text = StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: f"'{value}" if _is_formula(value) else value for name, value in row.items()} for row in rows
    )
    return text.getvalue().encode("utf-8")


def parse_rows(content: bytes, source: str) -> list[dict[str, str]]:
    """The rows of a CSV file, in text that was no formula without its apostrophe. Raises UsageError, which names the
    source, for what is none."""
    try:
        rows = list(csv.DictReader(StringIO(content.decode("utf-8")), restkey="", restval="", strict=True))
    except (ValueError, csv.Error) as error:
        raise UsageError(f"{source} are not CSV: {one_line(error)}") from None
    return [
        {
            name: value[1:] if value[:1] == "'" and _is_formula(value[1:]) else value
            for name, value in row.items()
            if name
        }
        for row in rows
    ]


def _is_formula(value: Any) -> bool:
    """Numbers with a sign are none."""
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, `.NAME.xxxxxxxx.partial`, that takes its name when the block ends well, and is
    removed when it does not.

    Raises UsageError if the folder cannot be written, or something that is no file has the name.
    """
    made_folder(path.parent)
    try:
        handle, name = tempfile.mkstemp(suffix=PARTIAL, prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise UsageError(f"cannot write to {path.parent}: {error.strerror}") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        try:
            os.replace(temporary, path)
        except IsADirectoryError:
            raise FileError(f"cannot write {path}: a folder has its name; move it away") from None
    finally:
        temporary.unlink(missing_ok=True)


def made_folder(path: Path) -> None:
    """Make a folder unless it is there. Raises UsageError if that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {path}: {error.strerror}") from None


def remove(path: Path) -> None:
    """Remove a file, or a link, if it is there. Raises FileError for a folder in its place."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        if not path.is_dir() or path.is_symlink():
            raise
        raise FileError(f"cannot remove {path}: it is a folder; move it away") from error


@contextmanager
def open_regular(path: Path, flags: int = os.O_RDONLY) -> Iterator[BufferedRandom | BufferedReader]:
    """An open file. Raises FileError for whatever else has the name: a folder, a pipe or a device, which would block;
    OSError where there is nothing or the disk does not answer.
    """
    try:
        handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) or machine_trouble(error):
            raise
        raise FileError(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileError(f"{path} cannot be read: not a regular file")

    def opened(*_: object) -> int:
        return handle

    with open(path, "r+b", opener=opened) if flags & os.O_RDWR else open(path, "rb", opener=opened) as file:
        yield file


def read_bytes(path: Path) -> bytes:
    """What is in a regular file; errors as of `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def read_json(path: Path) -> Any:
    """A JSON file's value. Raises FileError for a file that holds none; other errors as of `open_regular`."""
    try:
        return json.loads(read_bytes(path).decode("utf-8"))
    except FileError:
        raise
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is not JSON: {one_line(error)}") from None


def read_table(path: Path) -> dict[str, Any]:
    """A JSON file's object. Raises FileError for another value; other errors as of `read_json`."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise FileError(f"{path} holds no table but a {type(value).__name__}")
    return value


def json_files(folder: Path) -> list[Path]:
    """In the order of their names, without those that are being written."""
    return sorted(folder.glob("[!.]*.json"))


@cache
def say_once(line: str) -> None:
    """A warning that would be the same each time that a file is looked at."""
    log.warning("%s", line)


def inside(folder: Path, name: str) -> Path:
    """`folder/name`, of which no part below the folder may be a link that leads out of it: in a shared folder another
    user may have put it there. The folder itself may be one. Raises FileError for such a link.
    """
    path = folder
    for part in Path(name).parts:
        path = path / part
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise FileError(f"{path} is a link that leads out of {folder}; it is not followed")
    return path


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
