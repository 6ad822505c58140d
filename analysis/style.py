"""How methods are named, ordered, coloured and marked, and numbers printed: the same in every figure and table."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any, Literal

from benchmark.spec import digest

BETTER, WORSE, EQUIVALENT = "*", "†", "="
"""Marks of what is shown against the student alone: by tests, and by lying within a margin of it."""

CONTROL = "student"
"""The method that learns from labels alone: the baseline of every comparison."""

MATCHED = f"{CONTROL}@matched"
"""How labels begin of the student alone that trains for as many FLOPs as a method."""

TEACHER = "teacher"
"""Stands for the teachers where methods are listed; no method has this name."""

LEAST_P = 0.001
"""Smaller p values are printed as below it."""

NO_VALUE = "–"
"""Shown where the grid has no such cell, or nothing of the kind was measured."""

Marker = str | tuple[int, Literal[0, 1, 2], int]
"""A matplotlib marker: its letter, or (corners, 1 for a star, rotation)."""

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
"""Okabe and Ito's palette, told apart with every common form of colour blindness. Its yellow, hardly seen on white, is
left out."""

WINE, INDIGO, MAROON = "#882255", "#332288", "#661100"
"""Darker colours that keep their distance from those, for the normal eye and for the colour-blind."""

GUESTS: tuple[tuple[str, Marker], ...] = (
    *(("#FF0069", "*"), ("#0000FF", "d"), ("#87D269", "p"), ("#D200B4", (4, 1, 0)), ("#695A3C", "H"), ("#8796FF", "8")),
    *(("#962D00", (6, 1, 0)), ("#E1B4B4", (5, 0, 180)), ("#6900C3", (3, 1, 0)), ("#C3693C", (4, 1, 45))),
    *(("#4B0F5A", (8, 1, 0)), ("#965AFF", (3, 1, 180))),
)
"""Looks of methods that are not the suite's. Chosen by search: with the first eleven of KNOWN they keep a CIE L*a*b*
distance of 16 from each other, for the usual eye and for the colour-blind, and in grey the markers tell them apart."""

_labels: ContextVar[Mapping[str, str]] = ContextVar("labels", default=MappingProxyType({}))


@contextmanager
def calling(labels: Mapping[str, str]) -> Iterator[None]:
    """Within, methods that are not the suite's go by what they call themselves: by name, as `runs.load` found it."""
    token = _labels.set(labels)
    try:
        yield
    finally:
        _labels.reset(token)


@dataclass(frozen=True)
class Style:
    """A name for people, a colour and a matplotlib marker."""

    name: str
    colour: str
    marker: Marker


KNOWN = {
    TEACHER: Style("Teacher", "#555555", "_"),
    CONTROL: Style("Student alone", BLACK, "o"),
    "kd": Style("KD", ORANGE, "s"),
    "fitnet": Style("FitNet", SKY, "D"),
    "fitnet_two_stage": Style("FitNet two-stage", MAROON, "h"),
    "sp": Style("SP", GREEN, "v"),
    "rkd_d": Style("RKD-D", BLUE, "<"),
    "rkd_a": Style("RKD-A", PURPLE, ">"),
    "rkd_da": Style("RKD-DA", VERMILLION, "^"),
    "gkd": Style("GKD", WINE, "P"),
    "mhgd": Style("MHGD", INDIGO, "X"),
    "pkt": Style("PKT", "#961EFF", "p"),
    "cc": Style("CC", "#1E691E", "s"),
    "cc_kernel": Style("CC (kernel)", "#FFA5D2", "H"),
    "irg": Style("IRG", "#A5A53C", (6, 1, 0)),
    "cka": Style("CKA", "#A55A96", (8, 1, 0)),
    "itrd": Style("ITRD", "#4B4B78", "D"),
    "nst": Style("NST", "#B4C387", "<"),
    "fsp": Style("FSP", "#69695A", (5, 0, 180)),
    "ickd": Style("ICKD", "#870FB4", "8"),
    "crd": Style("CRD", "#F06987", "d"),
    "rrd": Style("RRD", "#4B3C2D", "v"),
    "hkd": Style("HKD", "#6969E1", "h"),
    "dkd": Style("DKD", "#1ED21E", "P"),
    "dist": Style("DIST", "#A54B78", "o"),
    "at": Style("AT", "#4B0F0F", (4, 1, 45)),
    "vid": Style("VID", "#692D87", ">"),
    "ft": Style("FT", "#A569D2", "X"),
    "ab": Style("AB", "#1E2D2D", (4, 1, 0)),
    "reviewkd": Style("ReviewKD", "#FF69D2", (3, 1, 0)),
    "simkd": Style("SimKD", "#2D1E3C", "^"),
    "srrl": Style("SRRL", "#691E5A", "*"),
}
"""The suite's methods, in the order in which they are listed. Colours beyond the first eleven, found by search, keep a
CIE L*a*b* distance of 10 from all others, GUESTS included; markers come twice, on colours whose lightness differs by
25, so that they are told apart in grey."""


