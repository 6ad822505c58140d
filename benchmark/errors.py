"""Errors that are the user's to mend: one line, naming the value and the valid ones; and what commands end with."""

import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from traceback import extract_tb

COMPLETE, FAILED, USAGE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = (
    "exit codes: 0 every run has a record; 1 some failed; 2 wrong usage; 3 stopped or submitted; 130 interrupted"
)

MANY = 60
"""More valid names than this (timm's models) are not listed in a message."""

DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE}


class UsageError(ValueError):
    """A wrong name, option, file or folder, a line for each. Command lines print them and exit with code 2."""


class Refusals:
    """What is refused, collected so that all of it is told at once."""

    def __init__(self) -> None:
        self.reasons: dict[str, None] = {}

    @contextmanager
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


def is_disk_trouble(error: BaseException | None) -> bool:
    """Whether an error comes from a disk that is full, over quota or gone: nothing that was computed is at fault."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_TROUBLE:
            return True
        error = error.__cause__ or error.__context__
    return False


def unknown(kind: str, name: str, valid: Iterable[str]) -> UsageError:
    """The error for a name that is not among the valid ones, nearest ones first."""
    valid = sorted(valid)
    near = get_close_matches(name, valid, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    listed = ", ".join(valid) if len(valid) <= MANY else f"{len(valid)} names, see --list {kind}s"
    return UsageError(f"unknown {kind} {name!r}: {hint}valid: {listed or 'none'}")
