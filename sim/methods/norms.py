"""Which axes can be combined with a network that has batch norm layers, and with running statistics that are sent."""

from sim.checks import Refused
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.attacks.base import Attack
from sim.methods.roles import Roles, named
from sim.methods.servers.base import Server
from sim.tasks.layout import Layout


def refuse_norms(roles: Roles, clips: bool, layout: Layout, private: Tensor) -> None:
    """Refuse methods that cannot train batch norm layers; clips: whether row gradients are clipped; private bool [P].

    Running statistics that are sent may only be averaged: a variance that is compressed, extrapolated or attacked may
    become negative.
    """
    if not layout.norms:
        return
    algorithm, kind = roles.algorithm, type(roles.algorithm)
    own_step = kind.direction is not Algorithm.direction or kind.begin is not Algorithm.begin or kind.batches != 1
    for wrong, reason, remedy in (
        (own_step or kind.objective is not Algorithm.objective, f"{named(algorithm)} has a step of its own", FEDAVG),
        (clips, "a row's gradient depends on the other rows of its batch", "Set local.clip=0 and local.noise=0"),
    ):
        if wrong:
            raise Refused(f"The network has batch norm layers, and {reason}. {remedy}, or net=mlp.")
    if not (layout.statistics & ~private).any():
        return
    own_mean = kind.upload is not Algorithm.upload or kind.server is not Algorithm.server
    for wrong, reason in (
        (own_mean, f"{named(algorithm)} takes more than the mean of the sites' changes"),
        (bool(roles.uplink), "the uplink changes what is sent"),
        (roles.server != Server(), f"{named_server(roles.server)} steps by a rule of its own"),
        (type(roles.attack).tamper is not Attack.tamper, f"{named(roles.attack)} sends what is no variance"),
        (roles.system.holds, f"{named(roles.system)} adds changes of older models"),
    ):
        if wrong:
            raise Refused(
                f"The running statistics of batch norm layers are sent and averaged, and {reason}. Keep them at the "
                "sites (personal=fedbn), or use net=mlp."
            )


FEDAVG = "Take algorithm=fedavg, fedprox or another with plain steps"


def named_server(server: Server) -> str:
    """A server optimiser as it is set in a config."""
    return f"server={type(server).__name__.lower()}" + (f", server.lr={server.lr:g}" if type(server) is Server else "")
