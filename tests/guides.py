"""Following a guide of `docs/guides` to the letter: every file that it writes, every command and every snippet."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parent.parent
GUIDES = ROOT / "docs" / "guides"
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", flags=re.MULTILINE | re.DOTALL)


def clone(folder: Path) -> Path:
    """What a clone holds that the guides use, to be written to."""
    for package in ("analysis", "benchmark", "methods"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "results").mkdir()
    (folder / "results" / "reference").symlink_to(ROOT / "results" / "reference")
    return folder


def follow(guide: str, folder: Path) -> None:
    """Commands run as they stand. Code goes into the file that the text before it names last; where none is named, the
    snippets of a guide are one session."""
    snippets = []
    for language, code, before in steps(guide):
        named = re.findall(r"`([\w/]+\.(?:py|toml))`", before)
        if language == "sh":
            run(["bash", "-ec", code], folder)
        elif named:
            (folder / named[-1]).write_text(code)
        else:
            snippets.append(code)
    if snippets:
        assert run([sys.executable, "-c", "\n".join(snippets)], folder)


def steps(guide: str) -> Iterator[tuple[str, str, str]]:
    """Language, code, and the text before it, of each block."""
    text, end = (GUIDES / f"{guide}.md").read_text(encoding="utf-8"), 0
    for block in BLOCK.finditer(text):
        yield block[2], dedent(block[3]), text[end : block.start()]
        end = block.end()


def run(command: list[str], where: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(where), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
