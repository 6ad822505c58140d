"""Text as Markdown, and a table of it."""

import re

from analysis.tables.table import Field, Table

MARKUP = re.compile(
    r"[\\`|~$]|(?<!\s)\*|\*(?!\s)|(?<![^\W_])_|_(?![^\W_])|(?<=\])\("
    r"|\A\[(?=[^\]]*\]:)|!(?=\[)|<(?=[A-Za-z/!?])|&(?=#?\w+;)"
)
"""Characters that mean something to Markdown where they stand; one between spaces, or inside a word, may not."""


def escape(text: str) -> str:
    """Text on one line as Markdown that shows it: no tag, link, image, emphasis or formula."""
    return MARKUP.sub(lambda found: {"<": "&lt;", "&": "&amp;"}.get(found[0], f"\\{found[0]}"), " ".join(text.split()))


def markdown(table: Table) -> str:
    """A table in GitHub's form, padded so that it reads as plain text too."""
    first = table.stub[0] if len(table.stub) == 1 else "Method"
    rows = [[first, *(_cell(column.title, column.note) for column in table.columns)]]
    for group in table.groups:
        if group.heading:
            rows.append([f"*{_cell(group.heading)}*", *("" for _ in table.columns)])
        for name, fields in group.rows:
            rows.append([_cell(name), *(_markdown_field(field) for field in fields)])
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    aligned = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in (aligned[0], rule, *aligned[1:])]
    notes = [f"- {f'[{letter}] ' if letter else ''}{_cell(text)}" for letter, text in table.notes]
    return "\n".join([escape(table.caption), "", *lines, *([""] if notes else []), *notes, ""])


def _markdown_field(field: Field) -> str:
    text = _cell(field.with_spread)
    text = f"<u>{text}</u>" if field.highest else text
    text = f"**{text}**" if field.best else text
    return _noted(text + field.mark.replace("*", "\\*"), field.note)


def _cell(text: str, note: str = "") -> str:
    return _noted(escape(text).replace("<", "&lt;"), note)


def _noted(text: str, note: str) -> str:
    return f"{text} [{note}]" if note else text
