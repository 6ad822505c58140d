"""Sphinx: pages are Markdown, the reference comes from docstrings. `.ci/run docs` builds it, warnings are errors."""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent.parent))
import benchmark.ground.libraries  # noqa: F401  torchvision beside any build of torch

project = "Relational distillation benchmark"
author = "the authors of the relational distillation benchmark"
copyright = f"2026, {author}"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["words.css"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # links to sources; tests/docs/test_pages.py has them all exist
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}


def plain_words(app: Sphinx, what: str, name: str, of: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text with code in single backticks: what else is markup to Sphinx is none to them."""
    for i, line in enumerate(lines):
        words = re.split("`([^`]+)`", line)
        words[::2] = [re.sub(r"([\\*|_])", r"\\\1", each) for each in words[::2]]
        words[1::2] = [f"``{each}``" for each in words[1::2]]
        lines[i] = "".join(words)


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", plain_words)
