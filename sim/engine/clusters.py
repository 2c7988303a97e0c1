"""Clustered federated learning (IFCA): several server models, each trained by the sites that it fits best."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints
from sim.checks import Refused, within
from sim.engine.executors import Crew
from sim.engine.loops import OwnLoop
from sim.engine.messages import Candidates
from sim.engine.rounds import advance
from sim.engine.saved import read_several, several_arrays, ticks_after
from sim.engine.scoring import judged
from sim.engine.simulation import Round, Saved, Simulation, Standing
from sim.engine.traffic import control
from sim.lazy import Tensor, torch
from sim.methods.systems.base import Tick
from sim.profiling import stage
from sim.random import key

NUMBER = 4  # bytes in which a site tells its cluster


@dataclass
class IFCA(OwnLoop):
    """IFCA: several server models, each trained by the sites that it fits best.

    Source: Ghosh, Chung, Yin, Ramchandran, An Efficient Framework for Clustered Federated Learning, NeurIPS 2020,
    Algorithm 1, option II.
    Rule: `j_k = argmin_j F_k(theta_j)` over the site's training rows; site k trains `theta_(j_k)`, and the server
    averages the uploads of each cluster separately. A site deploys the model that fits it best.
    Values: clusters 2 to 4 in the paper. With one cluster this is FedAvg.
    Pitfalls: all J models are sent down to every asked site (and counted); a cluster that no site chooses keeps its
    model; models with equal initial values never separate; the paper restarts several times from other initial values,
    which a run here does not.
    """

    axes: ClassVar[frozenset[str]] = frozenset({"uplink", "attack", "aggregator", "server", "system"})

    clusters: int = 2  # >= 1

    def __post_init__(self) -> None:
        within("algorithm.clusters", self.clusters, 1)

    @property
    def messages(self) -> tuple[str, str]:
        """All models down, one up."""
        return str(self.clusters), "1"

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """One standing for each cluster, moved by the part of the tick that chose it. Models of a round: [J, P]."""
        models = starts(plan, "clusters", self.clusters)
        yield scored(plan, crew, Round(0, stacked(models)), fitting(crew, models, plan.federation.members))
        yield from self.trained(plan, crew, models, [])

    def rounds_after(self, plan: Simulation, crew: Crew, since: Saved) -> Iterator[Round]:
        """The same from the standings of a round."""
        return self.trained(plan, crew, read_several(since.arrays), list(since.told))

    def trained(self, plan: Simulation, crew: Crew, models: list[Standing], told: list[Floats]) -> Iterator[Round]:
        """Rounds of models that are there."""
        losses = partial(cheapest, crew, models)
        number = NUMBER if self.clusters > 1 else 0
        for tick in ticks_after(models[0].number, plan.ticks, losses, told):
            choice = fitting(crew, models, tick.start)
            moved = [advance(plan, crew, one, only(tick, choice == at)) for at, one in enumerate(models)]
            models[:] = [here for here, _ in moved]
            norm = float(np.linalg.norm([part.step_norm for _, part in moved]))
            done = Round(
                models[0].number,
                torch.stack([part.model for _, part in moved]),
                seconds=tick.seconds,
                bytes_down=self.clusters * plan.profile.bytes_down * len(tick.asked),
                bytes_up=(plan.profile.bytes_up + number) * len(tick.arrive) + tick.told,
                bytes_control=control(len(tick.asked)),
                sites=len(tick.arrive),
                step_norm=norm,
                used={site: used for _, part in moved for site, used in part.used.items()},
                saved=lambda: Saved(several_arrays(models), told),
            )
            due = plan.due(done.number)
            yield scored(plan, crew, done, fitting(crew, models, plan.federation.members)) if due else done


def starts(plan: Simulation, setting: str, number: int) -> list[Standing]:
    """Several initial models; refuses those that would be equal."""
    if number > 1 and plan.task.brings_start:
        raise Refused(
            f"algorithm.{setting}={number}: {type(plan.task.module).__name__} has initial values of its own, and "
            "models with equal initial values may never differ. Build it with device='meta', so that each model is "
            "drawn at random."
        )
    return [plan.standing(start(plan, at)) for at in range(number)]


def start(plan: Simulation, cluster: int) -> Tensor:
    """Model of a cluster before the first round; the first cluster's is that of every other method; [P]."""
    return plan.task.init(plan.seed if not cluster else key(plan.seed, "cluster", cluster) % 2**32)


def stacked(models: list[Standing]) -> Tensor:
    """All server models, [J, P]."""
    return torch.stack([here.x for here in models])


def costs(crew: Crew, models: list[Standing], sites: Ints) -> Floats:
    """Loss of every model over the training rows of some sites, [J, C]."""
    return np.stack([crew.losses(here.x.numpy(), sites) for here in models])


def cheapest(crew: Crew, models: list[Standing], sites: Ints) -> Floats:
    """Loss of the model that fits each site, [C]."""
    return np.asarray(costs(crew, models, sites).min(0))


def fitting(crew: Crew, models: list[Standing], sites: Ints) -> Ints:
    """The model with the lowest loss at each site, the first of ties; [C]."""
    return np.asarray(costs(crew, models, sites).argmin(0)) if len(models) > 1 else np.zeros(len(sites), np.int64)


def only(tick: Tick, some: NDArray[np.bool_]) -> Tick:
    """The part of a synchronous tick that concerns some of its sites; bool [C]."""
    start = tick.start[some]
    return replace(tick, start=start, steps=tick.steps[some], arrive=start, stale=tick.stale[some])


def scored(plan: Simulation, crew: Crew, here: Round, choice: Ints) -> Round:
    """The round with every site evaluated with its cluster's model; external sites use that of most sites."""
    federation = plan.federation
    of = np.full(len(federation.sites), np.bincount(choice).argmax())
    of[federation.members] = choice
    with stage("evaluation"):
        metrics = crew.judge(Candidates(here.model.numpy(), of))
    used = replace(here, deployed=lambda: here.model.numpy()[of])
    return judged(plan, used, {"cluster": metrics}, plan.shared)
