"""Clustered federated learning by splits: one model, until its sites' updates disagree."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.checks import Refused, within
from sim.engine.aggregation import arrived
from sim.engine.clusters import only, scored, stacked
from sim.engine.executors import Crew
from sim.engine.loops import OwnLoop
from sim.engine.rounds import advance
from sim.engine.saved import read_several, several_arrays, ticks_after
from sim.engine.simulation import Round, Saved, Simulation, Standing
from sim.engine.traffic import control
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.roles import Roles
from sim.methods.systems.base import Tick


@dataclass
class SeenSingly(Algorithm):
    """FedAvg whose server sees single uploads."""

    whole_uploads = True


@dataclass
class CFL(OwnLoop):
    """Clustered federated learning: FedAvg in one cluster, which the server splits in two once it has converged.

    Source: Sattler, Mueller, Samek, Clustered Federated Learning, TNNLS 2020, Algorithms 1 and 2.
    Rule: cluster c is split after a round with `|sum_i p_i Delta_i| < eps1`, `max_i |Delta_i| > eps2` and `gamma <
    sqrt((1 - a) / 2)`, into the two parts for which the largest cosine similarity a between an update of one part and
    of the other is smallest; both continue from the model of c. Norms are divided by lr times the local steps (with
    momentum |a_i|_1 of Wang et al. 2020), so the thresholds are norms of gradients, as in the paper's theory,
    independent of lr and K: `|sum p_i Delta_i| / (lr sum p_i K_i)` and `|Delta_i| / (lr K_i)`.
    Values: eps1 a quarter of eps2 or less; the authors' code has 0.4 and 1.6 for undivided norms of its own networks,
    and no split before round 20 [M]. At convergence, sites with a few hundred randomly assigned patients differ by
    gradients of 0.1 to 0.25 on our logistic tasks. gamma in [0, 1), 0 = split whatever the similarity.
    Pitfalls: undivided norms, whose thresholds have another meaning for every lr and K; the authors' code splits by
    complete linkage, which need not find the smallest cross similarity (removing the weakest edge of the maximum
    spanning tree does) [M]; splits based on updates of different rounds. A cluster is only considered after a round in
    which all its sites answered, so `system.sites` must be 0.
    """

    axes: ClassVar[frozenset[str]] = frozenset({"uplink", "attack", "server", "system"})

    eps1: float = 0.05  # >= 0, norm of the mean gradient below which a cluster has converged
    eps2: float = 0.3  # >= 0, norm of a site's gradient above which the sites disagree
    gamma: float = 0.0  # [0, 1), error of updates relative to gradients; above 0, only dissimilar parts separate

    def __post_init__(self) -> None:
        within("algorithm.eps1", self.eps1, 0)
        within("algorithm.eps2", self.eps2, 0)
        within("algorithm.gamma", self.gamma, 0, 1, open_high=True)

    def roles(self, beside: Roles) -> Roles:
        """FedAvg, with uploads that the server can compare."""
        return replace(beside, algorithm=SeenSingly())

    def fits(self, plan: Simulation) -> None:
        """Refuse systems under which a cluster is never complete."""
        members = len(plan.federation.members)
        if plan.roles.system.uploads(members) < members:
            raise Refused(
                "algorithm=cfl compares the updates of all sites of a cluster, but the system asks only some of them "
                "in a round. Set system=sync and system.sites=0."
            )

    @property
    def messages(self) -> tuple[str, str]:
        """The model of the site's cluster, both ways."""
        return "1", "1"

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """One standing for each cluster; their number grows. Models of a round: [J, P]."""
        self.fits(plan)
        models, members = [plan.standing()], plan.federation.members
        of = np.zeros(len(plan.federation.sites), np.int64)  # cluster of every site
        yield scored(plan, crew, Round(0, stacked(models)), of[members])
        yield from self.trained(plan, crew, models, of, [])

    def rounds_after(self, plan: Simulation, crew: Crew, since: Saved) -> Iterator[Round]:
        """The same from the standings of a round, and the clusters of its sites."""
        return self.trained(plan, crew, read_several(since.arrays), np.array(since.arrays["of"]), list(since.told))

    def trained(
        self, plan: Simulation, crew: Crew, models: list[Standing], of: Ints, told: list[Floats]
    ) -> Iterator[Round]:
        """Rounds of clusters that are there; `of` is that of every site, [S]."""
        members = plan.federation.members

        def losses(sites: Ints) -> Floats:
            return clustered_losses(crew, models, of[sites], sites)

        for tick in ticks_after(models[0].number, plan.ticks, losses, told):
            parts = [only(tick, of[tick.start] == at) for at in range(len(models))]
            moved = [advance(plan, crew, one, part) for one, part in zip(models, parts, strict=True)]
            models[:] = [here for here, _ in moved]
            for at, part in enumerate(parts):
                leaving = self.split(plan, crew, models[at], part, int((of[members] == at).sum()))
                if len(leaving):
                    of[leaving] = len(models)
                    models.append(models[at])
            done = Round(
                models[0].number,
                stacked(models),
                seconds=tick.seconds,
                bytes_down=plan.profile.bytes_down * len(tick.asked),
                bytes_up=plan.profile.bytes_up * len(tick.arrive) + tick.told,
                bytes_control=control(len(tick.asked)),
                sites=len(tick.arrive),
                step_norm=float(np.linalg.norm([part.step_norm for _, part in moved])),
                saved=lambda: Saved(several_arrays(models) | {"of": of}, told),
            )
            yield scored(plan, crew, done, of[members]) if plan.due(done.number) else done

    def split(self, plan: Simulation, crew: Crew, here: Standing, part: Tick, size: int) -> Ints:
        """Sites that leave a cluster of `size` after its part of a round; none if it is not split."""
        if len(part.arrive) < max(size, 2):
            return part.arrive[:0]
        sent = arrived(plan, crew, part)["delta"].double()
        weights = plan.weights(here.state)[part.arrive]
        way = plan.training.rate(here.number) * plan.training.norm(part.steps)
        p = weights / weights.sum()
        mean = float(torch.from_numpy(p).matmul(sent).norm()) / float(p @ way)
        if not (mean < self.eps1 and (sent.norm(dim=1).numpy() / way).max() > self.eps2):
            return part.arrive[:0]
        leaving, cross = bipartition(cosines(sent))
        return np.asarray(part.arrive[leaving & (self.gamma < np.sqrt(max(1 - cross, 0.0) / 2))])


