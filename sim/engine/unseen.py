"""Models of sites that never trained, where the personal role says what they have in the place of a site's own."""

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused
from sim.engine.executors import Crew
from sim.engine.simulation import Simulation
from sim.lazy import Tensor, torch
from sim.methods.contract import OWN
from sim.methods.personal.base import Unseen
from sim.tasks.task import Task
from sim.tasks.training import with_statistics_of


def newcomer(plan: Simulation) -> Unseen | None:
    """Where a site that never trained has its model from; None = nowhere.

    With noise at the server, private parameters are averaged by nobody: no epsilon would count it.
    """
    return None if any(one.noises for one in plan.roles.uplink) else plan.roles.personal.newcomer


def welcome(plan: Simulation, crew: Crew, x: Tensor) -> int:
    """Give external sites their own parameters for a scoring beside the shared model x [P]; the bytes that it takes.

    The members' go up and their mean comes down to the external sites; statistics of a site's own rows do not travel.
    """
    rule, federation = newcomer(plan), plan.federation
    external = np.flatnonzero(federation.rows == 0)
    if rule is None or not len(external):
        return 0
    model = averaged(plan, crew.memory.read(federation.members, names=[OWN])[OWN], x)
    models = [settled(rule, plan.task, model, federation.x[slice(*federation.bounds[at, [0, -1]])]) for at in external]
    crew.memory.replace(external, {OWN: torch.stack(models).numpy()})
    stays = plan.task.layout.statistics if rule is Unseen.own else torch.zeros_like(plan.private)
    return int((plan.private & ~stays).sum()) * federation.x.itemsize * len(federation.sites)


def averaged(plan: Simulation, own: NDArray[np.floating], x: Tensor) -> Tensor:
    """The shared model x [P] with the mean of the members' private parameters, of those that have trained; [N, P].

    Sites weigh as in the server's mean. Before any has trained they have the common start.
    """
    private, start = plan.private.numpy(), plan.standing().x.numpy()
    moved = (own[:, private] != start[private]).any(1)
    share = plan.profile.share[plan.federation.members] * (moved if moved.any() else 1)
    mean = (share / share.sum()) @ own.astype(np.float64)
    return torch.where(plan.private, torch.from_numpy(mean).to(x.dtype), x)


def settled(rule: Unseen, task: Task, model: Tensor, x: NDArray[np.floating]) -> Tensor:
    """The model of a site that never trained, from the averaged one [P] and the site's rows [N, D].

    Refuses a single row where its statistics are asked for.
    """
    if rule is Unseen.average:
        return model
    if len(x) < 2:
        raise Refused(
            f"personal.unseen=own: a site that never trained has {len(x)} row, and statistics of its own rows take two "
            "at least. Give it more rows, or set personal.unseen=average."
        )
    return with_statistics_of(task, model, torch.from_numpy(x).to(model.dtype))
