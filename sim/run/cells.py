"""The remaining cells of a sweep: assigned to workers, claimed while they run, and written when they end.

A cell that a living process of another sweep is running is set aside, and checked again at the end.
"""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sim.checks import Refused
from sim.config.experiment import Experiment
from sim.pool import Died
from sim.profiling import stage
from sim.records.store import Run, finished, write
from sim.records.unfinished import State, claim, clear, report_failure, status
from sim.run.cell import Cell, Failure
from sim.run.check import PreparedCache, size
from sim.run.run import footing
from sim.run.schedule import Schedule

SMALL = 2**22  # bytes of prepared data up to which they are sent to a worker, which takes 1 ms

Named = dict[str, Experiment]  # run id -> experiment


@dataclass(frozen=True)
class Ended:
    """A cell that has ended: written, or failed during training."""

    run: str  # run id
    failed: str = ""  # why; empty = its folder is there
    records: Run | None = None  # None: it failed, or another process wrote it


class Cells:
    """The remaining cells of a sweep, and the workers that run them."""

    def __init__(self, left: Named, folders: Mapping[str, Path], cache: PreparedCache, stop_on_error: bool) -> None:
        self.left, self.folders, self.cache, self.stop_on_error = left, folders, cache, stop_on_error
        self.footings = {run: footing(experiment) for run, experiment in left.items()}
        self.schedule = Schedule(self.footings, dict(zip(left, cache.seconds, strict=True)))
        self.homes: dict[str, Path] = {}  # of the cells assigned to workers
        self.claims: dict[str, ExitStack] = {}
        self.aside: list[str] = []  # cells that other processes are running
        self.found: list[Ended] = []  # cells that other processes ended
        self.stopped = False

    def __enter__(self) -> "Cells":
        return self

    def __exit__(self, *error: object) -> None:
        """Release the cells that have not ended."""
        for claimed in self.claims.values():
            claimed.close()

    def take(self, worker: int) -> tuple[str, Cell] | None:
        """The next cell for a worker, claimed; None if there is none."""
        while not self.stopped and (run := self.schedule.take(worker)) is not None:
            if self.claimed(run):
                return run, Cell(self.left[run], self.homes[run])
        return None

    def claimed(self, run: str) -> bool:
        """Claim a cell; false if another process is running it or has written it."""
        with ExitStack() as claimed:
            home = claimed.enter_context(claim(self.folders[run], run))
            if home is None:
                self.aside.append(run)
                return False
            if finished(self.folders[run] / run):
                clear(home)
                self.found.append(Ended(run))
                return False
            self.homes[run], self.claims[run] = home, claimed.pop_all()
        return True

    def packed(self, worker: int) -> tuple[str, Cell] | None:
        """As `take`, for another process: includes the data if they are small and it does not have them yet."""
        before = self.schedule.at.get(worker)
        taken = self.take(worker)
        if taken is None:
            return None
        run, cell = taken
        prepared = self.cache.held.get(self.footings[run])
        if prepared is None or self.footings[run] == before or size(prepared) > SMALL:
            return taken
        return run, Cell(cell.experiment, cell.home, pickle.dumps(prepared))

    def end(self, run: str, outcome: Run | Failure | Died) -> Ended:
        """Write the records, and release the cell."""
        if isinstance(outcome, Died):
            outcome = Failure(
                f"its process died {outcome.times} times. If memory ran out, use fewer workers. ({outcome.why})"
            )
        with self.claims.pop(run):
            if isinstance(outcome, Failure):
                report_failure(self.homes[run], outcome.why, outcome.traceback)
                self.stopped |= self.stop_on_error
                return Ended(run, outcome.why)
            refuse_change(run, outcome.id)
            with stage("records"):
                write(outcome, self.folders[run])
            clear(self.homes[run])
        return Ended(run, "", outcome)

    def let_go(self, run: str) -> None:
        """Return a cell that has not ended."""
        self.claims.pop(run).close()

    def others(self) -> Iterator[Ended]:
        """The cells that other processes have ended so far."""
        yield from self.found
        self.found.clear()

    def look_aside(self) -> str | None:
        """Check the cells of other processes again; a cell that none is running any more is claimed and returned."""
        for run in list(self.aside):
            now = status(self.folders[run], run)
            if now.state is State.RUNNING:
                continue
            self.aside.remove(run)
            if now.state is State.FAILED:
                self.found.append(Ended(run, now.why))
            elif self.claimed(run):
                return run
        return None


def refuse_change(asked: str, made: str) -> None:
    """Refuse a run whose name differs from the expected one."""
    if made != asked:
        raise Refused(
            f"Run {asked} was computed as {made}: its code or data changed during the sweep, or one of its classes is "
            "defined in a script. Start the sweep again, or move the class to a module that can be imported."
        )