def clustered_losses(crew: Crew, models: list[Standing], of: Ints, sites: Ints) -> Floats:
    """Loss of every site under the model of its cluster `of`; [C], [C] -> [C]."""
    loss = np.zeros(len(sites))
    for at in np.unique(of):
        loss[of == at] = crew.losses(models[at].x.numpy(), sites[of == at])
    return loss


def cosines(sent: Tensor) -> Floats:
    """Cosine similarity of every two updates, 0 with one that is zero; [M, P] -> [M, M]."""
    unit = torch.nn.functional.normalize(sent, dim=1)
    return np.asarray((unit @ unit.T).numpy())


def bipartition(similar: Floats) -> tuple[Bools, float]:
    """The two parts with the least largest similarity across them, and that similarity; [M, M] -> bool [M].

    They are what is left of a maximum spanning tree without its weakest edge: Sattler et al. 2020, Algorithm 1.
    """
    size = len(similar)
    outside, nearest, parent = np.arange(size) > 0, similar[0].copy(), np.zeros(size, np.int64)
    joined: list[int] = []
    for _ in range(size - 1):
        new = int(np.where(outside, nearest, -np.inf).argmax())
        joined.append(new)
        outside[new] = False
        closer = outside & (similar[new] > nearest)
        nearest[closer], parent[closer] = similar[new][closer], new
    cut = min(joined, key=lambda at: float(nearest[at]))
    part = np.zeros(size, bool)
    for at in joined:
        part[at] = at == cut or part[parent[at]]
    return part, float(nearest[cut])
