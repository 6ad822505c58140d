"""How methods are named, ordered, coloured and marked, and numbers printed: the same in every figure and table."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal

from benchmark.spec import digest

BETTER, WORSE, EQUIVALENT = "*", "†", "="
"""Marks of what is shown against the student alone: by tests, and by lying within a margin of it."""

CONTROL = "student"
"""The method that learns from labels alone: the baseline of every comparison."""

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

SPARE_COLOURS = (ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE, WINE, INDIGO)
SPARE_MARKERS: tuple[Marker, ...] = ("*", "d", "p", (4, 1, 0))
"""Markers that no method of the suite has, so that a third party's method never looks like one of them."""


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
}
"""The suite's methods, in the order in which they are listed."""


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
    """A style for each label, no two alike. A method that is not the suite's gets its own by a hash of its label, so
    that it depends on the others' company only where two hashes meet; a variant keeps its method's colour.
    """
    labels = set(labels)
    chosen = {label: KNOWN[label] for label in labels & set(KNOWN)}
    for label in sorted(labels - set(KNOWN)):
        taken = {(style.colour, style.marker) for style in chosen.values()}
        looks = _spare_looks(label)
        colour, marker = next((look for look in looks if look not in taken), looks[0])
        chosen[label] = Style(display_name(label), colour, marker)
    return {label: chosen[label] for label in sorted(chosen, key=listing_order)}


def _spare_looks(label: str) -> list[tuple[str, Marker]]:
    """Every colour and marker a label may get, its own first."""
    looks = list(product(SPARE_COLOURS, SPARE_MARKERS))
    start = int(digest(label), 16) % len(looks)
    looks = looks[start:] + looks[:start]
    if (base := base_method(label)) in KNOWN and len(_components(label)) == 1:
        own = KNOWN[base].colour
        return [(own, marker) for _, marker in looks[: len(SPARE_MARKERS)]] + [look for look in looks if look[0] != own]
    return looks


def _components(label: str) -> list[str]:
    """The parts of a composition, split at each plus outside brackets."""
    return re.split(r"\+(?![^\[]*\])", label)


def base_method(component: str) -> str:
    """The method of a variant (`kd[temperature=2]`) or of its runs under a control (`kd@tuned`)."""
    return re.split(r"[\[@]", component, maxsplit=1)[0]


def _component_name(component: str) -> str:
    base = base_method(component)
    options, _, control = component.removeprefix(base).partition("@")
    name = KNOWN[base].name if base in KNOWN else base
    return f"{name}{f' {options}' if options else ''}{f' ({control})' if control else ''}"


def count(number: int, noun: str) -> str:
    """`1 pair`, `2 pairs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def signed(value: float, decimals: int = 2) -> str:
    """`+1.25` or `−1.25`; a zero has no sign, however it was rounded."""
    text = f"{abs(value):.{decimals}f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def p_value(p: float | None) -> str:
    """Three decimals; smaller ones as a bound."""
    if p is None:
        return NO_VALUE
    return f"< {LEAST_P}" if p < LEAST_P else f"{p:.3f}"
