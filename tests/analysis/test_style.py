"""Names and looks of methods: short enough, told apart by everyone, and the same in every figure."""

from itertools import combinations

import drawn_grids as grids
import matplotlib
import numpy as np
import pytest
from situations import figure_named

import methods
from analysis.figures import words
from analysis.figures.words import printable, shortened, text_width
from analysis.style import GUESTS, KNOWN, calling, display_name, listing_order, ranged, styles


def test_names_are_shortened_in_the_middle_and_never_too_wide() -> None:
    name = "vision_transformer_large_patch16_224"
    short = shortened(name, 1.0)
    assert text_width(short) <= 1.0 < text_width(name)
    assert (short[:3], short[-3:]) == ("vis", "224")
    assert shortened("kd", 1.0) == "kd"


def test_a_name_of_any_length_is_measured_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def width(text: str, *font: object) -> float:
        measured.append(text)
        return float(len(text))

    monkeypatch.setattr(words, "text_width", width)
    assert shortened("a" * 1500 + "b" * 1500, 11.0) == "aaaaa…bbbbb"
    assert shortened("ab" * 1500, 0.5) == "…"
    assert len(measured) < 40


def test_letters_that_the_font_lacks_stand_as_code_points() -> None:
    assert printable("größe → 方\n法") == "größe → [U+65B9] [U+6CD5]"


SIMULATIONS = {
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
"""What linear RGB becomes for the colour-blind (Machado, Oliveira and Fernandes 2009, full severity)."""


def lightness_and_colour(colour: str, matrix: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a colour as seen."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(matrix @ linear, 0, 1) / (0.9505, 1, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


LOOKS = [
    *((style.colour, style.marker) for name, style in KNOWN.items() if name != "teacher"),
    *GUESTS,
]


def test_every_method_of_the_suite_is_known_by_the_name_it_calls_itself() -> None:
    assert set(methods.names(installed=False)) == KNOWN.keys() - {"teacher"}
    named = {name: methods.labels(name).get(name, KNOWN[name].name) for name in methods.names(installed=False)}
    assert named == {name: KNOWN[name].name for name in named}


@pytest.mark.parametrize("sight", ["usual", *SIMULATIONS])
def test_colours_are_told_apart_on_white(sight: str) -> None:
    matrix = np.array(SIMULATIONS.get(sight, np.eye(3)))
    seen = {colour: lightness_and_colour(colour, matrix) for colour, _ in LOOKS}
    assert len(seen) == len(LOOKS)
    assert all(lightness[0] < 81 for lightness in seen.values())
    for (one, first), (other, second) in combinations(seen.items(), 2):
        assert np.linalg.norm(first - second) > 10, (one, other)


def test_in_grey_print_a_marker_or_a_lightness_tells_methods_apart() -> None:
    for (one, marker), (other, second) in combinations(LOOKS, 2):
        lightness = [lightness_and_colour(colour, np.eye(3))[0] for colour in (one, other)]
        assert marker != second or abs(lightness[0] - lightness[1]) > 25, (one, other)


def test_twelve_guests_have_colours_of_their_own() -> None:
    look = styles([*KNOWN, *(f"method_{i}" for i in range(12))])
    assert len({style.colour for style in look.values()}) == len(look)


def test_a_guest_goes_by_what_it_calls_itself_where_its_records_are_shown() -> None:
    with calling({"afd": "AFD"}):
        assert display_name("kd+afd[weight=2]@tuned") == "KD + AFD [weight=2] (tuned)"
        assert styles(["afd"])["afd"].name == "AFD"
    assert display_name("afd") == "afd"


@pytest.mark.parametrize("method", [name for name in KNOWN if name != "teacher"])
def test_variants_and_controls_keep_their_methods_colour(method: str) -> None:
    labels = [f"{method}@longer", f"{method}[weight=2]", f"{method}[weight=2]@tuned"]
    look = styles([method, *labels])
    assert {style.colour for style in look.values()} == {KNOWN[method].colour}
    assert len({style.marker for style in look.values()}) == 4
    assert all(styles([label])[label].colour == KNOWN[method].colour for label in labels)


def test_a_method_looks_the_same_in_every_figure() -> None:
    look = styles(list(grids.GAINS))
    for name in ("gains", "relation_vs_gain"):
        figure = figure_named("published", name)
        colours = {
            matplotlib.colors.to_hex(line.get_color())
            for axes in figure.figure.axes
            for line in axes.lines
            if line.get_linestyle() == "None"
        }
        assert colours == {style.colour.lower() for method, style in look.items() if method != "student"}


def test_every_method_looks_the_same_in_any_company() -> None:
    labels = [*KNOWN, "afd", "kd+rkd_da", "rkd_da[distance=10]"]
    together = styles(labels)
    assert all(styles([label])[label] == together[label] for label in labels)
    assert together["rkd_da[distance=10]"].colour == together["rkd_da"].colour
    many = styles([*labels, *(f"method_{i}" for i in range(20))])
    assert len({(style.colour, style.marker) for style in many.values()}) == len(many)


def test_methods_are_named_and_ordered_for_people() -> None:
    assert display_name("kd+rkd_da[distance=10+1]") == "KD + RKD-DA [distance=10+1]"
    assert display_name("student@longer") == "Student alone (longer)"
    assert display_name("rkd_da[distance=10]@tuned") == "RKD-DA [distance=10] (tuned)"
    labels = ["kd+sp", "zeta", "rkd_da[distance=10]", "gkd", "rkd_da", "student@longer", "student", "teacher"]
    order = ["teacher", "student", "student@longer", "rkd_da", "rkd_da[distance=10]", "gkd", "zeta", "kd+sp"]
    assert sorted(labels, key=listing_order) == order


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([4], "4"),
        ([1, 0], "0 and 1"),
        ([0, 2], "0 and 2"),
        ([0, 1, 2], "0 to 2"),
        ([9, 1, 2, 3, 4, 7], "1 to 4, 7 and 9"),
        ([1, 2, 5, 6], "1, 2, 5 and 6"),
    ],
)
def test_numbers_in_a_row_are_told_by_their_ends(numbers: list[int], text: str) -> None:
    assert ranged(numbers) == text
