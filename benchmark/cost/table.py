"""How measurements are printed."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def print_table(
    title: str, heads: Sequence[str], rows: Iterable[tuple[str, Sequence[float]]], console: Console
) -> None:
    """A method and its numbers, three digits of each, a row."""
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("method", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right")
    for name, numbers in rows:
        table.add_row(name, *(f"{number:.3g}" if number < 100 else f"{number:.0f}" for number in numbers))
    console.print(table)
