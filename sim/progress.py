"""Progress: a bar after two seconds on a terminal, a line now and then where there is none."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sim.jit import kept, noticed
from sim.terminal import Terminal

Watch = Callable[[int], None]  # called with the amount that is done: rounds, runs, megabytes, patients

DELAY = 2.0  # seconds before a bar appears
LINES = 30.0  # seconds between the lines of a log


@contextmanager
def bar(label: str, total: int) -> Iterator[Watch]:
    """A callback for the amount done out of `total`; the bar appears after DELAY seconds, a log's lines after LINES."""
    console = Terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = Progress(*columns, console=console, transient=True)
    task = shown.add_task(label, total=total)
    began = time.monotonic()
    said, first = began, -1

    def watch(done: int) -> None:
        nonlocal said, first
        first = done if first < 0 else first
        moment = time.monotonic()
        if not console.is_terminal and moment - said > LINES:
            said, spent = moment, moment - began
            left = f", about {spent * (total - done) / (done - first):.0f} s left" if done > first else ""
            console.print(f"{label}: {done} of {total} after {spent:.0f} s{left}", markup=False, soft_wrap=True)
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
    console = Terminal(stderr=True, highlight=False)
    anew = "no folder for caches has room, so that every process does it anew"
    fate = "they are kept for later runs" if kept() else anew
    with noticed(lambda: console.print(f"Compiling loops for this machine; {fate}.")):
        yield
