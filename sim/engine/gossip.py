"""Decentralised training: every site has a model and mixes it with those of its neighbours on a graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any, ClassVar

import numpy as np
import scipy

from sim.arrays import Floats, Ints
from sim.checks import Refused, within
from sim.engine.executors import Crew
from sim.engine.loops import OwnLoop
from sim.engine.messages import Broadcast, cut
from sim.engine.saved import ticks_after
from sim.engine.scoring import scored
from sim.engine.simulation import SCORED, Diverged, Round, Saved, Simulation
from sim.methods.contract import OWN
from sim.methods.personal import Private
from sim.methods.roles import Roles
from sim.methods.systems.base import Tick
from sim.methods.systems.sync import Sync
from sim.profiling import stage
from sim.random import stream

DRAWS = 100  # random graphs until one is connected


class Graph(Enum):
    """Which sites are neighbours."""

    ring = "ring"  # each site with the two beside it, in the order of their names
    complete = "complete"  # each with all
    star = "star"  # the first site with all
    erdos = "erdos"  # every pair with the same chance, drawn by seed until the graph is connected


class Mixing(Enum):
    """What is mixed: the paper's Algorithm 1 may exchange its lines 4 and 5."""

    after = "after"  # y_k <- sum_j W_kj (y_j + Delta_j): models are mixed after the local steps
    beside = "beside"  # y_k <- sum_j W_kj y_j + Delta_k: mixed while sites train


@dataclass
class Gossip(OwnLoop):
    """D-PSGD: every site trains its own model and replaces it by a mean over its neighbours and itself; no server.

    Source: Lian, Zhang, Zhang, Hsieh, Zhang, Liu, Can Decentralized Algorithms Outperform Centralized Algorithms?, NIPS
    2017, Algorithm 1.
    Rule: `y_k <- sum_j W_kj y_j - lr g_k(y_k)` (`mixing=beside`), or with the two exchanged, `mixing=after`; here `-lr
    g_k` is the change by all local steps of a round, Delta_k. W has Metropolis weights, `W_kj = 1 / (1 + max(deg_k,
    deg_j))` for neighbours and the rest on the diagonal: symmetric, rows and columns sum to 1.
    Values: ring and local.steps=1 in the paper; on a complete graph `mixing=after` is FedAvg with weighting=sites.
    Pitfalls: with weights 1 / (1 + deg_k), columns do not sum to 1, so that hubs count more; a model must be counted
    once for each neighbour that receives it. All sites have the same weight, whatever `weighting`. Sites that do not
    take part in a round are not neighbours in it. `consensus_distance` in sites.parquet is the distance of a site's
    model from the mean.
    """

    axes: ClassVar[frozenset[str]] = frozenset({"system"})

    graph: Graph = Graph.ring
    chance: float = 0.5  # (0, 1], probability of an edge with graph=erdos
    mixing: Mixing = Mixing.after

    def __post_init__(self) -> None:
        within("algorithm.chance", self.chance, 0, 1, open_low=True)

    def roles(self, beside: Roles) -> Roles:
        """FedAvg whose models stay where they are."""
        return Roles(personal=Private(), weighting=beside.weighting, system=beside.system)

    def fits(self, plan: Simulation) -> None:
        """Refuse a system in which one site trains at a time, and a random graph that is never connected."""
        if not isinstance(plan.roles.system, Sync):
            raise Refused("algorithm=gossip: neighbours mix their models in rounds. Set system=sync.")
        self.links(len(plan.federation.members), plan.seed)

    def links(self, sites: int, seed: int) -> Ints:
        """Edges of the graph over N sites, by their place among the members; [E, 2]."""
        others = np.arange(1, sites)
        if self.graph is Graph.star:
            return np.stack([0 * others, others], axis=1)
        if self.graph is Graph.ring:
            line = np.stack([others - 1, others], axis=1)
            return np.concatenate([line, [[0, sites - 1]]]) if sites > 2 else line
        pairs = np.stack(np.triu_indices(sites, 1), axis=1)
        if self.graph is Graph.complete:
            return pairs
        for draw in range(DRAWS):
            drawn = pairs[stream(seed, "graph", draw).random(len(pairs)) < self.chance]
            if scipy.sparse.csgraph.connected_components(metropolis(drawn, sites), directed=False)[0] == 1:
                return drawn
        raise Refused(
            f"algorithm.chance={self.chance:g}: none of {DRAWS} random graphs over {sites} sites was connected; set it "
            f"to {np.log(max(sites, 2)) / sites:.2g} or more, or graph=ring."
        )

    @property
    def messages(self) -> tuple[str, str]:
        """One model for each neighbour, both ways."""
        each = "2" if self.graph is Graph.ring else "a neighbour's"
        return each, each

    def first(self, plan: Simulation) -> Floats:
        """Models before the first round, the same everywhere; [S, P]."""
        return np.tile(plan.standing().x.numpy(), (len(plan.federation.sites), 1))

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """Rounds of the sites' own models; `model` is their mean."""
        self.fits(plan)
        crew.memory.fill({OWN: self.first(plan)})
        mean = own(crew, plan.federation.members).mean(0)
        yield judged(plan, crew, Round(0, like(mean, plan)))
        yield from self.mixed(plan, crew, 0, mean)

    def rounds_after(self, plan: Simulation, crew: Crew, since: Saved) -> Iterator[Round]:
        """The same from the models of a round, which the sites keep."""
        return self.mixed(plan, crew, int(since.arrays["number"]), since.arrays["mean"])

    def mixed(self, plan: Simulation, crew: Crew, over: int, mean: Floats) -> Iterator[Round]:
        """The rounds after the first `over` ones, which left this mean of the models [P]."""
        members, x = plan.federation.members, plan.standing().x
        links, size = self.links(len(members), plan.seed), len(x) * x.element_size()
        most = size * int(np.bincount(links.ravel(), minlength=1).max())
        profile = replace(plan.profile, bytes_down=most, bytes_up=most)
        plan.roles.fits(len(members))
        clock = partial(plan.roles.system.ticks, profile, plan.rounds)
        for number, tick in enumerate(ticks_after(over, clock, unknown, []), over + 1):
            before = own(crew, members)
            train(plan, crew, number, tick)
            after, active = own(crew, members), np.isin(members, tick.start)
            there = links[active[links].all(1)]
            w = metropolis(there, len(members))
            models = w @ after if self.mixing is Mixing.after else w @ before + (after - before)
            crew.memory.replace(members, {OWN: models.astype(plan.federation.x.dtype)})
            last, mean = mean, models.mean(0)
            norm = float(np.linalg.norm(mean - last))
            if not np.isfinite(norm):
                raise Diverged(number, "a site's model is not finite; lower local.lr")
            traffic = 2 * len(there) * size  # along every edge one model each way
            done = Round(
                number, like(mean, plan), tick.seconds, traffic, traffic, sites=len(tick.start), step_norm=norm
            )
            done = replace(done, saved=partial(saved, number, mean))
            yield judged(plan, crew, done) if plan.due(number) else done


