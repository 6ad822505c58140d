"""What the tables say: fields, captions and footnotes, before any markup."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from analysis.statistics.basic import Interval
from analysis.style import explained, signed


@dataclass(frozen=True)
class Field:
    """One field of a table: `92.13`, its spread `0.41`, whether it is among the best and whether it is the highest,
    `*`, `†` or `=` if it is better, worse or equivalent to what it is compared with, and its footnote's letter.
    """

    text: str
    spread: str = ""
    best: bool = False
    highest: bool = False
    mark: str = ""
    note: str = ""

    @property
    def with_spread(self) -> str:
        return f"{self.text} ± {self.spread}" if self.spread else self.text

    @property
    def number(self) -> float | None:
        """The number that it begins with, None where there is none."""
        found = re.match(r"[+−-]?\d[\d,]*\.?\d*", self.text)
        return float(found[0].replace(",", "").replace("−", "-")) if found else None


@dataclass(frozen=True)
class Column:
    """A column's heading on one line, the same over several lines, its footnote's letter, and whether it holds words,
    which stand to the left.
    """

    title: str
    lines: tuple[str, ...]
    note: str = ""
    words: bool = False

    @classmethod
    def of(cls, *lines: str, words: bool = False) -> "Column":
        return cls(" ".join(filter(None, lines)), lines, words=words)


@dataclass(frozen=True)
class Group:
    """Named rows between two rules, under a heading if it is not empty."""

    heading: str
    rows: Sequence[tuple[str, Sequence[Field]]]


@dataclass(frozen=True)
class Table:
    """A table for printing. `title` is what the report calls it; `stub` names the lines of the headings; `notes` are
    letters and texts, those of the whole table without a letter; `data` holds the same numbers unrounded, one row a
    cell. A page holds `widest` columns side by side, or all of them; more are continued below. One that `folds` has
    its second half beside the first where rows are many.
    """

    name: str
    title: str
    caption: str
    columns: Sequence[Column]
    groups: Sequence[Group]
    stub: Sequence[str] = ("Method",)
    notes: Sequence[tuple[str, str]] = ()
    data: Sequence[dict[str, Any]] = ()
    widest: int | None = None
    folds: bool = False


class Footnotes:
    """Hands out letters; equal notes share one."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, text: str) -> str:
        """The letter of a note, nothing for an empty one."""
        return self._letters.setdefault(text, _letter(len(self._letters))) if text else ""

    def listed(self) -> tuple[tuple[str, str], ...]:
        return tuple((letter, text) for text, letter in self._letters.items())


def bracketed(interval: Interval | None, decimals: int = 2) -> str:
    """`[+0.10, +2.41]`; nothing for no interval."""
    return f"[{signed(interval.low, decimals)}, {signed(interval.high, decimals)}]" if interval else ""


def tested(marked: Iterable[Any], better: str, worse: str, test: str) -> str:
    """The end of a caption: what the marks of these stand for, dataclasses with `mark` and `p_holm`, and how they were
    tested; nothing where nothing was."""
    found = list(marked)
    if all(each.p_holm is None for each in found):
        return ""
    words = explained((each.mark for each in found), better, worse)
    said = f"{test}, Holm-adjusted over all cells of a measure, P < 0.05"
    return f", {' and '.join(words)} ({said})" if words else f" (none established: {said})"


def _letter(index: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    prefix = _letter(index // 26 - 1) if index >= 26 else ""
    return prefix + ascii_lowercase[index % 26]
