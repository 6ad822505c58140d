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
REFERENCE = ROOT / "results" / "reference" / "digits"


@pytest.mark.parametrize("grid", ["digits", "fashion_mnist"])
def test_the_tables_are_the_reference_tables(grid: str) -> None:
    text = (REFERENCE.with_name(grid) / "tables" / "main.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) > 8
    assert "\n".join(table) in README


@pytest.mark.parametrize("grid", ["digits", "digits_precision", "fashion_mnist"])
@pytest.mark.usefixtures("unsaved")
def test_the_committed_tables_come_from_the_committed_records(grid: str, tmp_path: Path) -> None:
    committed = REFERENCE.with_name(grid)
    shutil.copytree(
        committed, tmp_path / grid, ignore=shutil.ignore_patterns("tables", "figures", "runs.csv", "costs.csv", "*.md")
    )
    assert main([str(tmp_path / grid)]) == 0
    names = [
        "runs.csv",
        "costs.csv",
        "summary.md",
        "paper.tex",
        *(f"tables/{t.name}" for t in committed.glob("tables/*")),
    ]
    assert len(names) > 12
    assert [name for name in names if (tmp_path / grid / name).read_bytes() != (committed / name).read_bytes()] == []


def test_linked_files_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


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
        batch = Batch(torch.zeros(8), torch.arange(8), 0, torch.zeros(()), torch.Generator())
        assert method(outputs[0], outputs[1], batch) > 0
        assert method(outputs[0], outputs[0], batch) == 0
    finally:
        REGISTRY.clear()
        REGISTRY.update(before)
