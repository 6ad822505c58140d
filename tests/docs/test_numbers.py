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


@pytest.mark.parametrize("page", ["README.md", "results/README.md"])
def test_a_mean_with_its_spread_is_one_of_a_table(page: str) -> None:
    means = re.findall(r"[\d,]*\d\.\d+ ± \d+\.\d+", read(page).replace("\n", " "))
    tables = " ".join(read(path) for path in REFERENCE.glob("*/tables/*.md"))
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
