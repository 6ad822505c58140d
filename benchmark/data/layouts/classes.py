"""One numbering of the classes for all files of a data set."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.data.naming import class_name, enumerated
from benchmark.data.source import wrong

Given = tuple[str, ...] | int | None
"""What a file says of the classes that its numbers stand for: their names, how many there are, or nothing."""


@dataclass(frozen=True)
class Classes:
    """How many classes there are, None where only the labels tell; their names, if they have some; how a label of a
    file, as it stands there, becomes a number; and what is to be said of them."""

    count: int | None
    names: tuple[str, ...]
    number: Callable[[str, Any], int | None]
    notes: tuple[str, ...] = ()


def by_name(labels: Iterable[str | None]) -> Classes:
    """Classes that go by name are numbered in the order of their names over all files."""
    names = tuple(sorted({class_name(label) for label in labels if label}))
    numbers = {name: number for number, name in enumerate(names)}
    return Classes(len(names), names, lambda file, label: numbers.get(class_name(label or "")))


def by_number(place: Path, given: Mapping[str, Given]) -> Classes:
    """Numbers of files that name their classes are mapped by name to the order of the first such file, which is a
    training file if any of these names them. A file that does not is taken to number them likewise.

    Raises UsageError that lists the files which have other classes.
    """
    named = {file: names for file, names in given.items() if isinstance(names, tuple)}
    first, order = next(iter(named.items()), ("", ()))
    counted = {file: len(found) if isinstance(found, tuple) else found for file, found in given.items()}
    counts = {file: count for file, count in counted.items() if count}
    count = len(order) or next(iter(counts.values()), None)
    problems = [
        f"{file} names a class twice: {enumerated(names)}"
        for file, names in named.items()
        if len(set(names)) < len(names)
    ]
    problems += [_difference(file, names, first, order) for file, names in named.items() if set(names) != set(order)]
    problems += [
        f"{file} has {found} classes, {first or next(iter(counts))} has {count}"
        for file, found in counts.items()
        if file not in named and found != count
    ]
    if problems:
        raise wrong(place, problems)
    maps = {file: [order.index(name) for name in names] for file, names in named.items() if names != order}
    notes = [f"classes are numbered as in {first}; mapped to that by name: {enumerated(maps, 5)}"] if maps else []
    if named and (silent := [file for file in given if file not in named]):
        notes.append(f"classes are numbered as in {first}; taken to be, for want of names: {enumerated(silent, 5)}")

    def number(file: str, label: int | None) -> int | None:
        if label is None or file not in maps or not 0 <= label < len(order):
            return None if label is None else int(label)
        return maps[file][label]

    return Classes(count, order, number, tuple(notes))


def _difference(file: str, names: tuple[str, ...], first: str, order: tuple[str, ...]) -> str:
    """Which classes a file names that the first does not, and the other way round."""
    lacking, others = sorted(set(order) - set(names)), sorted(set(names) - set(order))
    parts = [f"lacks {enumerated(lacking, 5)}"] * bool(lacking) + [f"has {enumerated(others, 5)}"] * bool(others)
    return f"{file} names other classes than {first}: {', '.join(parts)}"
