"""Text that others wrote, made fit to be shown.

What stands in a record, a grid file, a note or a class's name may hold anything: line ends that finish a comment of
LaTeX's, sequences that steer a terminal, overrides that turn the reading order, thousands of characters. `cleaned` is
the one boundary that it comes in by, in the types `Line` and `Label` of `spec.value`; each form of output then escapes
what means something to it alone: `analysis.tables.latex`, `analysis.tables.markdown`, `files.write_rows`, and `Visible`
and `errors.console.Terminal` for what is printed.
"""

from hashlib import blake2b
from typing import Any, TextIO

LONGEST, LONGEST_LABEL = 1_000, 200
"""Characters of a message, and of a name: drawing a longer one takes minutes."""


def visible(text: str, kept: str = "\n\t") -> str:
    """The text with an escape (`\\x1b`) for every character that is not seen, or that moves, hides or turns others;
    line ends and tabs stay, or what is to be kept instead."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in kept else _escape(each) for each in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def cleaned(text: str, most: int = LONGEST) -> str:
    """Visible text on one line; of a longer one than `most` the beginning and a hash, so that two stay two."""
    line = visible(" ".join(text.split()))
    if len(line) <= most:
        return line
    end = f"... ({len(line)} characters, {blake2b(line.encode(), digest_size=4).hexdigest()})"
    return line[: most - len(end)] + end


class Visible:
    """A text stream that others' text cannot steer. A progress bar may begin with a carriage return."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream  # rich's own sequences are meant: `Terminal` cleans its text

    def write(self, text: str) -> int:
        start = text[: len(text) - len(text.lstrip("\r"))]
        return self.rich_proxied_file.write(start + visible(text[len(start) :]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)
