"""The terminal as rich writes to it, which others' text cannot steer."""

import sys
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from benchmark.ground.text import visible


class Terminal(Console):
    """Prints lines as they are, to `file` or standard output: no wrapping, no markup, no colours or signs guessed from
    their words. Colours and cursor movements are rich's own; in every text, control characters are escaped."""

    def __init__(self, file: IO[str] | None = None, width: int | None = None) -> None:
        # What stands in the stream's place would escape rich's own sequences too.
        file = file or getattr(sys.stdout, "rich_proxied_file", None)
        super().__init__(file=file, width=width, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def render_str(self, text: str, **options: Any) -> Text:
        """Escapes are counted where columns are measured."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))
