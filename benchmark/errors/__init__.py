"""Errors that are the user's to mend: one line, naming the value and the valid ones; and how every command reads its
options, runs and ends."""

import argparse
import contextlib
import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from io import StringIO
from traceback import extract_tb
from types import FrameType
from typing import Any, NoReturn, TextIO, TypeVar, cast

import benchmark
from benchmark.errors.text import Visible

T = TypeVar("T")

COMPLETE, FAILED, USAGE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = (
    "exit codes: 0 every run has a record; 1 some failed; 2 wrong usage; 3 stopped or submitted; 130 interrupted"
)

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

DEVICES = ("auto", "cpu", "cuda", "mps")
"""What --device takes; `benchmark.training.device` says of each whether it can be used here."""

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


def refuse(error: Exception) -> int:
    """Print an error that is the user's to mend, a line for each reason; returns the exit code."""
    print(*(f"error: {line}" for line in str(error).splitlines()), sep="\n", file=sys.stderr)
    return USAGE


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


class Parser(argparse.ArgumentParser):
    """Wrong usage is one line. An option that takes one value is refused when it is given again with another; lists are
    joined (`action="extend"`). An empty value, as an unset variable of a shell leaves it, never means the default."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name in (None, "store"):
            self.register("action", name, _Once)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        for before, text in zip(["", *given], given, strict=False):
            if not text.strip() or re.fullmatch(r"--[\w-]+=\s*", text):
                option = text.rstrip().rstrip("=") or (before if before.startswith("--") else "an argument")
                self.error(f"{option} is empty: is a variable of the shell not set?")
        return super().parse_known_args(given, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"error: {message}\n")


class _Once(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        if option is not None:
            try:
                set_once(vars(namespace).setdefault("given", {}), self.dest, values, option)
            except UsageError as error:
                parser.error(str(error))
        setattr(namespace, self.dest, values)


def number(text: str, most: int = 1_000_000) -> int:
    """A whole number from 1 to `most`, of an option that counts something."""
    if not re.fullmatch("[0-9]{1,9}", text) or not 0 < int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number from 1 to {most:,}")
    return int(text)


def threads(text: str) -> int:
    """A number of CPU threads."""
    return number(text, MOST_THREADS)


LEAST_POINTS = 1e-6
"""Percentage points: smaller ones are below any test set's, and powers of them below any number."""


def points(text: str) -> float:
    """Percentage points, from LEAST_POINTS on."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not LEAST_POINTS <= value < 100:
        raise argparse.ArgumentTypeError(f"{text[:20]} is not between {LEAST_POINTS:g} and 100 percentage points")
    return value


def names(option: str, values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Names given by comma or space, each once; None where nothing was given. A comma inside brackets, as between a
    method's options, parts nothing. Raises UsageError for an empty list."""
    if values is None:
        return None
    found = dict.fromkeys(name for value in values for name in re.split(r"[,\s]+(?![^\[]*\])", value) if name)
    if not found:
        raise UsageError(f"{option} {' '.join(values)!r} names nothing")
    return tuple(found)


def run_command(main: Callable[[Sequence[str] | None], int]) -> NoReturn:
    """Run a command and exit with its code.

    What the output's encoding lacks is written as an escape, and so is what others' text would steer the terminal
    with. The reader of the output may stop at any line (`| head`): that is no error of the work. An interrupt is one
    line, whatever error a library makes of it. A file or folder that the system refuses, as its name is too long, say,
    is wrong usage; so is an output that is full. A closed one (`>&-`) is none to write to.
    """
    asked: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        asked.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, benchmark.end_quietly):  # not ignored
        signal.signal(signal.SIGINT, interrupt)
    sys.stdout, sys.stderr = (stream or StringIO() for stream in (sys.stdout, sys.stderr))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # replaced by something that is no text file
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout, sys.stderr = (cast(TextIO, Visible(stream)) for stream in (sys.stdout, sys.stderr))
    try:
        code = main(None)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as end:
        if not isinstance(end, BrokenPipeError) and not isinstance(end.__context__, BrokenPipeError):
            raise  # rich makes an exit of a broken pipe
        _write_nowhere()
        code = COMPLETE
    except BaseException as error:
        if asked:
            print(STOPPED, file=sys.stderr)
            code = INTERRUPTED
        elif isinstance(error, OSError) and error.filename is not None:
            print(f"error: cannot use {error.filename}: {error.strerror}", file=sys.stderr)
            code = USAGE
        elif trouble := machine_trouble(error):
            print(f"error: {trouble}", file=sys.stderr)
            _write_nowhere()
            code = USAGE
        else:
            raise
    sys.exit(code)


def _write_nowhere() -> None:
    """Give up what standard output still holds: Python would try to write it once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
