"""SIGINT and SIGTERM: a command ends without a traceback, and with a checkpoint if a run is in progress."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

HEEDED = (signal.SIGINT, signal.SIGTERM)
STDERR = 2

Handler = Callable[[int, FrameType | None], None]


class Stopped(BaseException):
    """Raised when a signal ended the work; not an Exception, so that no `except Exception` catches it."""

    def __init__(self, number: int, how_far: str = "") -> None:
        super().__init__(f"{signal.Signals(number).name} {how_far}")
        self.number = number
        self.how_far = how_far  # a sentence that says what is saved

    @property
    def code(self) -> int:
        """Exit code of a process that a signal ends: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


class Asked:
    """The signal that asked to stop; 0 = none."""

    number = 0


OPEN: list[Asked] = []  # of the blocks that the first signal ends, from the outermost to that at hand
THREADS = Asked()  # what the loops of other threads than the first are asked, which get no signal


@contextmanager
def stoppable() -> Iterator[Asked]:
    """Context in which SIGINT and SIGTERM end the work at once, and raise Stopped."""
    with heeded(patient=False) as asked:
        yield asked


@contextmanager
def finishing() -> Iterator[Asked]:
    """Context in which the first signal is noted for the loop, which ends when it can; a second one ends it at once.

    A loop in a thread other than the main one reads THREADS.
    """
    if not in_first_thread():
        yield THREADS
        return
    with heeded(patient=True) as asked:
        yield asked


@contextmanager
def heeded(patient: bool) -> Iterator[Asked]:
    """Context in which signals are noted and raise KeyboardInterrupt (the first one unless `patient`), then Stopped.

    Ray lets no other exception of a handler through its own loops. Python itself drops one that comes while it is in
    the callback of a weak reference, as an import often is: the next block that begins raises Stopped then.
    """
    lost = next((one.number for one in OPEN if one.number), 0)
    if lost and in_first_thread():
        raise Stopped(lost)
    asked = Asked()

    def end(number: int, frame: FrameType | None) -> None:
        first, asked.number = not asked.number, number
        if not (patient and first):
            raise KeyboardInterrupt
        word = f"{signal.Signals(number).name}: ends after this round, with a checkpoint; once more ends at once.\n"
        with suppress(OSError):
            os.write(STDERR, word.encode())  # not `print`, which may be what the signal interrupts

    with handled(end), listed(asked, not patient and in_first_thread()):
        try:
            yield asked
        except KeyboardInterrupt:
            raise Stopped(asked.number or signal.SIGINT) from None


@contextmanager
def listed(asked: Asked, open_now: bool) -> Iterator[None]:
    """Inside, what is asked stands in OPEN, if it is to."""
    if not open_now:
        yield
        return
    OPEN.append(asked)
    try:
        yield
    finally:
        OPEN.remove(asked)


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Context in which both signals go to the handler; does nothing outside the main thread, which gets no signals."""
    if not in_first_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in HEEDED}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)


@contextmanager
def telling(how_far: Callable[[], str]) -> Iterator[None]:
    """Context in which a signal ends the work; Stopped then reports `how_far` it was, before the state of a run."""
    try:
        with stoppable():
            yield
    except Stopped as stopped:
        raise Stopped(stopped.number, ". ".join(filter(None, (how_far(), stopped.how_far)))) from None


def in_first_thread() -> bool:
    """Whether this is the thread that receives signals."""
    return threading.current_thread() is threading.main_thread()
