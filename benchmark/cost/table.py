"""How measurements are printed."""

import math
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def print_table(
    title: str, heads: Sequence[str], rows: Iterable[tuple[str, Sequence[float]]], console: Console
) -> None:
    """A method and its numbers, three digits of each, a row; a dash for one that is not known."""
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("method", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right")
    for name, numbers in rows:
        table.add_row(name, *map(shown, numbers))
    console.print(table)


def shown(number: float) -> str:
    if math.isnan(number):
        return "–"
    return f"{number:.3g}" if number < 100 else f"{number:.0f}"
