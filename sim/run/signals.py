"""SIGINT and SIGTERM: a command ends with a checkpoint where there is a run, and always without a traceback."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from sim.text import visible

ASKED = (signal.SIGINT, signal.SIGTERM)
STDERR = 2

Handler = Callable[[int, FrameType | None], None]


class Stopped(BaseException):
    """A signal has ended the work; no error of any run, so that no `except Exception` keeps it."""

    def __init__(self, number: int, how_far: str = "") -> None:
        super().__init__(f"{signal.Signals(number).name} {how_far}")
        self.number = number
        self.how_far = how_far  # of what was going on, in a sentence

    @property
    def code(self) -> int:
        """Exit code of a process that a signal ends: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


class Asked:
    """Which signal has asked the loop to end; 0 = none has."""

    number = 0


THREADS = Asked()  # what the loops of other threads than the first are asked, which get no signal


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGINT and SIGTERM raise Stopped at once."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    with handled(end):
        yield


@contextmanager
def finishing() -> Iterator[Asked]:
    """Inside, the first signal is noted for the loop, which ends when it can; a second one raises Stopped at once.

    In a thread that gets no signals the loop is told of what THREADS is asked.
    """
    asked = Asked() if in_first_thread() else THREADS

    def end(number: int, frame: FrameType | None) -> None:
        if asked.number:
            raise Stopped(number)
        asked.number = number
        word = f"{signal.Signals(number).name}: ends after this round, with a checkpoint; once more ends at once.\n"
        with suppress(OSError):
            os.write(STDERR, word.encode())  # not `print`, which may be what the signal interrupts

    with handled(end):
        yield asked


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Inside, both signals go to the handler; nothing is done in a thread, which gets none."""
    if not in_first_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in ASKED}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)


@contextmanager
def kept() -> Iterator[None]:
    """Handlers that are set inside are put back: Ray sets one of its own."""
    before = {number: signal.getsignal(number) for number in ASKED}
    try:
        yield
    finally:
        for number, old in before.items():
            if in_first_thread() and old is not None:
                signal.signal(number, old)


def in_first_thread() -> bool:
    """Whether this is the thread that signals come to."""
    return threading.current_thread() is threading.main_thread()


def print_stop(stopped: Stopped, command: str) -> None:
    """Print to standard error what is kept of the work that a signal ended, and the command that goes on from there."""
    name = signal.Signals(stopped.number).name
    lines = [f"Stopped by {name}. {stopped.how_far}", f"The same command goes on from there:\n  {command}"]
    print(visible("\n".join(lines) if stopped.how_far else f"Stopped by {name}."), file=sys.stderr)
