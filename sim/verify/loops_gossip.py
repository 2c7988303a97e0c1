"""What is proved of decentralised training."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from sim.engine.gossip import Gossip, Graph, Mixing
from sim.engine.loops import OwnLoop
from sim.engine.simulation import Simulation
from sim.methods.contract import Weighting
from sim.methods.roles import Roles
from sim.verify.check import Check
from sim.verify.paths import response
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow

# Neighbours of six sites on each graph that is laid down.
NEIGHBOURS: dict[Graph, list[set[int]]] = {
    Graph.ring: [{(at - 1) % 6, (at + 1) % 6} for at in range(6)],
    Graph.complete: [set(range(6)) - {at} for at in range(6)],
    Graph.star: [set(range(1, 6)), *({0} for _ in range(5))],
}


def weights(neighbours: list[set[int]], active: set[int]) -> Array:
    """Metropolis weights among the sites of a round; the others keep their models; [N, N]."""
    near = [other & active if at in active else set() for at, other in enumerate(neighbours)]
    w = np.zeros((len(near), len(near)))
    for at, others in enumerate(near):
        for other in others:
            w[at, other] = 1 / (1 + max(len(near[at]), len(near[other])))
        w[at, at] = 1 - w[at].sum()
    return w


def by_hand(trial: Trial, graph: Graph, mixing: Mixing, start: Array) -> Array:
    """Lian et al. 2017, Algorithm 1, its lines 4 and 5 in either order; [T + 1, S, D]."""
    y = np.tile(start, (len(trial.steps), 1))
    path = [y]
    for tick in trial.ticks():
        moved = np.zeros_like(y)
        for site in tick.sites.tolist():
            q = response(trial.problem.curvature[site], trial.steps[site], tick.lr, trial.training.momentum)
            moved[site] = -q @ trial.problem.gradient(site, y[site])
        w = weights(NEIGHBOURS[graph], set(tick.sites.tolist()))
        y = w @ (y + moved) if mixing is Mixing.after else w @ y + moved
        path.append(y)
    return np.stack(path)


def apart(entry: type[OwnLoop], models: Array) -> type[Gossip]:
    """The class, with sites that start from models of their own, [S, D]."""

    class Apart(narrow(entry, Gossip)):  # type: ignore[misc]
        def first(self, plan: Simulation) -> Array:
            return models

    return Apart


def still(rounds: int) -> Trial:
    """Steps too short to be seen: models are mixed and nothing else."""
    trial = spatial(rounds)
    return replace(trial, training=replace(trial.training, lr=1e-300))


def distance(y: Array) -> Array:
    """Consensus distance, the norm of all models' distances from their mean; [T + 1, S, D] -> [T + 1]."""
    return np.asarray(np.linalg.norm(y - y.mean(1, keepdims=True), axis=(1, 2)))


def shrinks(graph: Graph, factor: float) -> Callable[[type[OwnLoop]], float]:
    """The error of a check that the distance is multiplied by `factor`, the second largest absolute eigenvalue of W."""

    def error(entry: type[OwnLoop]) -> float:
        values, vectors = np.linalg.eigh(weights(NEIGHBOURS[graph], set(range(6))))
        second = np.argsort(np.abs(values))[-2]
        models = np.outer(vectors[:, second], np.linspace(1, 2, 5)) + np.linspace(-1, 1, 5)
        y = still(8).used(apart(entry, models)(graph=graph))
        far = distance(y)
        kept = gap(y.mean(1), np.tile(models.mean(0), (9, 1)))
        return max(gap(far, far[0] * factor ** np.arange(9)), kept)

    return error


def of_gossip() -> Iterator[Check[OwnLoop]]:
    """D-PSGD."""
    whole = spatial(15, weighting=Weighting.sites, momentum=0.4)
    start = np.asarray(whole.plan(Roles()).standing().x.numpy())

    def complete(entry: type[OwnLoop]) -> float:
        used = whole.used(narrow(entry, Gossip)(graph=Graph.complete))
        return gap(used, replace(whole, first=tuple(start)).path(Roles())[:, None])

    yield Check("a complete graph is FedAvg of sites that count the same, any local steps", complete)
    some = replace(spatial(15, 4, momentum=0.4), training=replace(whole.training, decay=0.95, chunk=2))
    for graph, mixing in [(graph, mixing) for graph in NEIGHBOURS for mixing in Mixing]:

        def walks(entry: type[OwnLoop], graph: Graph = graph, mixing: Mixing = mixing) -> float:
            used = some.used(narrow(entry, Gossip)(graph=graph, mixing=mixing))
            return gap(used, by_hand(some, graph, mixing, start))

        yield Check(f"path of all models, {graph.value}, mixed {mixing.value} the steps, 4 of 6 sites", walks)
    for graph, factor in ((Graph.ring, 2 / 3), (Graph.star, 5 / 6)):
        words = f"without steps the distance shrinks by |lambda_2| = {factor:.4f}, {graph.value}"
        yield Check(words, shrinks(graph, factor))

    def agrees(entry: type[OwnLoop]) -> float:
        models = np.arange(30.0).reshape(6, 5) ** 1.5 / 50
        y = still(150).used(apart(entry, models)(graph=Graph.erdos, chance=0.4))
        return gap(y[-1], np.tile(models.mean(0), (6, 1)))

    yield Check("without steps all sites of a random graph come to the mean of where they began", agrees)

    def counted(entry: type[OwnLoop]) -> float:
        size, wrong = 8 * len(start), 0.0
        for graph, near in NEIGHBOURS.items():
            made = narrow(entry, Gossip)(graph=graph)
            down, up = whole.each(made, lambda here: (here.bytes_down, here.bytes_up))[1]
            wrong += abs(down - size * sum(map(len, near))) + abs(up - down)
        return wrong

    yield Check("a model to and from each neighbour", counted, 0.0)
