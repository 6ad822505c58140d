"""The terminal as rich writes to it, which others' text cannot steer."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from benchmark.text import visible


class Terminal(Console):
    """Colours and cursor movements are rich's own; in every text, control characters are escaped."""

    def __init__(self) -> None:
        # What stands in the stream's place would escape rich's own sequences too.
        super().__init__(file=getattr(sys.stdout, "rich_proxied_file", None), markup=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:  # type: ignore[override]
        """Escapes are counted where columns are measured."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))
