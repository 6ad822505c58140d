"""The command in tests: small grids, runs in this process, and what is compared of their results."""

import json
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from benchmark.grid import main
from benchmark.spec import GRIDS

METHODS = ("student", "sp")


def write_grid(path: Path, **changes: Any) -> Path:
    """A grid of two methods, two epochs and one teacher of any accuracy; `recipe__epochs=3` changes a nested value."""
    raw = tomllib.loads((GRIDS / "smoke.toml").read_text())
    raw |= {"methods": list(METHODS), "expected_accuracy": {"digits": {"resnet_m": 0.0}}}
    raw["datasets"][0]["test"] = 60
    raw["recipe"]["epochs"] = raw["teacher_recipe"]["epochs"] = 2
    for name, value in changes.items():
        *tables, key = name.split("__")
        table = raw
        for part in tables:
            table = table[int(part) if part.isdigit() else part]
        table[key] = value
    if "datasets__0__name" in changes:
        raw["expected_accuracy"] = {}
    path.write_text(tomli_w.dumps(raw))
    return path


def cli(*arguments: str | Path, executor: str = "inline") -> int:
    return main([str(a) for a in arguments] + ["--executor", executor, "--threads", "1"])


def contents(folder: Path) -> dict[str, tuple[Any, Any, str]]:
    """What is compared of every record, the run and its result, and the curve beside it."""
    found = {}
    for path in (folder / "records").glob("*.json"):
        record = json.loads(path.read_text())
        curve = (folder / "curves" / f"{path.stem}.csv").read_text()
        found[path.stem] = (record["run"], record["result"], curve)
    return found


def runs(folder: Path) -> list[Any]:
    return [run for run, _, _ in contents(folder).values()]


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    return text
