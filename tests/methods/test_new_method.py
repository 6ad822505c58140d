"""A new method is one file: dropped into a copy of the suite, or brought along by another package."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

METHOD = '''
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from methods.base import Batch, Method, Outputs, Tap, Task, register


@register("toy", weight=2.0)
class Toy(Method):
    """Toy: logits matched by squares (Nobody, Nowhere 2000, arXiv:0000.00000)."""

    label: ClassVar[str] = "Toy loss"
    reads: ClassVar[frozenset[Tap]] = frozenset({"logits"})

    def __init__(self, task: Task, *, weight: float) -> None:
        super().__init__(task)
        self.weight = weight

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        return self.weight * F.mse_loss(student.logits, teacher.logits)
'''

SESSION = """
import sys
from benchmark.grid import main
assert main(["--list", "methods"]) == 0
assert main(["--grid", "smoke", "--executor", "inline", "--threads", "1", "--methods", *sys.argv[1:]]) == 0
from analysis.__main__ import main
assert main(["results/smoke"]) == 0
"""
"""The three commands of a newcomer, in one process to save the imports."""


def test_a_file_or_an_installed_package_is_enough(tmp_path: Path) -> None:
    copy_suite(tmp_path)
    (tmp_path / "methods" / "toy.py").write_text(METHOD)
    site = tmp_path / "site"
    install(site)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{site}", "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-c", SESSION, "toy", "kd+toy", "installed"]
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    assert "\ntoy (weight=2.0): Toy: logits matched by squares" in done.stdout
    assert "\nguest (weight=2.0): Guest: logits matched by squares" in done.stdout
    with (tmp_path / "results" / "smoke" / "runs.csv").open(newline="") as file:
        trained = {row["method"] for row in csv.DictReader(file) if row["status"] == "done"}
    assert trained >= {"student", "toy", "kd+toy", "guest"}  # 'installed' comes on top of the grid's own
    tables = [path.read_text() for path in (tmp_path / "results" / "smoke" / "tables").glob("*.md")]
    assert tables
    assert all("Toy loss" in table and "Guest loss" in table and "toy" not in table for table in tables)


def install(site: Path) -> None:
    """What pip leaves of a package that names its method as an entry point."""
    metadata = site / "third_party-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "third_party.py").write_text(METHOD.replace("toy", "guest").replace("Toy", "Guest"))
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[relational_distillation.methods]\nguest = third_party\n")


def test_a_file_that_cannot_be_imported_is_reported_and_left_out(tmp_path: Path) -> None:
    copy_suite(tmp_path)
    (tmp_path / "methods" / "half.py").write_text("import nonsense\n")
    arguments = [sys.executable, "-m", "benchmark.grid", "--list", "methods"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "methods/half.py is left out, it cannot be imported: ModuleNotFoundError: No module named" in done.stderr
    assert f"(raised in {tmp_path / 'methods' / 'half.py'}:1)" in done.stderr
    assert "\nsp (" in done.stdout


def copy_suite(folder: Path) -> None:
    for package in ("analysis", "benchmark", "methods"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
