"""Each site alone: the reference for what it gains from the federation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused, within
from sim.engine.evaluation import Held, Metrics
from sim.engine.executors import Crew
from sim.engine.loops import Reference
from sim.engine.messages import Broadcast, Candidates, cut
from sim.engine.scoring import of_valid, without_external
from sim.engine.simulation import SCORED, Diverged, Round, Saved, Simulation
from sim.local.optimisers import site_state
from sim.methods.contract import OWN
from sim.methods.personal.base import Private
from sim.methods.roles import Roles, below
from sim.metrics.segments import segment_sum
from sim.profiling import stage

METRIC = "metric/"  # before the names of the metrics of the best models, where they are saved


@dataclass
class LocalOnly(Reference):
    """Every site trains alone, with as many steps as in the federation and its best learning rate and round.

    Source: the usual reference, as in FLamby (Ogier du Terrail et al., NeurIPS 2022 Datasets and Benchmarks).
    Rule: `w_i <- w_i - lr g_i(w_i)` at every site; nothing is sent.
    Values: learning rates 0.3, 1 and 3 times `local.lr` are tried, and each site's is chosen by validation loss, so
    that the reference is tuned as well as the methods.
    Pitfalls: without tuning of its own, local training looks worse than it is.
    """

    factors: list[float] = field(default_factory=lambda: [0.3, 1.0, 3.0])  # > 0; tried learning rates / local.lr

    def __post_init__(self) -> None:
        if not self.factors:
            raise Refused("algorithm.factors=[]: give at least one multiple of local.lr, for example [1.0].")
        for at, factor in enumerate(self.factors):
            within(f"algorithm.factors[{at}]", factor, 0, open_low=True)

    def roles(self, beside: Roles) -> Roles:
        """FedAvg of which nothing leaves the site."""
        return Roles(personal=Private(), weighting=beside.weighting)

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """Each site's own model.

        A site without validation rows (for Cox: events) uses the learning rate nearest to local.lr and the last round.
        """
        sites = len(plan.federation.sites)
        models = np.full((sites, plan.task.layout.size), np.nan, plan.federation.x.dtype)
        return self.tried(plan, crew, 0, 0, np.full(sites, np.inf), models, {})

    def rounds_after(self, plan: Simulation, crew: Crew, since: Saved) -> Iterator[Round]:
        """The same from the best models of a round, and the last ones, which the sites keep."""
        tried, over = since.arrays["tried"].tolist()
        best, models = np.array(since.arrays["best"]), np.array(since.arrays["models"])
        return self.tried(plan, crew, tried, over, best, models, below(since.arrays, METRIC))

    def tried(
        self,
        plan: Simulation,
        crew: Crew,
        first: int,
        over: int,
        best: NDArray[np.float64],
        models: NDArray[np.floating],
        chosen: Metrics,
    ) -> Iterator[Round]:
        """Rounds at the factors from `first` on, after the first `over` rounds; best [S] and models [S, P] so far."""
        x = plan.standing().x
        middle = min(self.factors, key=lambda factor: abs(np.log(factor)))
        watched = Held.of(plan.federation, ("valid",))
        seen = segment_sum(plan.task.informative(watched.y), watched.segment, watched.segments) > 0
        for tried, factor in list(enumerate(self.factors))[first:]:
            for number in alone(plan, crew, x.numpy(), factor, over if tried == first else 0):
                if plan.due(number):
                    with stage("evaluation"):
                        metrics = crew.judge(Candidates(x.numpy()[None], own=True))
                    blind = 0.0 if factor == middle and number == plan.rounds else np.inf
                    valid = np.where(seen, of_valid(metrics["loss"]), blind)
                    better = np.flatnonzero((valid < best) & (plan.federation.rows > 0))
                    models[better] = crew.memory.read(better, names=[OWN])[OWN]
                    take = np.repeat(valid < best, len(SCORED))
                    best = np.fmin(best, valid)  # a model that is no longer finite has a loss of NaN: never taken
                    chosen = {name: np.where(take, new, chosen.get(name, new)) for name, new in metrics.items()}
                names = {METRIC + name: part for name, part in chosen.items()}
                here = {"tried": np.array([tried, number]), "best": best, "models": models} | names
                yield Round((tried * plan.rounds + number) // len(self.factors), x, saved=partial(Saved, here))
        self.refuse_lost(plan, best, chosen)
        yield Round(plan.rounds, x, metrics={"local": without_external(plan, chosen)}, deployed=lambda: models)

    def refuse_lost(self, plan: Simulation, best: NDArray[np.float64], chosen: Metrics) -> None:
        """Raise Diverged if a site has no finite model; best [S]."""
        held = np.stack([plan.federation.rows_of(split) for split in SCORED], axis=1) > 0
        lost = np.isinf(best) | (held & ~np.isfinite(chosen["loss"].reshape(held.shape))).any(1)
        lost &= plan.federation.rows > 0
        if lost.any():
            names = ", ".join(np.array(plan.federation.sites)[lost][:5])
            why = f"alone, no rate kept a finite model at {names}; lower local.lr or algorithm.factors"
            raise Diverged(plan.rounds, why)


def alone(plan: Simulation, crew: Crew, x: NDArray[np.floating], factor: float, over: int = 0) -> Iterator[int]:
    """Rounds of every site alone from x [P], at `factor` times the federation's rate; the sites keep the models.

    The first `over` rounds left them there.
    """
    sites, steps = plan.federation.members, plan.profile.steps
    nothing = {name: np.zeros(size, x.dtype) for name, size in site_state(plan.training, len(x)).items()}
    if not over:
        crew.memory.fill({OWN: x} | nothing)
    orders = cut(sites, steps, np.ones(len(steps)), plan.work(steps), plan.training.chunk)
    for number in range(over + 1, plan.rounds + 1):
        with stage("training"):
            crew.train(Broadcast(number, factor * plan.training.rate(number), x, {}), orders)
        crew.memory.turn(sites)
        yield number
