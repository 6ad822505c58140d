"""Wheels hold the committed results too, which lie outside of the packages (`analysis.REFERENCE`). All else is in
pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

RESULTS = Path("results", "reference")
OF_GRIDS = ("grid.toml", "runs.csv", "costs.csv", "records/*.json", "curves/*.csv", "measured/*.json")
PARTS = ("*.safetensors", "*.LICENSE", *(f"*/{part}" for part in OF_GRIDS))
"""What analyses and comparisons are made from, and published weights."""


class WithResults(build_py):
    def run(self) -> None:
        super().run()
        for path in (path for part in PARTS for path in RESULTS.glob(part) if not self.editable_mode):
            target = Path(self.build_lib, "analysis", "reference", path.relative_to(RESULTS))
            self.mkpath(str(target.parent))
            self.copy_file(str(path), str(target))


setup(cmdclass={"build_py": WithResults})