def display_name(label: str) -> str:
    """A method's label as printed: `kd+rkd_da[distance=10]` is KD + RKD-DA [distance=10]."""
    return " + ".join(_component_name(part) for part in _components(label))


def listing_order(label: str) -> tuple[bool, int, str]:
    """Sort key: the suite's methods, each followed by its variants, then others by name, then compositions."""
    components = _components(label)
    bases = [base_method(part) for part in components]
    known = list(KNOWN)
    return len(components) > 1, known.index(bases[0]) if bases[0] in KNOWN else len(known), label


def styles(labels: Iterable[str]) -> dict[str, Style]:
    """A style for each label, no two alike. A method that is not the suite's gets one of GUESTS by a hash of its label,
    so that it depends on the others' company only where two hashes meet; the colours of up to twelve differ. A variant
    keeps its method's colour.
    """
    labels = set(labels)
    chosen = {label: KNOWN[label] for label in labels & set(KNOWN)}
    for label in sorted(labels - set(KNOWN), key=lambda label: (_is_variant(label), label)):
        taken = {(style.colour, style.marker) for style in chosen.values()}
        looks = _spare_looks(label, chosen)
        colour, marker = next((look for look in looks if look not in taken), looks[0])
        chosen[label] = Style(display_name(label), colour, marker)
    return {label: chosen[label] for label in sorted(chosen, key=listing_order)}


def _spare_looks(label: str, chosen: Mapping[str, Style]) -> list[tuple[str, Marker]]:
    """Every colour and marker that a label may get, its own first. Only beyond twelve guests a colour comes again."""
    own = _turned(label)
    if _is_variant(label):
        base = base_method(label)
        colour = chosen[base].colour if base in chosen else KNOWN[base].colour if base in KNOWN else _turned(base)[0][0]
        own = [(colour, marker) for _, marker in own]
    return [*own, *((colour, marker) for _, marker in own for colour, _ in own)]


def _turned(label: str) -> list[tuple[str, Marker]]:
    """GUESTS, beginning at a label's own."""
    start = int(digest(label), 16) % len(GUESTS)
    return [*GUESTS[start:], *GUESTS[:start]]


def _is_variant(label: str) -> bool:
    """Whether a label is of a single method with other options or under a control."""
    return len(_components(label)) == 1 and base_method(label) != label


def _components(label: str) -> list[str]:
    """The parts of a composition, split at each plus outside brackets."""
    return re.split(r"\+(?![^\[]*\])", label)


def base_method(component: str) -> str:
    """The method of a variant (`kd[temperature=2]`) or of its runs under a control (`kd@tuned`)."""
    return re.split(r"[\[@]", component, maxsplit=1)[0]


def _component_name(component: str) -> str:
    base = base_method(component)
    options, _, control = component.removeprefix(base).partition("@")
    name = KNOWN[base].name if base in KNOWN else _labels.get().get(base, base)
    return f"{name}{f' {options}' if options else ''}{f' ({control})' if control else ''}"


def count(number: int, noun: str) -> str:
    """`1 pair`, `2 pairs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def adjusted(tests: int, noun: str, looks: int) -> str:
    """`Holm-adjusted over 47 cells, P < 0.05`."""
    at_looks = f" and {looks} looks" if looks > 1 else ""
    return f"Holm-adjusted over {count(tests, noun)}{at_looks}, P < 0.05"


def enumerated(items: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last


def ranged(numbers: Iterable[int]) -> str:
    """`0`, `0 and 1`, `0 to 3 and 7`: in ascending order, three or more in a row by their ends."""
    rows = groupby(enumerate(sorted(numbers)), key=lambda place: place[1] - place[0])
    runs = ([number for _, number in row] for _, row in rows)
    return enumerated(text for run in runs for text in ([spanned(run)] if len(run) > 2 else map(str, run)))


def spanned(values: Sequence[Any]) -> str:
    """`3`, or `3 to 10`, of values in ascending order."""
    return f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"


def explained(marks: Iterable[str], better: str, worse: str) -> list[str]:
    """`* above`: what these marks stand for, each once, in words for BETTER and WORSE."""
    there = {*marks}
    return [f"{mark} {word}" for mark, word in ((BETTER, better), (WORSE, worse)) if mark in there]


def signed(value: float, decimals: int = 2) -> str:
    """`+1.25` or `−1.25`; a zero has no sign, however it was rounded."""
    text = f"{abs(value):.{decimals}f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def p_value(p: float | None) -> str:
    """Three decimals; smaller ones as a bound."""
    if p is None:
        return NO_VALUE
    return f"< {LEAST_P}" if p < LEAST_P else f"{p:.3f}"
