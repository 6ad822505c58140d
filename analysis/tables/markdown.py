"""A table as Markdown."""

from analysis.tables.table import Field, Table


def markdown(table: Table) -> str:
    """A table in GitHub's form, padded so that it reads as plain text too."""
    rows = [["Method", *(_markdown(column.title, column.note) for column in table.columns)]]
    for group in table.groups:
        if group.heading:
            rows.append([f"*{_markdown(group.heading)}*", *("" for _ in table.columns)])
        for name, fields in group.rows:
            rows.append([_markdown(name), *(_markdown_field(field) for field in fields)])
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    aligned = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in (aligned[0], rule, *aligned[1:])]
    notes = [f"- {f'[{letter}] ' if letter else ''}{_markdown(text)}" for letter, text in table.notes]
    return "\n".join([table.caption, "", *lines, *([""] if notes else []), *notes, ""])


def _markdown_field(field: Field) -> str:
    text = _markdown(field.with_spread)
    text = f"<u>{text}</u>" if field.highest else text
    text = f"**{text}**" if field.best else text
    return _noted(text + field.mark.replace("*", "\\*"), field.note)


def _markdown(text: str, note: str = "") -> str:
    """Names and messages on one line, without the characters that end a field or start a tag."""
    return _noted(" ".join(text.split()).replace("|", "\\|").replace("<", "&lt;"), note)


def _noted(text: str, note: str) -> str:
    return f"{text} [{note}]" if note else text
