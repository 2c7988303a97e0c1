"""One-shot federated learning: sites train alone until the end and send their models once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import ClassVar

import numpy as np

from sim.arrays import Ints
from sim.checks import Refused
from sim.engine.aggregation import average, totalled, waited
from sim.engine.executors import Crew
from sim.engine.loops import OwnLoop
from sim.engine.messages import Candidates
from sim.engine.scoring import judged
from sim.engine.simulation import Diverged, Round, Saved, Simulation
from sim.engine.sites_alone import alone
from sim.engine.traffic import control
from sim.lazy import Tensor, torch
from sim.methods.contract import OWN
from sim.methods.personal import Private
from sim.methods.roles import Roles
from sim.methods.systems.sync import Sync
from sim.profiling import stage


class How(Enum):
    """What the server does with the sites' models."""

    average = "average"  # one model, the mean of all with the weights of the experiment
    ensemble = "ensemble"  # all are kept, and their predictions averaged, each counting the same


@dataclass
class OneShot(OwnLoop):
    """One-shot federated learning: every site trains alone and sends its model to the server once, at the end.

    Source: Guha, Talwalkar, Smith, One-Shot Federated Learning, arXiv 1902.11175, 2019.
    Rule: `w_i` is the model after `rounds` times the local steps from a common initial model; `how=average`: `w = sum_i
    p_i w_i`; `how=ensemble`: `f(x) = 1/N sum_i f(x; w_i)`, the mean of the predicted scores, and its loss is `-log(1/N
    sum_i exp(-loss_i))`.
    Values: the paper's ensembles use all models or the best by validation; here all. With rounds=1 the average is one
    round of FedAvg. Sites take as many local steps as FedAvg does in the same number of rounds.
    Pitfalls: averaging models with different initial values is meaningless; averaging hidden layers after many steps is
    shown but not recommended in one-shot papers; the download of ensembles is often not counted. Here the initial model
    is sent down once, every model is sent up once, and with how=ensemble all N models are sent down to all N sites.
    """

    axes: ClassVar[frozenset[str]] = frozenset({"system"})

    how: How = How.average

    def roles(self, beside: Roles) -> Roles:
        """FedAvg of which nothing leaves the site before the end."""
        return Roles(personal=Private(), weighting=beside.weighting, system=beside.system)

    @property
    def messages(self) -> tuple[str, str]:
        """The start once, and with an ensemble all models once; one model up at the end."""
        return "1 in all" if self.how is How.average else "1 + sites in all", "1 in all"

    def fits(self, plan: Simulation) -> None:
        """Refuse systems in which not all sites take part in every round."""
        system = plan.roles.system
        whole = isinstance(system, Sync) and system.uploads(1) <= 1 and not system.dropout and not system.deadline
        if not whole:
            raise Refused(
                "algorithm=oneshot: sites train alone until the end, so no site can miss a round. "
                "Set system=sync with system.sites=0, system.dropout=0 and system.deadline=0."
            )

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """The start, rounds in which nothing is sent, and the last one."""
        self.fits(plan)
        x = plan.standing().x
        yield self.scored(plan, crew, Round(0, x), x[None])
        yield from self.trained(plan, crew, 0)

    def rounds_after(self, plan: Simulation, crew: Crew, since: Saved) -> Iterator[Round]:
        """The same from the models of a round, which the sites keep."""
        return self.trained(plan, crew, int(since.arrays["number"]))

    def trained(self, plan: Simulation, crew: Crew, over: int) -> Iterator[Round]:
        """Rounds after those that are `over`."""
        x, members = plan.standing().x, plan.federation.members
        size = len(x) * x.element_size()
        down = len(members) * size if self.how is How.ensemble else 0
        system, profile = plan.roles.system, replace(plan.profile, bytes_down=size, bytes_up=size + down)
        each = float((system.slowness(profile) * profile.steps)[members].max())
        for number in alone(plan, crew, x.numpy(), 1.0, over):
            last = number == plan.rounds
            here = Round(
                number,
                x,
                seconds=number * each + (system.travel(profile) if last else 0.0),
                bytes_down=(len(members) * size if number == 1 else 0) + (len(members) * down if last else 0),
                bytes_up=len(members) * size if last else 0,
                bytes_control=control(len(members)) if number == 1 else 0,
                sites=len(members) if last else 0,
                saved=partial(Saved, {"number": np.array(number)}),
            )
            yield self.ended(plan, crew, here, x, members) if last else here

    def ended(self, plan: Simulation, crew: Crew, here: Round, x: Tensor, members: Ints) -> Round:
        """The last round, with what the server makes of the sites' models."""
        own = torch.from_numpy(crew.memory.read(members, names=[OWN])[OWN])
        weights = plan.weights({})
        orders = waited(plan, members, weights)
        sent = {"delta": own - x}
        totals = [totalled(sent, np.searchsorted(members, order.sites), order.weights) for order in orders]
        step = average(totals, float(weights[members].sum()), plan.dtype)["delta"]
        norm = float(step.double().norm())
        if not np.isfinite(norm):
            raise Diverged(here.number, "a site's model is not finite; lower local.lr")
        if self.how is How.average:
            own = (x + step)[None]
        return self.scored(plan, crew, replace(here, step_norm=norm), own)

    def scored(self, plan: Simulation, crew: Crew, here: Round, models: Tensor) -> Round:
        """The round with its models [J, P] evaluated: the only one, or the mean of the predictions of all."""
        if self.how is How.average:
            with stage("evaluation"):
                metrics = crew.judge(Candidates(models.numpy()))
            return judged(plan, replace(here, model=models[0]), {"shared": metrics}, models[0].numel())
        mixture = np.full((1, len(models)), 1 / len(models))
        with stage("evaluation"):
            metrics = crew.judge(Candidates(models.numpy(), mixture=mixture))
        down = 0 if here.number else models.numel()  # all models have come down already after the last round
        return judged(plan, replace(here, model=models, mixture=mixture), {"ensemble": metrics}, down)
