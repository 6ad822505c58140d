"""Numbers, columns and files that pages name are those of the committed ones."""

import json
import re
from fnmatch import fnmatch

import pandas as pd
import pytest
from documented import PAGES, REFERENCE, ROOT, read
from nearness import of_published_students
from scipy.stats import ttest_ind

from analysis.statistics.basic import holm

OF_READERS = {"methods/my_method.py", "methods/mean_distance.py"}
"""What a reader of the guides writes."""


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


def test_gains_of_ten_epochs_are_those_of_the_summary() -> None:
    summary = read("results", "reference", "cifar10_gkd_short", "summary.md")
    page = " ".join(read("results", "README.md").split())
    intervals = re.findall(r"[+−][\d.]+ \[[^]]+\]", summary.split("## Pair by pair")[0])
    assert len(intervals) == 5
    assert [each for each in intervals if each not in page] == []
    cells = pd.read_csv(REFERENCE / "cifar10_gkd_short" / "tables" / "main.csv").set_index("method")
    assert [f"{cells.p_holm[method]:.4f}" for method in ("kd", "sp")] == ["0.0499", "0.0499"]


def test_strangers_are_told_as_they_are_tabled() -> None:
    told = {
        "digits_all": "0.792 of their own teacher's distances and 0.745 of the others', those alone 0.612 and 0.616",
        "mnist_hinton": "KL with 800 units −0.46 hundredths of a nat [−0.63, −0.29]",
    }
    page = " ".join(read("results", "README.md").split())
    assert [sentence for sentence in told.values() if sentence not in page] == []
    tables = pd.concat([pd.read_csv(REFERENCE / grid / "tables" / "strangers.csv") for grid in told])
    tabled = tables.set_index(["pair", "method", "measure"])[["own", "strangers"]]
    for place, (own, strange) in {
        ("resnet_l_resnet_s", "rkd_da", "distance_pearson"): (79.2, 74.5),
        ("resnet_l_resnet_s", "student", "distance_pearson"): (61.2, 61.6),
        ("resnet_l_resnet_s", "gkd", "cosine_pearson"): (78.5, 74.5),
        ("mlp1200_mlp800", "kd@without_3", "kl_teacher"): (2.51, 2.97),
    }.items():
        assert [*tabled.loc[place]] == pytest.approx([own, strange], abs=0.051)


def test_every_column_of_tables_and_figures_is_explained() -> None:
    explained = re.findall(r"`([\w*]*\w[\w*]*)`", read("results", "README.md").replace("gain_DATASET", "gain_*"))
    files = [*REFERENCE.glob("*/tables/*.csv"), *REFERENCE.glob("*/figures/*.csv")]
    columns = {column for path in files for column in read(path).split("\n", 1)[0].split(",")}
    assert len(columns) > 100
    assert {column for column in columns if not any(fnmatch(column, each) for each in explained)} == set()


def test_relations_that_carry_what_soft_targets_carry_are_equivalent_to_them() -> None:
    """Over both widths, within 0.1 points."""
    rows = pd.read_csv(REFERENCE / "mnist_hinton_long" / "tables" / "comparisons.csv").query("method == 'kd'")
    assert set(rows[rows.verdict == "equivalent"].over) == {"sp", "gkd"}
    irg = rows.set_index("over").loc["irg"]
    ahead = f"{irg.gain_points:.2f} points [{irg.gain_low:.2f}, {irg.gain_high:.2f}]".replace("-", "−")
    page, front = (" ".join(read(*path).split()) for path in (("results", "README.md"), ("README.md",)))
    assert "SP and GKD are equivalent to soft targets within 0.1 points" in page
    assert f"IRG, by two seeds, is open: soft targets are ahead by {ahead}" in page
    assert "92.7 ± 6.7 with SP, 89.7 ± 4.7 with GKD, and over both widths these two are equivalent" in front


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
