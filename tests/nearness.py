"""How near published students, and some trained here, are to their teacher and to a stranger, as results/README tells
it: rows of its tables, from the committed runs."""

import re
from collections.abc import Iterator

import pandas as pd
from documented import REFERENCE
from scipy.stats import ttest_ind

from analysis.statistics.basic import ALPHA, holm

MEASURES = {
    "top1": (100, 2),
    "agreement": (100, 2),
    "kl_teacher": (1, 3),
    "angle_correlation": (1, 3),
    "distance_correlation": (1, 3),
    "within_class_correlation": (1, 3),
    "cka": (1, 3),
    "neighbour_overlap": (1, 3),
}
"""By what they are multiplied with and how many decimals are told."""

GEOMETRY = list(MEASURES)[3:]
OWN, STRANGER = "wrn-28-1", "wrn-28-1-2019"
TRAINED_HERE = {"kd": "KD", "sp": "SP", "rkd_d": "RKD-D", "rkd_da": "RKD-DA", "gkd": "GKD"}


def beside(grid: str, measure: str) -> pd.DataFrame:
    """A measure of each student, a column for each of the two teachers."""
    runs = pd.read_csv(REFERENCE / grid / "runs.csv")
    return MEASURES[measure][0] * runs.pivot_table(measure, "student", "teacher")


def published(measure: str, method: str) -> pd.DataFrame:
    students = beside("gkd_students", measure)
    kind = students[students.index.str.fullmatch(rf"{method}_\d")]
    assert len(kind) == 10
    return kind


def trained_here(measure: str, method: str) -> pd.DataFrame:
    students = beside("gkd_short_students", measure)
    kind = students[students.index.str.fullmatch(rf"short_{method}_\d")]
    assert len(kind) == 4
    return kind


def own(students: pd.DataFrame) -> "pd.Series[float]":
    return students[OWN] - students[STRANGER]


def of_published_students() -> Iterator[str]:
    """`90.29 ± 0.21 | 89.92 ± 0.17 | +0.37 [+0.19, +0.55]`, for each measure."""
    for name, (_, decimals) in MEASURES.items():
        sides = [published(name, method)[OWN] for method in ("gkd", "rkd_d")]
        told = [f"{side.mean():.{decimals}f} ± {side.std():.{decimals}f}" for side in sides]
        less, _ = _difference(sides[0], sides[1], decimals, equal_var=True)
        yield _row(*told, less)


def of_published_students_beside_a_stranger() -> Iterator[str]:
    """`0.662, 0.694 | 0.810, 0.775 | 0.788 | +0.067 [+0.061, +0.073]`, for each measure that knows a teacher."""
    for name, (_, decimals) in list(MEASURES.items())[1:]:
        sides = [published(name, method) for method in ("gkd", "rkd_d")]
        teachers = f"{beside('gkd_students', name).loc[OWN, STRANGER]:.{decimals}f}"
        less, _ = _difference(own(sides[1]), own(sides[0]), decimals)
        yield _row(*(_both(side, decimals) for side in sides), teachers, less)


def of_students_trained_here() -> Iterator[str]:
    """`KD | 0.809, 0.817 | 0.711, 0.699 | ...`, for each method."""
    for method, title in {"student": "labels alone", **TRAINED_HERE}.items():
        yield _row(title, *(_both(trained_here(name, method), MEASURES[name][1]) for name in GEOMETRY))


def of_what_is_the_teachers_own() -> Iterator[str]:
    """`KD | **+0.015 [+0.013, +0.017]** | ...`, for each method: own less that of labels alone, bold if established."""
    cells = {
        (title, name): _difference(
            own(trained_here(name, method)), own(trained_here(name, "student")), MEASURES[name][1]
        )
        for method, title in TRAINED_HERE.items()
        for name in GEOMETRY
    }
    adjusted = dict(zip(cells, holm([p for _, p in cells.values()]), strict=True))
    bold = {cell: f"**{told}**" if (adjusted[cell] or 0.0) < ALPHA else told for cell, (told, _) in cells.items()}
    for title in TRAINED_HERE.values():
        yield _row(title, *(bold[title, name] for name in GEOMETRY))


def _both(students: pd.DataFrame, decimals: int) -> str:
    return ", ".join(f"{value:.{decimals}f}" for value in students[[OWN, STRANGER]].mean())


def _difference(
    a: "pd.Series[float]", b: "pd.Series[float]", decimals: int, *, equal_var: bool = False
) -> tuple[str, float]:
    """Of means, with its 95 % interval, and the p of that test alone."""
    test = ttest_ind(a, b, equal_var=equal_var)
    low, high = test.confidence_interval()
    less, low, high = (f"{value:+.{decimals}f}" for value in (a.mean() - b.mean(), low, high))
    return f"{less} [{low}, {high}]", float(test.pvalue)


def _row(*fields: str) -> str:
    return re.sub(r"-(?=\d)", "−", " | ".join(fields))
