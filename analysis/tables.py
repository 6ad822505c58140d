"""What the tables say: fields, captions and footnotes, before any markup (`analysis.markup` writes them out)."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from string import ascii_lowercase
from typing import Any

from analysis.cells import Cell
from analysis.statistics import Interval

LEAST_P = 0.001
"""Smaller p values are printed as below it."""

NO_VALUE = "–"
"""Shown where the grid has no such cell, or nothing of the kind was measured."""


@dataclass(frozen=True)
class Field:
    """One field of a table: `92.13`, its spread `0.41`, whether it is the best or second best, `*` or `†` if it is
    better or worse than what it is compared with, and its footnote's letter.
    """

    text: str
    spread: str = ""
    best: bool = False
    second: bool = False
    mark: str = ""
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column's heading on one line, the same over several lines, and its footnote's letter."""

    title: str
    lines: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Named rows between two rules, under a heading if it is not empty."""

    heading: str
    rows: tuple[tuple[str, tuple[Field, ...]], ...]


@dataclass(frozen=True)
class Table:
    """A table for printing. `stub` names the lines of the headings; `notes` are letters and texts; `data` holds the
    same numbers unrounded, one row a cell. A page holds `widest` columns side by side; more are continued below.
    """

    name: str
    caption: str
    stub: tuple[str, ...]
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    notes: tuple[tuple[str, str], ...]
    data: tuple[dict[str, Any], ...]
    widest: int = 5


class Footnotes:
    """Hands out letters; equal notes share one."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, text: str) -> str:
        """The letter of a note, nothing for an empty one."""
        return self._letters.setdefault(text, _letter(len(self._letters))) if text else ""

    def listed(self) -> tuple[tuple[str, str], ...]:
        return tuple((letter, text) for text, letter in self._letters.items())


def by_pair(cells: Iterable[Cell]) -> list[list[Cell]]:
    return [list(members) for _, members in groupby(cells, key=lambda cell: (cell.dataset, cell.pair))]


def pair_title(cell: Cell) -> str:
    return f"{cell.dataset}: {cell.teacher} → {cell.student}"


def count(number: int, noun: str) -> str:
    """`1 pair`, `2 pairs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def signed(value: float, decimals: int = 2) -> str:
    """`+1.25` or `−1.25`; a zero has no sign, however it was rounded."""
    text = f"{abs(value):.{decimals}f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def bracketed(interval: Interval | None, decimals: int = 2) -> str:
    """`[+0.10, +2.41]`; nothing for no interval."""
    return f"[{signed(interval.low, decimals)}, {signed(interval.high, decimals)}]" if interval else ""


def p_value(p: float | None) -> str:
    """Three decimals; smaller ones as a bound."""
    if p is None:
        return NO_VALUE
    return f"< {LEAST_P}" if p < LEAST_P else f"{p:.3f}"


def _letter(index: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    prefix = _letter(index // 26 - 1) if index >= 26 else ""
    return prefix + ascii_lowercase[index % 26]
