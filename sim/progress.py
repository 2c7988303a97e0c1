"""Progress bars: shown after two seconds, and never if the output is not a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sim.jit import KEPT, noticed

Watch = Callable[[int], None]  # called with the amount that is done: rounds, runs, megabytes, patients

DELAY = 2.0  # seconds before a bar appears


@contextmanager
def bar(label: str, total: int) -> Iterator[Watch]:
    """A callback for the amount done out of `total`; the bar appears after DELAY seconds."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = Progress(*columns, console=console, transient=True)
    task = shown.add_task(label, total=total)
    began = time.monotonic()

    def watch(done: int) -> None:
        if console.is_terminal and not shown.live.is_started and time.monotonic() - began > DELAY:
            shown.start()
        shown.update(task, completed=done)

    try:
        yield watch
    finally:
        if shown.live.is_started:
            shown.stop()


@contextmanager
def compiling() -> Iterator[None]:
    """Inside, prints a notice when loops are compiled for this machine, which takes some seconds, once."""
    console = Console(stderr=True, highlight=False)
    fate = (
        "they are kept for later runs" if KEPT else "no folder for caches has room, so that every process does it anew"
    )
    with noticed(lambda: console.print(f"Compiling loops for this machine; {fate}.")):
        yield
