"""One cell of a sweep, in this process or in a worker process: its run, or why it failed."""

import pickle
import signal
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from sim.checks import Refused
from sim.config.experiment import Experiment
from sim.engine.executors import InProcess
from sim.records.store import Run
from sim.run.check import PreparedCache, Preparing
from sim.run.run import rehearse
from sim.run.signals import THREADS, Stopped


@dataclass(frozen=True)
class Failure:
    """Why a cell has no run."""

    why: str
    traceback: str = ""  # of an exception other than a refusal


@dataclass(frozen=True)
class Halted:
    """A cell that was stopped; it continues from its checkpoint if it has one."""

    how_far: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell as a worker process receives it."""

    experiment: Experiment
    home: Path  # working folder
    prepared: bytes = b""  # its pickled data, if they are small; otherwise the process prepares them


def attempt(experiment: Experiment, preparing: Preparing, home: Path) -> Run | Failure:
    """The run, or why it failed; a run that was started in its working folder is continued."""
    at = -1

    def watch(number: int) -> None:
        nonlocal at
        at = number

    try:
        return rehearse(experiment, preparing(experiment), watch, home)
    except Refused as refusal:
        return Failure(str(refusal))
    except Exception as error:  # the other cells of a sweep continue in any case
        place = f" in round {at + 1}" if at >= 0 else ""
        return Failure(f"{type(error).__name__}{place}: {error}", traceback.format_exc())


class CellBody:
    """Body of a worker process: runs cells one after the other, in one thread, whatever their executor says."""

    def __init__(self) -> None:
        self.cache = PreparedCache()

    def work(self, cell: Cell) -> Run | Failure | Halted:
        """Run a cell; returns its records, or why there are none."""
        if THREADS.number:
            return Halted()
        if cell.prepared:
            self.cache.put(cell.experiment, pickle.loads(cell.prepared))
        try:
            return attempt(replace(cell.experiment, executor=InProcess(threads=1)), self.cache, cell.home)
        except Stopped as stopped:
            return Halted(stopped.how_far)

    def stop(self) -> None:
        """Stop the current cell after its round, and waiting cells before they start."""
        THREADS.number = signal.SIGTERM
