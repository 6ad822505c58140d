"""What README and docs link to is there; commands and options that they name are ones (test_commands.py runs them)."""

import argparse
import re
import shlex
import tomllib
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from documented import PAGES, ROOT, commands, options

from benchmark.command.__main__ import COMMANDS
from benchmark.spec import grid_names

MODULES = [module for module, _ in COMMANDS.values()]
NEEDED = {"analysis": ["F"], "analysis.verify": ["F"], "analysis.score": ["F"]}
"""What a command takes beside its options."""

OF_TESTS = {"--long", "-rP", *re.findall(r'addoption\("(--[\w-]+)"', (ROOT / "tests" / "conftest.py").read_text())}
REFUSED = ['--grid ""', "--status --cancel"]
"""What the documentation says is refused."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


class ReadError(Exception):
    """A command has read its options; that is enough."""


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Commands end once they have read their options, all of which are noted here."""
    parse, known = argparse.ArgumentParser.parse_args, set[str]()

    def parse_alone(parser: argparse.ArgumentParser, *arguments: Any) -> None:
        known.update(parser._option_string_actions)
        try:
            parse(parser, *arguments)
        except SystemExit as end:
            if end.code:  # 0 is that of --help
                raise
        raise ReadError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_alone)
    return known


def understood(module: str, words: Sequence[str]) -> bool:
    inside = find_spec(module)
    package = inside is not None and inside.submodule_search_locations
    try:
        import_module(f"{module}.__main__" if package else module).main([*words])
    except ReadError:
        return True
    except SystemExit:
        return False
    raise AssertionError(f"{module} reads no options")


@pages
def test_what_it_links_to_exists(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pages
@pytest.mark.usefixtures("known")
def test_its_commands_are_ones(page: Path) -> None:
    """Each reads its own options; the grids that are named are there, but for a reader's own."""
    for command in commands(page):
        called = re.match(r"(?:\S+=\S+ )*python -m (?!pytest)(\S+)([^>]*)", command)
        if not called:
            continue
        module, words = called[1], shlex.split(called[2])
        assert module in MODULES, command
        for grid in words[words.index("--grid") + 1 :][:1] if "--grid" in words else ():
            assert grid in grid_names() or grid.endswith(".toml") or grid.isupper()
        assert not words or understood(module, words), command  # without any it is a mention


@pages
def test_its_options_are_ones(page: Path, known: set[str]) -> None:
    """Of some command, and with their values, where they have any, understood by it; `N` is any number."""
    for named in options(page):
        words = shlex.split(named.replace(" N", " 1"))
        if OF_TESTS.issuperset(word for word in words if word.startswith("-")):
            continue
        found = [understood(module, [*NEEDED.get(module, []), *words]) for module in MODULES]
        alone = len(words) == 1 and words[0] in known  # perhaps without a value that it wants
        assert (any(found) or alone) is (named not in REFUSED), named


@pages
def test_what_it_installs_and_runs_of_the_repository_is_there(page: Path) -> None:
    """Extras, files, and parts of `.ci/run`."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    parts = set(re.findall(r"^(\w+)\(\) {", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for command, *words in map(shlex.split, commands(page)):
        if command == ".ci/run":
            assert parts.issuperset(words)
        if command == "pip":
            assert set(re.findall(r"\w+", "".join(re.findall(r"\[(.*)\]", " ".join(words))))) <= extras.keys()
            assert all((ROOT / words[i + 1]).is_file() for i, word in enumerate(words) if word == "-c")
        if command == "slurm/cluster.sh":
            assert f"{[*words, 'up'][0]}) " in (ROOT / command).read_text(encoding="utf-8")
