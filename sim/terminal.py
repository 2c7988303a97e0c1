"""The terminal: what every command prints goes through it, and nothing that stands in a name can act on it."""

import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from sim.text import CONTROL, visible

WIDE = 140  # columns where the output is no terminal


class Terminal(Console):
    """A console that shows control characters of names and labels instead of obeying them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of a renderable; the parts of a table pass through here as well."""
        for segment in super().render(renderable, options):
            safe = segment.control or not CONTROL.search(segment.text)
            yield segment if safe else Segment(visible(segment.text), segment.style)


def output(soft_wrap: bool = False) -> Terminal:
    """Standard output, so wide that tables of a file have all their columns."""
    return Terminal(width=None if sys.stdout.isatty() else WIDE, highlight=False, soft_wrap=soft_wrap)
