"""When a run writes a checkpoint, what the checkpoint contains, and how the run continues from the last one."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sim.arrays import Floats
from sim.checks import Refused
from sim.config.results import Results
from sim.engine.simulation import Round, Saved
from sim.engine.site_state import SiteState
from sim.profiling import stage
from sim.records.checkpoints import Checkpoint, Link, array, arrays, newest, write
from sim.records.tensors import Array, Streamed
from sim.records.unfinished import report_progress
from sim.run.ledger import Ledger
from sim.run.saved import Mark, add_part, kept_arrays, mark, part_since, read_kept
from sim.run.signals import Asked, Stopped, finishing
from sim.terminal import Terminal

TRAINING, SITES, KEPT = "training/", "sites/", "kept/"  # before the names of arrays in a checkpoint
SHARE = 0.05  # largest share of a run's time for checkpoints by time


class Work(NamedTuple):
    """A run and its working folder."""

    home: Path | None  # its working folder; None = no checkpoints
    run: str  # id
    rounds: int
    asked: Results


@dataclass
class Attempt:
    """A running attempt of a run: its start, its records so far, and which of them are written."""

    work: Work
    started: str  # ISO time of the first attempt
    spent: float = 0.0  # seconds of earlier attempts up to their last checkpoint
    since: Saved | None = None  # where it continues; None = at the start
    ledger: Ledger = field(default_factory=Ledger)
    link: Link = field(default_factory=Link)
    written: Mark = field(default_factory=Mark)
    round: int = 0  # of the last checkpoint
    cost: float = 0.0  # seconds that the last checkpoint took
    began: float = field(default_factory=time.perf_counter)
    last: float = field(default_factory=time.perf_counter)  # when the last checkpoint was written

    @property
    def seconds(self) -> float:
        """Seconds of all attempts, without those lost between a checkpoint and a kill."""
        return self.spent + time.perf_counter() - self.began

    def go(self, going: Iterator[Round], note: Callable[[Round], None], memory: SiteState) -> None:
        """Record every round, and write checkpoints. Raises Stopped, after a last checkpoint, if a signal arrives."""
        home = self.work.home
        if home is None:
            for here in going:
                note(here)
            return
        try:
            with finishing() as signalled:
                self.go_on(going, note, memory, home, signalled)
        except Stopped as stopped:
            raise Stopped(stopped.number, self.how_far) from None

    def go_on(
        self, going: Iterator[Round], note: Callable[[Round], None], memory: SiteState, home: Path, signalled: Asked
    ) -> None:
        """`go` with a working folder."""
        try:
            for here in going:
                note(here)
                report_progress(home, here.number, self.work.rounds)
                if here.saved is not None and (signalled.number or self.due(here.number)):
                    self.save(home, here.number, here.saved(), memory)
                if signalled.number:
                    raise Stopped(signalled.number)
        except Refused:  # the processes of a crew may have been ended by the same signal
            if signalled.number:
                raise Stopped(signalled.number) from None
            raise

    @property
    def how_far(self) -> str:
        """A sentence that says what is saved."""
        if not self.link.number:
            return f"Nothing of run {self.work.run} is kept"
        return f"Run {self.work.run} has a checkpoint after round {self.round} of {self.work.rounds}"

    def due(self, number: int) -> bool:
        """Whether a checkpoint is written after this round."""
        asked = self.work.asked
        if 0 < asked.checkpoint_rounds <= number - self.round:
            return True
        rest = max(asked.checkpoint_seconds, self.cost / SHARE)
        return asked.checkpoint_seconds > 0 and time.perf_counter() - self.last >= rest

    def save(self, home: Path, number: int, saved: Saved, memory: SiteState) -> None:
        """Write the checkpoint of a round. Raises Refused if the disk does not allow it; earlier checkpoints remain."""
        moment = time.perf_counter()
        with stage("checkpoints"):
            about = {"round": number, "started": self.started, "seconds": self.seconds}
            records = part_since(self.ledger, saved.told, self.written)
            try:
                link = write(home, self.work.run, self.link, self.state(saved, memory), records, about)
            except OSError as error:
                raise Refused(
                    f"{home}: the checkpoint after round {number} could not be written ({error.strerror}). "
                    f"{self.how_far}. Free space and give the same command again; results.checkpoint_seconds=0 and "
                    "results.checkpoint_rounds=0 write none."
                ) from error
        self.link, self.written, self.round = link, mark(self.ledger, saved.told), number
        self.last = time.perf_counter()
        self.cost = self.last - moment

    def state(self, saved: Saved, memory: SiteState) -> dict[str, Array | Streamed]:
        """The standing, the state of the sites, and the models that are saved."""
        sites = {
            SITES + name: Streamed(array.shape[1:], array.dtype, memory.blocks(name))
            for name, array in memory.arrays.items()
        }
        standing = {TRAINING + name: part for name, part in saved.arrays.items()}
        return {**standing, **{KEPT + name: part for name, part in kept_arrays(self.ledger.kept).items()}, **sites}


def begun(work: Work, started: str, memory: SiteState) -> Attempt:
    """The run as its last valid checkpoint left it, or its start.

    Reports on the terminal after which round it continues, and which checkpoints were set aside.
    """
    if work.home is None:
        return Attempt(work, started)
    found, wrong = newest(work.home, work.run)
    console = Terminal(stderr=True, highlight=False)
    for line in wrong:
        console.print(f"Run {work.run}: {line}", markup=False, soft_wrap=True)
    if found is None:
        return Attempt(work, started)
    attempt = read(work, found, memory)
    console.print(f"Run {work.run} goes on after round {attempt.round}.", markup=False, soft_wrap=True)
    return attempt


def read(work: Work, found: Checkpoint, memory: SiteState) -> Attempt:
    """The run as a checkpoint left it; restores the state of the sites."""
    ledger, told = Ledger(), list[Floats]()
    for part in found.records:
        add_part(ledger, told, arrays(part))
    ledger.kept = read_kept(arrays(found.path, KEPT))
    for name in memory.arrays:
        memory.restore(name, array(found.path, SITES + name))
    return Attempt(
        work,
        started=found.about["started"],
        spent=found.about["seconds"],
        since=Saved(arrays(found.path, TRAINING), told),
        ledger=ledger,
        link=found.link,
        written=mark(ledger, told),
        round=found.about["round"],
    )
