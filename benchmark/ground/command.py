"""How every command reads its options, runs and ends."""

import argparse
import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from io import StringIO
from types import FrameType
from typing import Any, NoReturn, TextIO, cast

import benchmark
from benchmark.ground.errors import (
    COMPLETE,
    INTERRUPTED,
    MOST_THREADS,
    STOPPED,
    USAGE,
    UsageError,
    machine_trouble,
    set_once,
    usage_errors,
)
from benchmark.ground.text import Visible

Main = Callable[[Sequence[str] | None], int]
"""Of the command line's arguments, `sys.argv`'s for None, to the exit code."""

EXIT_CODES = (
    "exit codes: 0 every run has a record; 1 some failed; 2 wrong usage; 3 stopped or submitted; 130 interrupted"
)

DEVICES = ("auto", "cpu", "cuda", "mps")
"""What --device takes; `benchmark.training.device` says of each whether it can be used here."""


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


BETWEEN_NAMES = r"(?:\s*,\s*|\s+(?!\s*[(,]))(?![^\[]*\])(?![^(]*\))"


def names(option: str, values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Names given by comma or space, each once; None where nothing was given. What parts nothing: a comma inside
    brackets, as between a method's options, and all that stands in parentheses behind a name, as in `digits (train
    200)`. Raises UsageError for an empty list."""
    if values is None:
        return None
    found = dict.fromkeys(name for value in values for name in re.split(BETWEEN_NAMES, value) if name)
    if not found:
        raise UsageError(f"{option} {' '.join(values)!r} names nothing")
    return tuple(found)


def command(main: Main) -> Main:
    """A command that tells of an error that is the user's to mend, a line for each reason, and returns USAGE."""

    @wraps(main)
    def told(arguments: Sequence[str] | None = None) -> int:
        try:
            return main(arguments)
        except usage_errors() as error:
            print(*(f"error: {line}" for line in str(error).splitlines()), sep="\n", file=sys.stderr)
            return USAGE

    return told


def run_command(main: Main) -> NoReturn:
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
