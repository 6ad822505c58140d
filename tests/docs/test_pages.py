"""What README and docs link to exists, and every command that they show is one."""

import argparse
import re
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmark.command.__main__ import COMMANDS
from benchmark.spec import grid_names

ROOT = Path(__file__).parent.parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "results" / "README.md"]
COMMAND = re.compile(r"python -m ((?:analysis|benchmark|methods)[\w.]*\b)([^`#\n;&|)]*)")

pages = pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: str(page.relative_to(ROOT)))


class EnoughError(Exception):
    """A command has read its options; that is enough."""


@pages
def test_what_it_links_to_exists(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pages
def test_its_commands_are_ones(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reads its own options; the grids that are named are there, but for a reader's own."""
    parse = argparse.ArgumentParser.parse_args

    def parse_alone(parser: argparse.ArgumentParser, *arguments: Any) -> None:
        try:
            parse(parser, *arguments)
        except SystemExit as end:
            if end.code:  # 0 is that of --help
                pytest.fail(f"not understood: {arguments}")
        raise EnoughError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_alone)
    for module, rest in COMMAND.findall(page.read_text(encoding="utf-8")):
        assert module in {module for module, _ in COMMANDS.values()}
        inside = find_spec(module)
        package = inside is not None and inside.submodule_search_locations
        words = [word for word in shlex.split(rest.rstrip(".,: ")) if word != "..."]
        if not words:  # a mention
            continue
        for grid in words[words.index("--grid") + 1 :][:1] if "--grid" in words else ():
            assert grid in grid_names() or grid.endswith(".toml") or grid.isupper()
        with pytest.raises(EnoughError):
            import_module(f"{module}.__main__" if package else module).main(words)
