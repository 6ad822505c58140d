"""What the README says is so: its table, its snippet, its files."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

import methods
from analysis.__main__ import main
from methods.base import REGISTRY, Batch, Outputs, Shapes, Task

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = ROOT / "results" / "reference"
REMADE = ("digits", "fashion_mnist", "cifar100_cpu", "cifar100_brief", "digits_precision", "fashion_mnist_precision")
OF_OTHERS = ("all", "side_by_side")
"""Committed folders that show the records of others."""


def test_the_table_is_the_reference_table_with_its_caption_and_notes() -> None:
    table = (REFERENCE / "side_by_side" / "tables" / "main.md").read_text(encoding="utf-8")
    caption, _, table = table.partition("\n\n")
    assert len([line for line in table.splitlines() if line.startswith("|")]) > 8
    assert caption in README
    assert table.strip() in README


def made_again(folder: Path, committed: Path, *names: str) -> list[str]:
    """Which files of an analysis are not the committed ones. Unrounded numbers are another processor's to its last
    digits."""
    names = (*names, "summary.md", "paper.tex", *(f"tables/{table.name}" for table in committed.glob("tables/*")))
    assert len(names) > 10
    return [
        name for name in names if not alike((folder / name).read_text("utf-8"), (committed / name).read_text("utf-8"))
    ]


def alike(text: str, other: str) -> bool:
    """The same but for the digits of numbers beyond the ninth; those of a hash are none."""
    numbers = r"(?<![\w-])-?\d+(?:\.\d+)?(?:e[+-]\d+)?(?!\w)"
    ours, theirs = ([float(number) for number in re.findall(numbers, each)] for each in (text, other))
    return re.sub(numbers, "0", text) == re.sub(numbers, "0", other) and ours == pytest.approx(theirs, rel=1e-9)


def test_texts_are_alike_to_the_ninth_digit() -> None:
    assert alike("a,0.50648319604,1.0", "a,0.5064831960409998,1.0")
    assert alike("a,36.5,1e-05", "a,36.49999999999999,1.0000000000000001e-05")
    assert not alike("a,0.506483196041,1.0", "a,0.506483206041,1.0")
    assert not alike("a,0.506483196041,1.0", "a,0.506483196041,1.1")
    assert not alike("a,0.506483196041,open", "a,0.506483196041,better")
    assert not alike("kd-s0-1234567890a", "kd-s0-1234567891a")
    assert not alike("kd-s0-1234567890", "kd-s0-1234567891")
    assert alike("a,-0.50648319604", "a,-0.5064831960409998")


@pytest.mark.parametrize("grid", REMADE)
@pytest.mark.usefixtures("unsaved")
def test_the_committed_tables_come_from_the_committed_records(grid: str, tmp_path: Path) -> None:
    shutil.copytree(
        REFERENCE / grid,
        tmp_path / grid,
        ignore=shutil.ignore_patterns("tables", "figures", "runs.csv", "costs.csv", "*.md"),
    )
    assert main([str(tmp_path / grid)]) == 0
    assert made_again(tmp_path / grid, REFERENCE / grid, "runs.csv", "costs.csv") == []


@pytest.mark.parametrize("name", OF_OTHERS)
@pytest.mark.usefixtures("unsaved")
def test_what_is_said_of_several_grids_comes_from_their_records(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command that `results/README.md` has for it."""
    page = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(rf"^\| `{name}` \| `python -m analysis (.+?) --out results/reference/{name}` ", page, re.M)
    monkeypatch.chdir(ROOT)
    assert main([*shlex.split(command), "--out", str(tmp_path)]) == 0
    assert made_again(tmp_path, REFERENCE / name) == []


def test_the_snippet_is_a_method() -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    before = dict(REGISTRY)
    try:
        exec(
            compile(snippet, str(ROOT / "methods" / "mean_distance.py"), "exec"), {"__name__": "methods.mean_distance"}
        )
        (name,) = REGISTRY.keys() - before.keys()
        shapes = Shapes(classes=3, embedding=5, maps=((2, 4, 4),), pooled_map=(2, 4, 4))
        method = methods.load(name, Task(shapes, shapes, torch.zeros(8, dtype=torch.int64), epochs=1))
        outputs = [Outputs(torch.randn(8, 3), torch.randn(8, 5), (), torch.randn(8, 2, 4, 4)) for _ in range(2)]
        batch = Batch(torch.zeros(8), torch.arange(8), torch.tensor(0), torch.zeros(()), torch.Generator())
        assert method(outputs[0], outputs[1], batch) > 0
        assert method(outputs[0], outputs[0], batch) == 0
    finally:
        REGISTRY.clear()
        REGISTRY.update(before)
