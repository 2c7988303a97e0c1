"""Terminal output of all commands, in which control characters in names have no effect."""

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
    """Replace closed streams (`>&-`) by ones that are discarded."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w"))


def give_up_output() -> None:
    """Stop all output: it cannot be written, and Python would try again at exit."""
    sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def output(soft_wrap: bool = False) -> Terminal:
    """Standard output, so wide that tables of a file have all their columns."""
    return Terminal(width=None if sys.stdout.isatty() else WIDE, highlight=False, soft_wrap=soft_wrap)
