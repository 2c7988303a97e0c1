"""What each role of a run did, as sentences for its record."""

from sim.engine.attackers import attackers
from sim.engine.executors import Executor, InProcess, OnRay, cores
from sim.engine.simulation import Simulation
from sim.methods.personal.base import OwnModel
from sim.methods.roles import Roles, named


def told(plan: Simulation) -> dict[str, str]:
    """What each role of a simulation did, as sentences."""
    members, itemsize = plan.federation.members, plan.federation.x.itemsize
    said = in_words(plan.roles, plan.shared, plan.task.layout.size, itemsize, len(members))
    if plan.roles.attack.on:
        bad = attackers(plan.roles.attack, plan.federation, plan.seed)
        said["attack"] = f"{named(plan.roles.attack)}: {', '.join(plan.federation.sites[site] for site in bad)}"
        if more := plan.roles.attack.told(plan.roles.system.uploads(len(members)), len(bad)):
            said["attack"] += f"; {more}"
    return said


def in_words(roles: Roles, shared: int, parameters: int, itemsize: int, members: int) -> dict[str, str]:
    """What each role does in this federation, for the run's record; roles at their neutral value are left out.

    `shared` of the network's parameters are sent, in numbers of `itemsize` bytes; `members` sites train.
    """
    asked = roles.system.uploads(members)
    dense, sent = Roles(roles.algorithm).bytes_up(shared, itemsize), roles.bytes_up(shared, itemsize, asked)
    sent_as = ", ".join(named(one) for one in roles.uplink)
    said = {"uplink": f"{sent_as}: {sent} of {dense} bytes per upload"} if roles.uplink else {}
    if roles.aggregator.whole:
        counts = "counts every site the same" if roles.aggregator.equal else "weighs uploads"
        said["aggregator"] = f"{named(roles.aggregator)}: sees single uploads and {counts}"
    if roles.system.holds:
        said["system"] = f"{named(roles.system)}: {roles.system.uploads(members)} uploads in an update"
    if roles.personal.on:
        kept = parameters if roles.personal.adapted else parameters - shared or parameters
        role = roles.algorithm if type(roles.personal) is OwnModel else roles.personal
        said["personal"] = f"{named(role)}: {kept} parameters of its own at every site"
    return said


def threads(executor: Executor) -> int:
    """Threads, or actors with a core each, that train at once."""
    if isinstance(executor, OnRay):
        return executor.workers
    return (executor.threads if isinstance(executor, InProcess) else 1) or cores()
