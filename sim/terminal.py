"""The terminal: what every command prints goes through it, and nothing that stands in a name can act on it."""

import os
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


def open_closed() -> None:
    """Give a program that was started with closed streams (`>&-`) ones that nobody reads."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w"))


def give_up_output() -> None:
    """Print nothing more: the output cannot be written to, and Python would try again at its end."""
    sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def output(soft_wrap: bool = False) -> Terminal:
    """Standard output, so wide that tables of a file have all their columns."""
    return Terminal(width=None if sys.stdout.isatty() else WIDE, highlight=False, soft_wrap=soft_wrap)
