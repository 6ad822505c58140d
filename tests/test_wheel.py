"""An installed wheel is no lesser suite: built here, installed where nothing else of the project is, used elsewhere."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import rich
from documented import FENCE
from guides import steps

from benchmark.records.code import source_hash

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "results" / "reference" / "digits"
PACKAGES = ("analysis", "benchmark", "methods")
BUILD = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
SOURCES = (*BUILD, "results/reference/digits/", "results/reference/gkd_wrn", *(f"{package}/" for package in PACKAGES))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files alone, lest what lies about gets in."""
    source = tmp_path_factory.mktemp("source")
    try:
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git checkout to build from")
    for name in tracked.decode().split("\0"):
        if name.startswith(SOURCES) and (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    return source


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(target), str(source)]
    built = subprocess.run(pip, capture_output=True, text=True)
    if "No matching distribution" in built.stderr or "No module named pip" in built.stderr:
        pytest.skip(f"setuptools cannot be had to build with: {built.stderr.splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment that has the wheel and the libraries, but not the checkout."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home)
    python = home / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    (site / "libraries.pth").write_text(str(Path(rich.__file__).parents[1]))  # of which no .pth files are read
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", str(wheel)], check=True
    )
    return home / "bin" / "relational-distillation"


def run(command: Path, *arguments: str, where: Path, code: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([command, *arguments], cwd=where, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_holds_every_file_of_the_packages(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {name for name in tracked.stdout.split() if (ROOT / name).exists() and not name.endswith(".md")}
    parts = [path for part in ("records/*", "curves/*", "runs.csv", "grid.toml") for path in REFERENCE.glob(part)]
    wanted |= {f"analysis/reference/{path.relative_to(REFERENCE.parent)}" for path in parts}
    wanted |= {f"analysis/reference/gkd_wrn_28_1.{kind}" for kind in ("safetensors", "LICENSE")}
    assert wanted - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_it_trains_analyses_and_verifies_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    run(
        installed,
        "grid",
        "--grid",
        "smoke",
        "--methods",
        "student",
        "gkd",
        "--executor",
        "inline",
        "--threads",
        "1",
        where=tmp_path,
    )
    run(installed, "analysis", "results/smoke", where=tmp_path)
    assert (tmp_path / "results" / "smoke" / "report.html").exists()
    run(installed, "verify", "results/smoke", "--against", "results/smoke", where=tmp_path)
    assert "(references: digits)" in run(installed, "verify", "results/smoke", where=tmp_path, code=2)


def test_every_command_says_what_it_takes(installed: Path, tmp_path: Path) -> None:
    listed = run(installed, "--help", where=tmp_path)
    commands = [line.split()[0] for line in listed.splitlines() if "(python -m" in line]
    assert {"grid", "analysis", "verify", "check", "cost", "speed"} <= set(commands)
    for command in ("grid", "analysis", "verify"):
        assert "usage: " in run(installed, command, "--help", where=tmp_path)
    assert "did you mean analysis" in run(installed, "analyse", where=tmp_path, code=2)


def test_committed_records_are_read_without_a_clone(installed: Path, tmp_path: Path) -> None:
    """As their guide does it."""
    snippets = "\n".join(code for _, code, _ in steps("read_a_record"))
    said = run(installed.with_name("python"), "-c", snippets, where=tmp_path)
    assert f"{len(list(REFERENCE.glob('records/*')))} records, 0 that cannot be used" in said


def test_its_code_is_the_clones(source: Path, installed: Path, tmp_path: Path) -> None:
    """By the hash that records state, of what a worker imports: no results are among it."""
    hashed = "from benchmark.records.code import ROOT, source_hash; print(source_hash(ROOT))"
    assert run(installed.with_name("python"), "-c", hashed, where=tmp_path).strip() == source_hash(source)


def test_a_published_teacher_needs_no_clone(installed: Path, tmp_path: Path) -> None:
    """Whose hash the grid states."""
    pinned = "from benchmark.models.weights import pin; from benchmark.spec import load_grid; pin(load_grid({!r}))"
    run(installed.with_name("python"), "-c", pinned.format("cifar10_gkd_short"), where=tmp_path)


@pytest.mark.long
def test_a_method_is_added_without_a_clone(installed: Path, tmp_path: Path) -> None:
    """In a package whose every file the documentation has."""
    section = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8").partition("## In a package of your own\n")[2]
    project, shell = (code for _, language, code in FENCE.findall(section)[:2])
    (tmp_path / "pyproject.toml").write_text(project)
    python = installed.with_name("python")
    shell = shell.replace("python -m methods", f"{python} -m methods")
    shell = shell.replace("pip install", f"{sys.executable} -m pip --python {python} install")
    assert re.search(r"my_method: \d+ ok, 0 failed", run(Path("bash"), "-ec", shell, where=tmp_path))


@pytest.mark.parametrize(("package", "module"), [("methods", "benchmark.grid"), ("benchmark", "analysis")])
def test_another_package_of_that_name_is_named(installed: Path, tmp_path: Path, package: str, module: str) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    complaint = run(installed.with_name("python"), "-m", module, "--help", where=tmp_path, code=1)
    assert f"the suite's package {package!r}" in complaint
    assert "rename or uninstall what shadows it" in complaint
