"""Errors that are the user's to mend: one line, naming the value and the valid ones; and what commands end with."""

import contextlib
import errno
import sys
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from traceback import extract_tb
from typing import TypeVar

T = TypeVar("T")

COMPLETE, FAILED, USAGE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130

STOPPED = "stopped; run the same command again to go on"

LISTED = {
    **{kind: f"--list {kind}s" for kind in ("grid", "method", "model", "dataset", "control", "metric")},
    "sbatch option": "sbatch --help",
}
"""What lists all names of a kind."""

MANY = 60
"""More valid names than this (timm's models) are not listed in a message."""

MOST_THREADS = 1024
"""Of one worker: OpenMP ends a process that asks for too many."""

NO_MEMORY = "can't allocate memory"
"""torch's words for what Python calls a MemoryError."""

DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE, errno.ETIMEDOUT}
SCARCE = {errno.ENOMEM, errno.EMFILE, errno.ENFILE}


class UsageError(ValueError):
    """A wrong name, option, file or folder, a line for each. Command lines print them and exit with code 2."""


class Refusals:
    """What is refused, collected so that all of it is told at once."""

    def __init__(self) -> None:
        self.reasons: dict[str, None] = {}

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        """Note the usage error that the block ends with, if any, and go on after it."""
        try:
            yield
        except usage_errors() as error:
            self.add(str(error))

    def add(self, reasons: str) -> None:
        """Note reasons, a line each; what several runs are refused for is told once."""
        self.reasons |= dict.fromkeys(reasons.splitlines())

    def tell(self) -> None:
        """Raise UsageError with a line for each reason, if there are any."""
        if self.reasons:
            raise UsageError("\n".join(self.reasons))


def usage_errors() -> tuple[type[Exception], ...]:
    """The errors that are the user's to mend; the method registry's only once it has been imported."""
    registry = sys.modules.get("methods")
    return (UsageError, registry.MethodError) if registry else (UsageError,)


def one_line(error: Exception | None, most: int = 300) -> str:
    """A library's error for the inside of a message: its type and text without line breaks, no longer than `most`.

    One without a text (an assertion) is told by the line of code that raised it.
    """
    text = f"{type(error).__name__}: {' '.join(str(error).split()) or _raised_by(error)}"
    return text if len(text) <= most else f"{text[:most]}..."


def _raised_by(error: Exception | None) -> str:
    """The innermost line of code that is not a helper's for assertions."""
    lines = [frame.line for frame in extract_tb(error.__traceback__) if "assert" not in frame.name] if error else []
    return lines[-1] or "" if lines else ""


def machine_trouble(error: BaseException | None) -> str | None:
    """What an error says of this machine rather than of the work: a disk that is full, over quota or gone, no memory or
    no file handles left; None for any other. The memory of a GPU is the work's: a run may fit by itself."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_TROUBLE | SCARCE:
            return str(error.strerror)
        if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and NO_MEMORY in str(error)):
            return "out of memory"
        error = error.__cause__ or error.__context__
    return None


def unknown(kind: str, name: str, valid: Iterable[str]) -> UsageError:
    """The error for a name that is not among the valid ones, nearest ones first."""
    valid = sorted(valid)
    near = get_close_matches(name, valid, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    shown = f", see {LISTED[kind]}" if kind in LISTED else ""
    listed = ", ".join(valid) if len(valid) <= MANY else f"{len(valid)} names{shown}"
    return UsageError(f"unknown {kind} {name!r}: {hint}valid: {listed or 'none'}")


def set_once(found: dict[str, T], name: str, value: T, said: str) -> None:
    """Keep a value by its name. Raises UsageError, which says of `said`, where there is another one."""
    if found.setdefault(name, value) != value:
        raise UsageError(f"{said} is given twice, as {found[name]} and as {value}: which is meant?")


def first_of(names: Sequence[str], shown: int) -> str:
    """The first names, and how many others there are."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
