"""Every command that README and docs show runs: here in a clone that holds the results and files which they name. What
would train, or submit, is asked what it would do; the guides, which train, are followed by test_guides.py. A GPU's page
is for who has one."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w
from guides import ROOT, clone, run

PAGES = [ROOT / "README.md", ROOT / "results" / "README.md", *(ROOT / "docs").glob("*.md")]
COMMAND = re.compile(r"^    (?:.* && )?(python -m (?:analysis|benchmark|methods)[^#\n]*)", flags=re.MULTILINE)

ANSWERS = ("--help", "--list", "--status", "--cancel", "--prepare", "--dry-run")
"""Options of `benchmark.grid` with which it trains nothing."""

STAND_INS = {
    "--grid cifar100": "--grid smoke",  # whose images are in an installed library
    "--grid cifar100_brief": "--grid smoke",
    "--grid ladder_fashion_mnist": "--grid ladder",
    "/mnt/a/digits": "theirs",
    "/mnt/b/digits": "theirs",
    "results/NAME": "results/digits",
    "results/ladder_fashion_mnist": "results/ladder",
    "--data-dir D": "--data-dir .",
    "--data-dir DATA": "--data-dir .",
}
"""What is here for what a reader has, or the suite takes hours for."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone after a few days: digits trained, a grid, a profile, a method and a folder of data of its own."""
    folder = clone(tmp_path_factory.mktemp("reader"))
    for name in ("digits", "cifar100_brief", "controls", "ladder"):
        shutil.copytree(ROOT / "results" / "reference" / name, folder / "results" / name)
    shutil.copytree(folder / "results" / "cifar100_brief", folder / "results" / "cifar100")
    shutil.copytree(folder / "results" / "digits", folder / "theirs")
    shutil.copy(ROOT / "benchmark" / "grids" / "smoke.toml", folder / "my_grid.toml")
    shutil.copy(ROOT / "benchmark" / "profiles" / "cpu.toml", folder / "my.toml")
    own = run([sys.executable, "-m", "methods.check", "--template"], folder)
    (folder / "methods" / "mine.py").write_text(own.replace("my_method", "mine"))
    cell = {"dataset": "digits", "pair": "resnet_l_efficientnet_s", "method": "kd", "top1_percent": 92.9}
    (folder / "expected.toml").write_text(tomli_w.dumps({"cell": [cell]}))
    return folder


def commands(page: Path) -> Iterator[str]:
    for command in COMMAND.findall(page.read_text(encoding="utf-8")):
        for named, here in STAND_INS.items():
            command = re.sub(rf"{named}(?=\s|$)", here, command)
        trains = "benchmark.grid" in command and not any(option in command for option in ANSWERS)
        yield command.strip() + " --dry-run" * trains


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_it_runs(page: Path, reader: Path) -> None:
    for command in commands(page):
        run(["bash", "-ec", command], reader)
