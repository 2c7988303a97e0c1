"""FedEM: every site's patients are a mixture of a few populations, each with its own model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from sim.arrays import Floats, Ints
from sim.checks import Refused, within
from sim.engine.clusters import costs, stacked, starts
from sim.engine.executors import Crew
from sim.engine.loops import OwnLoop
from sim.engine.messages import Candidates
from sim.engine.mixture import mean_mixture
from sim.engine.rounds import advance
from sim.engine.saved import read_several, several_arrays, ticks_after
from sim.engine.scoring import judged
from sim.engine.simulation import Round, Saved, Simulation, Standing
from sim.engine.traffic import control
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Local, Message, State
from sim.methods.roles import Roles
from sim.profiling import stage
from sim.tasks.task import Batch, Task, mean_over


@dataclass
class Component(Algorithm):
    """Training of one of J component models at the sites: steps on their rows, weighted by component probabilities."""

    in_time = True

    components: int = 1  # >= 1

    @property
    def site_state(self) -> Mapping[str, str]:  # type: ignore[override]
        """The site's share of each component."""
        return dict.fromkeys(shares(self.components), "")

    @property
    def server_state(self) -> Mapping[str, str]:  # type: ignore[override]
        """All component models of the round, and the number of the one that is trained."""
        return {**dict.fromkeys(models(self.components), "P"), "which": ""}

    @property
    def broadcast(self) -> tuple[str, ...]:  # type: ignore[override]
        """All of it."""
        return tuple(self.server_state)

    def objective(self, task: Task, v: Tensor, batch: Batch, at: Local) -> Tensor:
        """Mean over rows of `q_j loss(v)`, q by the models that were downloaded."""
        loss = torch.stack([task.row_losses(at.server[name], batch) for name in models(self.components)])
        share = torch.stack([at.site[name] for name in shares(self.components)])
        q = responsibilities(loss, share[:, None])
        mine = torch.index_select(q, 0, at.server["which"].long().reshape(1))[0]
        return mean_over(mine * task.row_losses(v, batch), batch.valid)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The change of the component; with that of the last one the site's shares are those of this round."""
        names, kept = shares(self.components), dict(at.site)
        if int(at.server["which"]) == self.components - 1:
            rated = [at.row_losses(at.server[name].expand_as(w)) for name in models(self.components)]
            real = rated[0][1]
            share = torch.stack([at.site[name] for name in names])  # [J, C]
            q = responsibilities(torch.stack([loss for loss, _ in rated]), share[:, :, None])
            new = (q * real).sum(2) / real.sum(1)
            kept |= dict(zip(names, new, strict=True))
        return {"delta": w - at.x}, {name: kept[name] for name in names}


def shares(components: int) -> list[str]:
    """Names of a site's shares."""
    return [f"share.{at}" for at in range(components)]


def models(components: int) -> list[str]:
    """Names of the component models in the broadcast."""
    return [f"component.{at}" for at in range(components)]


def responsibilities(loss: Tensor, share: Tensor) -> Tensor:
    """`q_j = pi_j exp(-loss_j) / sum_l pi_l exp(-loss_l)` of every row; loss [J, ...], share [J, ...] -> [J, ...]."""
    return torch.softmax(share.log() - loss, dim=0)


