"""Progress: a bar after two seconds on a terminal, or occasional lines in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from sim.jit import kept, noticed
from sim.terminal import Terminal

Watch = Callable[[int], None]  # called with the amount that is done: rounds, runs, megabytes, patients

DELAY = 2.0  # seconds before a bar appears
LINES = 30.0  # seconds between the lines of a log


@contextmanager
def bar(label: str, total: int) -> Iterator[Watch]:
    """A callback for the amount done out of `total`; the bar appears after DELAY seconds, a log's lines after LINES."""
    console = Terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    shown = Progress(*columns, console=console, transient=True)
    task = shown.add_task(label, total=total, left="")
    began = said = since = time.monotonic()
    first = -1

    def watch(done: int) -> None:
        nonlocal said, first, since
        moment = time.monotonic()
        if first < 0:
            first, since = done, moment
        left = time_left(moment - since, done - first, total - done)
        if not console.is_terminal and moment - said > LINES:
            said = moment
            words = f"{label}: {done} of {total} after {moment - began:.0f} s{left and ', '}{left}"
            console.print(words, markup=False, soft_wrap=True)
        if console.is_terminal and not shown.live.is_started and moment - began > DELAY:
            shown.start()
        shown.update(task, completed=done, left=left)

    try:
        yield watch
    finally:
        if shown.live.is_started:
            shown.stop()


def time_left(spent: float, done: int, left: int) -> str:
    """Estimated remaining time as text, from the amount done in `spent` seconds; empty at the start."""
    seconds = spent * left / done if done else 0.0
    if not seconds:
        return ""
    return f"about {seconds:.0f} s left" if seconds < 120 else f"about {seconds / 60:.0f} min left"


@contextmanager
def compiling() -> Iterator[None]:
    """Inside, prints a notice when loops are compiled for this machine, which takes some seconds, once."""
    console = Terminal(stderr=True, highlight=False)
    anew = "no cache folder has room, so every process compiles again"
    fate = "they are kept for later runs" if kept() else anew
    with noticed(lambda: console.print(f"Compiling loops for this machine; {fate}.")):
        yield
