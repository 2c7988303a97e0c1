"""Everything that can be refused is refused before the first run: data are prepared and tiers chosen for every cell."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from sim.checks import Refused
from sim.config.experiment import Experiment, refuse_endless
from sim.engine.loops import OwnLoop
from sim.progress import bar
from sim.run.room import refuse_records
from sim.run.run import Prepared, footing, prepare, simulation

Preparing = Callable[[Experiment], Prepared]

KEPT_BYTES = 2**30  # of prepared data that a sweep keeps from the check to its runs; the rest is prepared again


class PreparedCache:
    """Prepared data by footing: those of the last footing always, of others while they fit into `room` bytes."""

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.held: dict[str, Prepared] = {}
        self.last = ""

    def __call__(self, experiment: Experiment) -> Prepared:
        """What was prepared for this footing, or is prepared now."""
        wanted = footing(experiment)
        if wanted not in self.held:
            if sum(map(size, self.held.values())) > self.room:
                self.held.pop(self.last, None)  # before the next is made, so that there is room for it
            self.held[wanted] = prepare(experiment)
        self.last = wanted
        return self.held[wanted]

    def forget(self, experiment: Experiment) -> None:
        """Give back the memory of a footing whose runs are over."""
        self.held.pop(footing(experiment), None)


def size(prepared: Prepared) -> int:
    """Bytes of a cohort's table and of the features that networks see."""
    return int(prepared.cohort.table.memory_usage().sum() + prepared.federation.x.nbytes)


def refuse_unfit(experiment: Experiment, prepared: Prepared) -> None:
    """Refuse what the data forbid: a tier, too few sites, more steps or records than there is time or room for."""
    plan, federation = simulation(experiment, prepared), prepared.federation
    _ = plan.choice
    method = experiment.algorithm
    if isinstance(method, OwnLoop):
        method.fits(plan)
    if method.exchanges:
        next(plan.ticks(partial(np.zeros_like, dtype=np.float64)))
    if experiment.evaluation.stop and method.exchanges and not federation.rows_of("valid").any():
        raise Refused(
            f"evaluation.stop={experiment.evaluation.stop}: no site has validation rows, so that no loss says when to "
            "stop. Set evaluation.stop=0, or split.valid above 0."
        )
    members = federation.rows[federation.members]
    each = np.ones(len(members)) if experiment.local.steps else experiment.local.batches(members)
    refuse_endless(experiment.rounds, experiment.local, float(each.sum()), f"{len(members)} sites")
    refuse_records(experiment, len(federation.sites))


def checked(cells: Sequence[tuple[str, Experiment]], room: int = KEPT_BYTES) -> PreparedCache:
    """The prepared data of all cells, each with its name; a wrong cell is refused by name.

    Each footing is prepared once, and kept for the runs as far as there is room.
    """
    cache = PreparedCache(room)
    with bar(f"checking {len(cells)} runs before the first", len(cells)) as watch:
        for number, (name, experiment) in enumerate(cells, 1):
            try:
                refuse_unfit(experiment, cache(experiment))
            except Refused as refusal:
                raise Refused(f"{name}: {refusal}" if name else str(refusal)) from None
            watch(number)
    return cache
