"""Who imports whom, and what stays light."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "timm", "torchvision", "sklearn", "matplotlib")

GROUND = ("ground", "spec")
ROOMS: dict[str, tuple[str, ...]] = {
    "ground": (),
    "spec": ("ground",),
    "metrics": ("ground",),
    "records": (*GROUND, "metrics"),
    "data": GROUND,
    "models": (*GROUND, "methods.base"),
    "plan": (*GROUND, "records", "methods"),
    "training": (*GROUND, "metrics", "records", "data", "models", "methods"),
    "launch": (*GROUND, "records", "plan", "methods", "training"),
    "cost": (*GROUND, "records", "data", "models", "plan", "training", "methods"),
    "speed": (*GROUND, "records", "plan", "training", "cost", "methods"),
    "command": (*GROUND, "metrics", "records", "plan", "launch", "models", "methods"),
    "grid": (*GROUND, "records", "models", "plan", "training", "launch", "command"),
}
"""What each room of `benchmark` may import of the project besides itself: a room, one of its modules, or the methods.
From the ground up: a room knows those above it alone."""

INSIDE = {
    "records": {"metrics"},
    "launch": {"training"},
    "command": {"metrics", "models", "methods", "launch.local", "launch.slurm.submission", "plan.cells", "plan.plan"},
    "grid": {"training", "models", "launch.local", "plan.cells", "plan.plan", "plan.frozen"},
}
"""What a room imports inside functions alone, lest --help, --status or a submission load torch or models."""

ANALYSIS = ("analysis", *(f"benchmark.{room}" for room in (*GROUND, "metrics", "records")))

WITHIN_ANALYSIS: dict[str, tuple[str, ...]] = {
    "style": (),
    "runs": ("style",),
    "statistics": ("style", "runs"),
    "tables": ("style", "runs", "statistics"),
    "figures": ("style", "runs", "statistics"),
    "verify": ("style", "runs", "statistics", "tables"),
    "plan": ("style", "runs", "statistics", "tables"),
    "score": ("style", "runs", "statistics"),
    "report": ("style", "runs", "statistics", "tables", "figures"),
    "__main__": ("style", "runs", "statistics", "tables", "figures", "report"),
}
"""What each room of the analysis may import of it besides itself: nothing flows back."""

LIGHT = ("ground", "spec", "records", "command", "grid")
"""Rooms that answer without a large library."""

LARGE = ("benchmark.ground.libraries", "benchmark.ground.memory")
"""Of these, what is for the others."""


def room(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def dotted(name: str) -> str:
    return name if name.startswith("methods") else f"benchmark.{name}"


def outside(names: set[str], known: Iterable[str]) -> set[str]:
    """Those of the project that are neither known nor inside of what is."""
    own = {name for name in names if name.partition(".")[0] in ("analysis", "benchmark", "methods")}
    return {name for name in own - {"benchmark"} if not any(of(each, {name}) for each in known)}


def modules(package: str) -> list[str]:
    """Dotted names of a package's modules."""
    found = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / package).rglob("*.py"))]
    return [".".join(path.parts).removesuffix(".__init__") for path in found]


def imported(module: str, at_the_top: bool = False) -> set[str]:
    """Dotted names that a module's source imports, wherever and for whomever, or only where it is loaded itself."""
    path = ROOT.joinpath(*module.split("."))
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))
    nodes = tree.body if at_the_top else list(ast.walk(tree))
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
    assert not of("torch", imported(module)) | of("timm", imported(module))
    assert not outside(imported(module), ANALYSIS)


@pytest.mark.parametrize("module", [name for name in modules("analysis") if name != "analysis"])
def test_within_the_analysis_nothing_flows_back(module: str) -> None:
    known = WITHIN_ANALYSIS.keys() & {room(name) for name in of("analysis", imported(module))}
    assert known <= {room(module), *WITHIN_ANALYSIS[room(module)]}


def test_every_room_is_in_the_table_below_what_it_imports() -> None:
    assert {room(name) for name in modules("benchmark")} - {""} == set(ROOMS)
    levels: dict[str, int] = {}
    for name, known in ROOMS.items():
        below = [levels[each.partition(".")[0]] for each in known if not each.startswith("methods")]
        levels[name] = 1 + max(below, default=0)
    assert len(levels) <= 14
    assert max(levels.values()) <= 7


@pytest.mark.parametrize("own", ROOMS)
def test_a_room_imports_all_that_the_table_lets_it(own: str) -> None:
    names = set().union(*(imported(module) for module in modules("benchmark") if room(module) == own))
    assert [each for each in ROOMS[own] if not of(dotted(each), names)] == []


@pytest.mark.parametrize("module", modules("benchmark"))
def test_a_room_knows_only_what_the_table_says(module: str) -> None:
    """Wherever in its source an import stands, and for whomever."""
    own = room(module)
    known = (f"benchmark.{own}", *map(dotted, ROOMS.get(own, ())))
    assert not outside(imported(module), known)
    for late in map(dotted, INSIDE.get(own, ())):
        assert not of(late, imported(module, at_the_top=True))


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
    light = [name for name in modules("benchmark") if room(name) in LIGHT and name not in LARGE]
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
