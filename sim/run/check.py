"""Checks before the first run of a sweep: data are prepared and tiers chosen for every cell."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from sim.checks import Refused
from sim.cohort.tabular.giveaway import giveaways, in_words
from sim.cohort.tabular.source import GIVEAWAY
from sim.config.experiment import Experiment
from sim.config.limits import refuse_endless
from sim.engine.loops import OwnLoop
from sim.progress import bar
from sim.run.room import refuse_records
from sim.run.run import Prepared, footing, prepare, simulation
from sim.run.workload import seconds
from sim.terminal import Terminal

Preparing = Callable[[Experiment], Prepared]

KEPT_BYTES = 2**30  # prepared data that a sweep keeps from its checks to its runs; the rest is prepared again


class PreparedCache:
    """Prepared data by footing: always those of the last footing, and others as far as they fit into `room` bytes."""

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.held: dict[str, Prepared] = {}
        self.last = ""
        self.seconds: list[float] = []  # estimated for each checked cell

    def __call__(self, experiment: Experiment) -> Prepared:
        """The prepared data of this footing; prepares them if necessary."""
        wanted = footing(experiment)
        if wanted not in self.held:
            if sum(map(size, self.held.values())) > self.room:
                self.held.pop(self.last, None)  # before the next is made, so that there is room for it
            self.held[wanted] = prepare(experiment)
        self.last = wanted
        return self.held[wanted]

    def put(self, experiment: Experiment, prepared: Prepared) -> None:
        """Store data that were prepared elsewhere for this footing, replacing the last ones."""
        self.held.pop(self.last, None)
        self.last = footing(experiment)
        self.held[self.last] = prepared

    def forget(self, experiment: Experiment) -> None:
        """Release the memory of a footing whose runs have ended."""
        self.held.pop(footing(experiment), None)


def size(prepared: Prepared) -> int:
    """Bytes of a cohort's table and of the features that networks see."""
    return int(prepared.cohort.table.memory_usage().sum() + prepared.federation.x.nbytes)


def refuse_unfit(experiment: Experiment, prepared: Prepared) -> None:
    """Refuse settings that the data do not allow: a tier, too few sites, too many steps or records."""
    plan, federation = simulation(experiment, prepared), prepared.federation
    _ = plan.choice, plan.codes
    method = experiment.algorithm
    if isinstance(method, OwnLoop):
        method.fits(plan)
    if method.exchanges:
        next(plan.ticks(partial(np.zeros_like, dtype=np.float64)))
    if experiment.evaluation.stop and method.exchanges and not federation.rows_of("valid").any():
        raise Refused(
            f"evaluation.stop={experiment.evaluation.stop}: early stopping needs a validation loss, but no site has "
            "validation rows. Set evaluation.stop=0, or split.valid above 0."
        )
    members = federation.rows[federation.members]
    each = np.ones(len(members)) if experiment.local.steps else experiment.local.batches(members)
    refuse_endless(experiment.rounds, experiment.local, float(each.sum()), f"{len(members)} sites")
    refuse_records(experiment, len(federation.sites))


def checked(cells: Sequence[tuple[str, Experiment]], room: int = KEPT_BYTES) -> PreparedCache:
    """The prepared data of all cells, each with its name; a wrong cell is refused by name.

    Each footing is prepared once, and kept for the runs as far as there is room. Predictors that give the outcome away
    are reported on the terminal, once for all cells with the same data.
    """
    cache = PreparedCache(room)
    told: dict[tuple[str, ...], str] = {}
    with bar(f"checking {len(cells)} runs before the first", len(cells)) as watch:
        for number, (name, experiment) in enumerate(cells, 1):
            try:
                prepared = cache(experiment)
                refuse_unfit(experiment, prepared)
                cache.seconds.append(seconds(experiment, prepared))
                predictors = prepared.cohort.predictors[prepared.outcome]
                what = (prepared.cohort.notes.get(GIVEAWAY, "none"), prepared.outcome, *predictors)
                if what not in told:
                    told[what] = warning(experiment, prepared)
            except Refused as refusal:
                raise Refused(f"{name}: {refusal}" if name else str(refusal)) from None
            watch(number)
    for line in dict.fromkeys(filter(None, told.values())):
        Terminal(stderr=True, highlight=False).print(line, markup=False, soft_wrap=True)
    return cache


def warning(experiment: Experiment, prepared: Prepared) -> str:
    """Predictors of a table that alone almost determine the outcome, and the setting that excludes them; "" if none.

    It is reported before the first round, because training on the answer would waste hours.
    """
    cohort, outcome = prepared.cohort, prepared.outcome
    if cohort.notes.get(GIVEAWAY, "none") == "none":
        return ""
    found = giveaways(cohort.table, {outcome: cohort.outcomes[outcome]}, cohort.predictors[outcome])
    if not found:
        return ""
    left_out = ", ".join([*experiment.task.without, *found])
    return (
        f"May give outcome {outcome} away: {in_words(found)}. Where this is known only after the outcome, set "
        f"'task.without=[{left_out}]'."
    )
