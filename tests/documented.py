"""Every command that README and docs name: in blocks, in sentences, and options that a sentence names alone."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "results" / "reference"
GUIDES = ROOT / "docs" / "guides"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "results" / "README.md"])

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", flags=re.MULTILINE | re.DOTALL)
TOOLS = r"pytest|pip|latexmk|rsync|\.ci/run|slurm/cluster\.sh|relational-distillation"
COMMAND = re.compile(rf"^(?:[A-Z_]+=\S+ )*(?:python -m |(?:{TOOLS})(?:\s|$))")


def read(*names: str | Path) -> str:
    return ROOT.joinpath(*names).read_text(encoding="utf-8")


def commands(page: Path) -> list[str]:
    """As they are read, each once, on a line; of a guide, whose blocks a test follows, those of sentences alone."""
    text = page.read_text(encoding="utf-8")
    blocks = [] if page.parent == GUIDES else [*_blocks(text)]
    return list(dict.fromkeys(each for each in [*blocks, *_spans(text)] if COMMAND.match(each)))


def options(page: Path) -> list[str]:
    """Those that a sentence names without their command."""
    return list(dict.fromkeys(each for each in _spans(page.read_text(encoding="utf-8")) if each.startswith("--")))


def _blocks(text: str) -> Iterator[str]:
    """Lines of shell, indented or fenced, without comments; of several commands on a line each."""
    shell = "\n".join(code for _, language, code in FENCE.findall(text) if language == "sh")
    indented = re.findall(r"^ {4,}(\S.*)$", FENCE.sub("", text), flags=re.MULTILINE)
    for line in [*indented, *shell.splitlines()]:
        parts = re.split(r" && |; ", re.sub(r"(?:^|\s)#.*", "", line))
        if COMMAND.match(parts[0]) or re.match(r"\w+=|mkdir ", parts[0]):
            yield from (part.strip() for part in parts)


def _spans(text: str) -> Iterator[str]:
    """What stands in backticks."""
    for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", FENCE.sub("", text)):
        yield " ".join(span.split())
