"""A table for the terminal."""

from collections.abc import Iterator

from rich.table import Table as TerminalTable
from rich.text import Text

from analysis.tables.table import Field, Table

NAME_CHARACTERS, FIELD_CHARACTERS = 16, 15
"""Of a terminal's line, for a row's name and for each field."""


def terminal(table: Table, width: int) -> Iterator[TerminalTable]:
    """For printing with rich, in as many tables as a width in characters asks for; the caption holds the footnotes."""
    most = max(1, (width - NAME_CHARACTERS) // FIELD_CHARACTERS)
    for start in range(0, len(table.columns), most):
        form = _terminal_form(table, slice(start, start + most))
        if start + most >= len(table.columns):
            notes = [f"[{letter}] {text}" for letter, text in table.notes]
            form.caption = Text("\n".join([table.caption, *notes]), justify="left")
        yield form


def _terminal_form(table: Table, part: slice) -> TerminalTable:
    form = TerminalTable(caption_justify="left")
    form.add_column("Method")
    for column in table.columns[part]:
        form.add_column(Text(f"{column.title} [{column.note}]" if column.note else column.title), justify="right")
    for group in table.groups:
        if group.heading:
            form.add_row(Text(group.heading, style="italic"))
        for name, fields in group.rows:
            form.add_row(Text(name), *map(_terminal_field, fields[part]))
        form.add_section()
    return form


def _terminal_field(field: Field) -> Text:
    text = Text(field.with_spread + field.mark, style="bold" if field.best else "underline" if field.second else "")
    return text.append(f" [{field.note}]") if field.note else text
