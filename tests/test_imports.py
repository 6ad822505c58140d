"""Who imports whom, and what stays light."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "timm", "torchvision", "sklearn", "matplotlib")
TRAINING = {"cost", "data", "launch", "models", "training"}

GROUND = ("benchmark.errors", "benchmark.files", "benchmark.spec")
ROOMS: dict[str, tuple[str, ...]] = {
    "errors": (),
    "files": ("benchmark.errors",),
    "spec": ("benchmark.errors",),
    "records": GROUND,
    "plan": (*GROUND, "benchmark.records", "methods"),
}
"""What each room of `benchmark` may import of the project, besides itself."""


LIGHT = ("errors", "files", "spec", "records", "command", "grid")
"""Rooms that answer without a large library."""


def room(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def modules(package: str) -> list[str]:
    """Dotted names of a package's modules."""
    found = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / package).rglob("*.py"))]
    return [".".join(path.parts).removesuffix(".__init__") for path in found]


def imported(module: str) -> set[str]:
    """Dotted names that a module's source imports, wherever and for whomever."""
    path = ROOT.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    nodes = list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    names = {f"{node.module}.{name.name}" for node in froms for name in node.names}
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return {str(node.module) for node in froms} | names | plain


def of(package: str, names: set[str]) -> set[str]:
    return {name for name in names if name == package or name.startswith(f"{package}.")}


@pytest.mark.parametrize("module", modules("methods"))
def test_methods_do_not_know_the_benchmark(module: str) -> None:
    assert not of("benchmark", imported(module)) | of("analysis", imported(module)) | of("timm", imported(module))


@pytest.mark.parametrize("module", modules("analysis"))
def test_analysis_reads_records_alone(module: str) -> None:
    names = imported(module)
    assert not of("torch", names) | of("timm", names) | of("methods", names)
    assert not {name.split(".")[1] for name in of("benchmark", names) if "." in name} & TRAINING


@pytest.mark.parametrize("module", [name for name in modules("benchmark") if room(name) in ROOMS])
def test_a_room_knows_only_what_the_table_says(module: str) -> None:
    """Wherever in its source the import stands, and for whomever."""
    known = {name for name in imported(module) if name.split(".")[0] in ("benchmark", "methods", "analysis")}
    own = f"benchmark.{room(module)}"
    allowed = {own, *ROOMS[room(module)]}
    assert {name for name in known if name != "benchmark" and not any(of(each, {name}) for each in allowed)} == set()


@pytest.mark.parametrize("module", [name for name in modules("benchmark") if name != "benchmark.grid"])
def test_only_the_command_line_knows_the_analysis(module: str) -> None:
    assert not of("analysis", imported(module))
    assert not of("benchmark.grid", imported(module))


CHECK = """
import sys
{statement}
print(*(name for name in {heavy} if name in sys.modules))
"""


def heavy_after(statement: str, tmp_path: Path) -> set[str]:
    """Which large libraries a fresh interpreter has loaded after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK.format(statement=statement, heavy=HEAVY)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_light_modules_load_no_large_library(tmp_path: Path) -> None:
    light = [name for name in modules("benchmark") if room(name) in LIGHT]
    assert not heavy_after(f"import {', '.join(light)}", tmp_path)


def test_planning_and_launching_load_torch_at_most(tmp_path: Path) -> None:
    assert heavy_after(
        "import benchmark.plan.plan, benchmark.launch.local, benchmark.launch.slurm.submission", tmp_path
    ) <= {"torch"}


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("benchmark.grid", ["--help"]),
        ("benchmark.grid", ["--status", "--grid", "smoke"]),
        ("benchmark.grid", ["--list", "grids"]),
        ("benchmark.grid", ["--export", "no-such-run"]),
        ("analysis.__main__", ["--help"]),
        ("analysis.__main__", ["no-such-folder"]),
    ],
)
def test_what_only_reads_files_answers_without_large_libraries(
    module: str, arguments: list[str], tmp_path: Path
) -> None:
    call = f"from {module} import main\ntry: main({arguments})\nexcept SystemExit: pass"
    assert not heavy_after(call, tmp_path)
