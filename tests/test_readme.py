"""What the README says is so: its table, its snippet, its files."""

import re
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
TOGETHER = ("digits", "fashion_mnist", "cifar100_cpu", "cifar100_brief")


def test_the_table_is_the_reference_table_with_its_caption_and_notes() -> None:
    caption, _, table = (REFERENCE / "all" / "tables" / "main.md").read_text(encoding="utf-8").partition("\n\n")
    assert len([line for line in table.splitlines() if line.startswith("|")]) > 8
    assert caption in README
    assert table.strip() in README


def made_again(folder: Path, committed: Path, *names: str) -> list[str]:
    """Which files of an analysis are not the committed ones."""
    names = (*names, "summary.md", "paper.tex", *(f"tables/{table.name}" for table in committed.glob("tables/*")))
    assert len(names) > 10
    return [name for name in names if (folder / name).read_bytes() != (committed / name).read_bytes()]


@pytest.mark.parametrize("grid", [*TOGETHER, "digits_precision", "fashion_mnist_precision"])
@pytest.mark.usefixtures("unsaved")
def test_the_committed_tables_come_from_the_committed_records(grid: str, tmp_path: Path) -> None:
    shutil.copytree(
        REFERENCE / grid,
        tmp_path / grid,
        ignore=shutil.ignore_patterns("tables", "figures", "runs.csv", "costs.csv", "*.md"),
    )
    assert main([str(tmp_path / grid)]) == 0
    assert made_again(tmp_path / grid, REFERENCE / grid, "runs.csv", "costs.csv") == []


@pytest.mark.usefixtures("unsaved")
def test_what_is_said_of_all_of_them_comes_from_their_records(tmp_path: Path) -> None:
    assert main([*(str(REFERENCE / grid) for grid in TOGETHER), "--out", str(tmp_path)]) == 0
    assert made_again(tmp_path, REFERENCE / "all") == []


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