@dataclass
class FedEM(OwnLoop):
    """FedEM: J component models for all sites; a site weights each patient by component, and mixes predictions.

    Source: Marfoq, Neglia, Bellet, Kameni, Vidal, Federated Multi-Task Learning under a Mixture of Distributions,
    NeurIPS 2021, Algorithm 1.
    Rule: E-step at site k with the downloaded models: `q_ij` proportional to `pi_kj exp(-loss_i(theta_j))`, then `pi_kj
    = mean_i q_ij`. M-step: local SGD on `mean_i q_ij loss_i(theta_j)` for every j, from theta_j, on the same batches;
    the server averages each component separately. Site k predicts `sum_j pi_kj f(x; theta_j)`.
    Values: J = 3 in the paper; pi starts at 1 / J. With J = 1 this is FedAvg in the stacked tier.
    Pitfalls: J models are sent in both directions and J are trained, which comparisons at equal rounds hide (both are
    counted here; pi never leaves the site); components with equal initial values stay equal; q must not be computed
    from models that were already updated in this round. An external site has no pi of its own and uses the mean of the
    others', weighted by rows.
    """

    axes: ClassVar[frozenset[str]] = frozenset({"attack", "aggregator", "server", "system"})

    components: int = 3  # >= 1

    def __post_init__(self) -> None:
        within("algorithm.components", self.components, 1, 1000)

    def roles(self, beside: Roles) -> Roles:
        """Sites that train one component at a time."""
        return replace(beside, algorithm=Component(components=self.components))

    def fits(self, plan: Simulation) -> None:
        """Refuse a loss in which rows cannot be weighted."""
        if plan.task.whole_sites:
            raise Refused(
                f"algorithm=fedem weighs single rows, but the loss of {type(plan.task).__name__} is defined for all "
                "rows of a site together. Use task=hazard."
            )

    @property
    def messages(self) -> tuple[str, str]:
        """All components, both ways."""
        return str(self.components), str(self.components)

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """One standing for each component. Models of a round: [J, P]."""
        self.fits(plan)
        here, names = starts(plan, "components", self.components), shares(self.components)
        crew.memory.fill({name: np.full(1, 1 / self.components) for name in names})
        yield scored(plan, crew, Round(0, stacked(here)), names)
        yield from self.trained(plan, crew, here, [])

    def rounds_after(self, plan: Simulation, crew: Crew, since: Saved) -> Iterator[Round]:
        """The same from the standings of a round."""
        return self.trained(plan, crew, read_several(since.arrays), list(since.told))

    def trained(self, plan: Simulation, crew: Crew, here: list[Standing], told: list[Floats]) -> Iterator[Round]:
        """Rounds of components that are there, by the shares that the sites have."""
        number, size, names = self.components, plan.profile.bytes_up, shares(self.components)

        def losses(sites: Ints) -> Floats:
            """Mean over components of a site's loss, by its shares; [C]."""
            return np.asarray((mixture(crew, names, sites).T * costs(crew, here, sites)).sum(0))

        profile = replace(plan.profile, bytes_down=number * size, bytes_up=number * size)
        plan.roles.fits(len(profile.members))
        clock = partial(plan.roles.system.ticks, profile, plan.rounds)
        for tick in ticks_after(here[0].number, clock, losses, told):
            down = dict(zip(models(number), [one.x for one in here], strict=True))
            ready = [informed(one, down, at) for at, one in enumerate(here)]
            moved = [advance(plan, crew, one, tick) for one in ready]
            here[:] = [one for one, _ in moved]
            done = Round(
                here[0].number,
                stacked(here),
                seconds=tick.seconds,
                bytes_down=number * size * len(tick.asked),
                bytes_up=number * size * len(tick.arrive) + tick.told,
                bytes_control=control(len(tick.asked)),
                sites=len(tick.arrive),
                step_norm=float(np.linalg.norm([part.step_norm for _, part in moved])),
                saved=lambda: Saved(several_arrays(here), told),
            )
            yield scored(plan, crew, done, names) if plan.due(done.number) else done


def informed(one: Standing, down: State, which: int) -> Standing:
    """A component's standing with everything that its sites must know."""
    return replace(one, state={**one.state, **down, "which": torch.tensor(float(which), dtype=one.x.dtype)})


def mixture(crew: Crew, names: list[str], sites: Ints) -> Floats:
    """Shares of the components at some sites, [C, J]."""
    kept = crew.memory.read(sites, names=names)
    return np.concatenate([kept[name] for name in names], axis=1).astype(np.float64)


def scored(plan: Simulation, crew: Crew, here: Round, names: list[str]) -> Round:
    """The round with every site evaluated with its mixture of the models."""
    federation = plan.federation
    mine = mixture(crew, names, federation.members)
    mixed = np.tile(mean_mixture(mine, federation), (len(federation.sites), 1))
    mixed[federation.members] = mine
    with stage("evaluation"):
        metrics = crew.judge(Candidates(here.model.numpy(), mixture=mixed))
    return judged(plan, replace(here, mixture=mixed), {"mixture": metrics}, here.model.numel())
