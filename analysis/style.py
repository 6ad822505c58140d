"""How methods are named, ordered, coloured and marked: the same in every figure and table."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from benchmark.spec import digest

CONTROL = "student"
"""The method that learns from labels alone: the baseline of every comparison."""

TEACHER = "teacher"
"""Stands for the teachers where methods are listed; no method has this name."""

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
"""Okabe and Ito's palette, told apart with every common form of colour blindness."""

SPARE_COLOURS = (ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE, YELLOW)
SPARE_MARKERS = ("p", "h", "*", "d", "8")
"""Markers that no method of the suite has, so that a third party's method never looks like one of them."""


@dataclass(frozen=True)
class Style:
    """A name for people, a colour and a matplotlib marker."""

    name: str
    colour: str
    marker: str


KNOWN = {
    TEACHER: Style("Teacher", "#555555", "_"),
    CONTROL: Style("Student alone", BLACK, "o"),
    "kd": Style("KD", ORANGE, "s"),
    "fitnet": Style("FitNet", SKY, "D"),
    "sp": Style("SP", GREEN, "v"),
    "rkd_d": Style("RKD-D", BLUE, "<"),
    "rkd_a": Style("RKD-A", PURPLE, ">"),
    "rkd_da": Style("RKD-DA", VERMILLION, "^"),
    "gkd": Style("GKD", YELLOW, "P"),
    "mhgd": Style("MHGD", "#8C6D5A", "X"),
}
"""The suite's methods, in the order in which they are listed."""

FIGURE_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    # Names may hold a dollar sign, which must not start a formula.
    "text.parse_math": False,
    # TrueType fonts, embedded: publishers refuse matplotlib's default Type 3.
    "pdf.fonttype": 42,
    "savefig.dpi": 250,
}
TWO_COLUMNS = 7.0
"""Width of a figure over both columns of a paper, in inches."""


def display_name(label: str) -> str:
    """A method's label as printed: `kd+rkd_da[distance=10]` is KD + RKD-DA [distance=10]."""
    return " + ".join(_component_name(part) for part in _components(label))


def listing_order(label: str) -> tuple[bool, int, str]:
    """Sort key: the suite's methods, each followed by its variants, then others by name, then compositions."""
    components = _components(label)
    bases = [_base(part) for part in components]
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


def _spare_looks(label: str) -> list[tuple[str, str]]:
    """Every colour and marker a label may get, its own first."""
    base = _base(label)
    looks = list(product(SPARE_COLOURS, SPARE_MARKERS))
    start = int(digest(label), 16) % len(looks)
    looks = looks[start:] + looks[:start]
    if base in KNOWN and len(_components(label)) == 1:
        looks.sort(key=lambda look: look[0] != KNOWN[base].colour)
    return looks


def _components(label: str) -> list[str]:
    """The parts of a composition, split at each plus outside brackets."""
    return re.split(r"\+(?![^\[]*\])", label)


def _base(component: str) -> str:
    """The method of a variant (`kd[temperature=2]`) or of its runs under a control (`kd@tuned`)."""
    return re.split(r"[\[@]", component, maxsplit=1)[0]


def _component_name(component: str) -> str:
    base = _base(component)
    options, _, control = component.removeprefix(base).partition("@")
    name = KNOWN[base].name if base in KNOWN else base
    return f"{name}{f' {options}' if options else ''}{f' ({control})' if control else ''}"