def metropolis(links: Ints, sites: int) -> Any:
    """Metropolis weights of a graph, doubly stochastic; a sparse matrix [N, N] from edges [E, 2]."""
    degree = np.bincount(links.ravel(), minlength=sites)
    one, two = links.T
    weight = 1 / (1 + np.maximum(degree[one], degree[two]))
    rest = 1 - np.bincount(links.ravel(), np.repeat(weight, 2), minlength=sites)
    every = np.arange(sites)
    row, column = np.concatenate([one, two, every]), np.concatenate([two, one, every])
    w = scipy.sparse.csr_array(
        scipy.sparse.coo_array((np.concatenate([weight, weight, rest]), (row, column)), shape=(sites, sites))
    )
    assert np.allclose(w.sum(0), 1), "columns of W must sum to 1"
    assert np.allclose(w.sum(1), 1), "rows of W must sum to 1"
    return w


def train(plan: Simulation, crew: Crew, number: int, tick: Tick) -> None:
    """Local steps of the sites of a round, each on its own model."""
    if not len(tick.start):
        return
    steps = np.array(plan.profile.steps)
    steps[tick.start] = tick.steps
    orders = cut(tick.start, steps, np.ones(len(steps)), plan.work(steps), plan.training.chunk)
    with stage("training"):
        crew.train(Broadcast(number, plan.training.rate(number), plan.standing().x.numpy(), {}), orders)
    crew.memory.turn(tick.start)


def own(crew: Crew, members: Ints) -> Floats:
    """Models of the members in double precision, [N, P]."""
    return crew.memory.read(members, names=[OWN])[OWN].astype(np.float64)


def saved(number: int, mean: Floats) -> Saved:
    """What is needed to continue after a round, in addition to the sites' models."""
    return Saved({"number": np.array(number), "mean": mean})


def like(mean: Floats, plan: Simulation) -> Any:
    """A model of the precision of the run; [P]."""
    return plan.task.init(plan.seed).new_tensor(mean).to(plan.dtype)


def unknown(sites: Ints) -> Floats:
    """There is no common model, and so no loss of it; [C] -> [C]."""
    return np.full(len(sites), np.nan)


def judged(plan: Simulation, crew: Crew, here: Round) -> Round:
    """The round with the sites' own models evaluated, and the distance of each from their mean."""
    done, members = scored(plan, crew, here), plan.federation.members
    if not done.metrics:
        return done
    models = own(crew, members)
    far = np.full(len(plan.federation.sites), np.nan)
    far[members] = np.linalg.norm(models - models.mean(0), axis=1)
    metrics = {**done.metrics["personal"], "consensus_distance": np.repeat(far, len(SCORED))}
    return replace(done, metrics={"personal": metrics})
