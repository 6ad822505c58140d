"""Numbers, columns and files that pages name are those of the committed ones."""

import json
import re

import pandas as pd
import pytest
from documented import PAGES, ROOT
from scipy.stats import ttest_ind

from analysis.statistics.basic import holm

REFERENCE = ROOT / "results" / "reference"
OF_READERS = {"methods/my_method.py", "methods/mean_distance.py"}
"""What a reader of the guides writes."""


def read(*names: str) -> str:
    return ROOT.joinpath(*names).read_text(encoding="utf-8")


def test_sources_that_pages_name_are_there() -> None:
    named = {
        path
        for page in PAGES
        for path in re.findall(r"`((?:tests|benchmark|analysis|methods)/[\w/]+\.py)`", read(page))
    }
    assert len(named) > 3
    assert [path for path in sorted(named - OF_READERS) if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("table", ["runs.csv", "costs.csv"])
def test_every_column_of_runs_and_costs_is_explained(table: str) -> None:
    explained = re.findall(r"`(\w+)`", read("results", "README.md").split("\n## `tables/`")[0])
    headers = [read(path).split("\n", 1)[0].split(",") for path in REFERENCE.glob(f"*/{table}")]
    assert {column for header in headers for column in header} - {*explained} == set()


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
"""Of published students, by what they are multiplied with and how many decimals are told."""


def of_published_students() -> list[str]:
    """`90.29 ± 0.21 | 89.92 ± 0.17 | +0.37 [+0.19, +0.55]`, for each measure."""
    runs = pd.read_csv(REFERENCE / "gkd_students" / "runs.csv").query("teacher == 'wrn-28-1'")
    rows = []
    for name, (factor, decimals) in MEASURES.items():
        sides = [factor * runs[runs.student.str.startswith(method)][name] for method in ("gkd", "rkd_d")]
        assert [len(side) for side in sides] == [10, 10]
        low, high = ttest_ind(*sides).confidence_interval()
        told = [f"{side.mean():.{decimals}f} ± {side.std():.{decimals}f}" for side in sides]
        less = [f"{value:+.{decimals}f}" for value in (sides[0].mean() - sides[1].mean(), low, high)]
        rows.append(" | ".join([*told, "{} [{}, {}]".format(*less)]).replace("-", "−"))
    return rows


def beside_a_stranger() -> list[str]:
    """`0.662, 0.694 | 0.810, 0.775 | 0.530, 0.560 | 0.788 | −0.001 [−0.013, +0.010] | +0.066 [+0.055, +0.076]`

    For each measure GKD, RKD-D and labels alone, each beside the teacher and the stranger; these two; what the methods
    have beyond labels alone."""
    runs = pd.read_csv(REFERENCE / "gkd_students" / "runs.csv")
    rows = []
    for name, (factor, decimals) in MEASURES.items():
        beside = factor * runs.pivot_table(name, "student", "teacher")
        kinds = [beside[beside.index.str.fullmatch(kind + r"_\d")] for kind in ("gkd", "rkd_d", "short_student")]
        assert [len(kind) for kind in kinds] == [10, 10, 2]
        told = [", ".join(f"{value:.{decimals}f}" for value in kind.mean()) for kind in kinds]
        told.append(f"{beside['wrn-28-1-2019']['wrn-28-1']:.{decimals}f}")
        *taught, alone = (kind["wrn-28-1"] - kind["wrn-28-1-2019"] for kind in kinds)
        for less in taught:
            low, high = ttest_ind(less, alone).confidence_interval()
            beyond = (f"{each:+.{decimals}f}" for each in (less.mean() - alone.mean(), low, high))
            told.append("{} [{}, {}]".format(*beyond))
        rows.append(" | ".join(told).replace("-", "−"))
    return rows[1:]  # accuracy, the first, knows no teacher


def test_published_students_are_told_as_they_were_measured() -> None:
    page = read("results", "README.md")
    assert [row for row in [*of_published_students(), *beside_a_stranger()] if row not in page] == []


def test_what_ten_epochs_hand_over_is_told_as_it_was_measured() -> None:
    runs = pd.read_csv(REFERENCE / "gkd_students" / "runs.csv")
    runs = runs.assign(kind=runs.student.str.replace(r"_\d$", "", regex=True))
    means = runs.pivot_table("distance_correlation", "teacher", "kind")
    own, strange = means.loc["wrn-28-1"], means.loc["wrn-28-1-2019"]
    page = " ".join(read("results", "README.md").split())
    rkd_d, kd, alone = "short_rkd_d", "short_kd", "short_student"
    assert f"have {own[rkd_d] - own[alone]:.3f} more of their teacher's distances" in page
    assert f"({own[rkd_d]:.3f} for {own[alone]:.3f})" in page
    of_stranger = f"{strange[rkd_d] - strange[alone]:.3f} more of the stranger's ({strange[rkd_d]:.3f} for"
    assert f"{of_stranger} {strange[alone]:.3f})" in page
    assert f"it is {own[kd] - own[alone]:.3f} and {strange[kd] - strange[alone]:.3f}." in page


def test_strangers_are_told_as_they_are_tabled() -> None:
    told = {
        "digits_all": "0.792 of their own teacher's distances and 0.745 of the others', those alone 0.612 and 0.616",
        "mnist_hinton": "KL 0.025 nats for 0.030 with 800 units, 0.035 for 0.039 with 300",
    }
    page = " ".join(read("results", "README.md").split())
    assert [sentence for sentence in told.values() if sentence not in page] == []
    tables = pd.concat([pd.read_csv(REFERENCE / grid / "tables" / "strangers.csv") for grid in told])
    tabled = tables.set_index(["pair", "method", "measure"])[["own", "strangers"]]
    for place, (own, strange) in {
        ("resnet_l_resnet_s", "rkd_da", "distance_pearson"): (79.2, 74.5),
        ("resnet_l_resnet_s", "student", "distance_pearson"): (61.2, 61.6),
        ("resnet_l_resnet_s", "gkd", "cosine_pearson"): (78.5, 74.5),
        ("mlp1200_mlp800", "kd@without_3", "kl_teacher"): (2.5, 3.0),
        ("mlp1200_mlp300", "kd@without_3", "kl_teacher"): (3.5, 3.9),
    }.items():
        assert [*tabled.loc[place]] == pytest.approx([own, strange], abs=0.051)


@pytest.mark.parametrize("page", ["README.md", "results/README.md"])
def test_a_mean_with_its_spread_is_one_of_a_table(page: str) -> None:
    means = re.findall(r"[\d,]*\d\.\d+ ± \d+\.\d+", read(page).replace("\n", " "))
    tables = " ".join([*(read(path) for path in REFERENCE.glob("*/tables/*.md")), *of_published_students()])
    assert len(means) > 10
    assert [mean for mean in means if mean.replace(",", "") not in tables] == []


def test_new_mean_gains_are_those_of_the_table() -> None:
    rows = re.findall(
        r"^\| [\w-]+ \| ([+−][\d.]+) \| \[.*?\].*? \| (\[.*?\])", read("results", "README.md"), re.MULTILINE
    )
    table = read("results", "reference", "all", "tables", "main.md")
    assert len(rows) == 8
    assert [row for row in rows if " ".join(row) not in table] == []


def test_excesses_of_fidelity_are_those_of_the_table() -> None:
    excesses = re.findall(r"\(\+([\d.]+) \[([\d.]+), ([\d.]+)\]", read("docs", "metrics.md").replace("\n", " "))
    table = read("results", "reference", "mnist_hinton", "tables", "fidelity.md")
    assert len(excesses) > 3
    assert [each for each in excesses if "+{} [+{}, +{}]".format(*each) not in table] == []


def test_kernels_of_a_step_are_the_budgeted_ones() -> None:
    named = re.search(r"([\d,]+) for `kd`, ([\d,]+) for `mhgd`", read("docs", "methods.md"))
    budget = json.loads(read("tests", "launches.json"))
    assert named
    assert [int(number.replace(",", "")) for number in named.groups()] == [budget["kd"], budget["mhgd"]]


def test_published_errors_without_a_class_are_not_told_apart() -> None:
    """Hinton et al. have 206 errors, 133 of them on threes, then 109 and 14: one run."""
    text = read("results", "README.md").replace("\n", " ")
    said = re.search(r"the (\d+), with p = (\.\d+) alone and (\.\d+) corrected", text)
    assert said
    rows = pd.read_csv(REFERENCE / "mnist_hinton" / "tables" / "left_out.csv")
    ours = rows[(rows.method == "kd@without_3") & (rows.student == "mlp800")]
    published = {"errors": 206, "class_errors": 133, "raised_errors": 109, "raised_class_errors": 14}
    alone = {number: ttest_ind(ours[name], [number]).pvalue for name, number in published.items()}
    adjusted = dict(zip(alone, holm([*alone.values()]), strict=True))
    nearest = min(alone, key=alone.__getitem__)
    assert (nearest, f"{alone[nearest]:.3f}"[1:], f"{adjusted[nearest]:.2f}"[1:]) == (int(said[1]), said[2], said[3])
