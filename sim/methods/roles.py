"""The axes of one federated method taken together: their state, their messages, and which cannot be combined."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar

from sim.checks import Refused
from sim.lazy import Tensor, torch
from sim.methods.aggregators.base import Aggregator, Mean
from sim.methods.algorithms.base import Algorithm
from sim.methods.attacks.base import Attack
from sim.methods.contract import OWN, Role, State, Weighting, width
from sim.methods.personal.base import Adapted, OwnModel, Personal
from sim.methods.personal.finetune import FineTune
from sim.methods.servers.base import Server
from sim.methods.systems.base import System
from sim.methods.systems.sync import Sync
from sim.methods.uplink.base import Transform, Wire
from sim.methods.uplink.order import refuse_misfit, refuse_order, refuse_single_uploads, refuse_unbounded

Part = TypeVar("Part")
UP = "up."  # before the names under which a waiting upload is kept
AGGREGATOR, REPORTED = "aggregator.", "server."  # before what the one keeps, vector by vector, and the other is sent


@dataclass(frozen=True)
class Roles:
    """One value for each axis; the defaults are FedAvg."""

    algorithm: Algorithm = field(default_factory=Algorithm)
    uplink: tuple[Transform, ...] = ()
    attack: Attack = field(default_factory=Attack)
    aggregator: Aggregator = field(default_factory=Mean)
    server: Server = field(default_factory=Server)
    personal: Personal = field(default_factory=Personal)
    system: System = field(default_factory=Sync)
    weighting: Weighting = Weighting.patients

    def __post_init__(self) -> None:
        """An algorithm that is evaluated by the sites' own models sets the personal role, unless one is set."""
        if self.personal == Personal():
            object.__setattr__(self, "personal", brought(self.algorithm))

    @property
    def whole(self) -> bool:
        """Whether the server must see single uploads, which are then stored with the sites' state instead of summed."""
        return self.aggregator.whole or self.attack.on or self.system.holds or self.algorithm.whole_uploads

    @property
    def vectors(self) -> list[str]:
        """Vectors of the message."""
        return [name for name, shape in self.algorithm.sends.items() if shape == "P"]

    def encoders(self, vector: str) -> Iterator[tuple[str, Transform]]:
        """Transforms of a vector in order, each with the prefix of its state and scalars."""
        return ((f"uplink.{at}.{vector}.", transform) for at, transform in enumerate(self.uplink))

    def reach(self, vector: str, size: int, state: State) -> float:
        """Largest norm of one upload of a vector of so many entries after the uplink; inf where nothing bounds it."""
        reach = math.inf
        for prefix, one in self.encoders(vector):
            reach = one.reach(reach, size, below(state, prefix))
        return reach

    @property
    def bounded(self) -> bool:
        """Whether a bound is known on the norm of every vector of an upload."""
        start = {name: torch.zeros(shape) for name, shape in self.server_state(1, 1, 1).items()}
        return all(math.isfinite(self.reach(vector, 1, start)) for vector in self.vectors)

    def least(self, asked: int) -> int:
        """Minimum number of uploads for an update, given the number of asked sites."""
        return max([self.aggregator.least, *(one.least(asked) for one in self.uplink)])

    def sends(self) -> dict[str, str]:
        """All parts of the message by shape: the algorithm's, and the scalars of uplink and server optimiser."""
        scalars = {
            prefix + name: "" for vector in self.vectors for prefix, one in self.encoders(vector) for name in one.sends
        }
        return {**self.algorithm.sends, **scalars, **{REPORTED + name: "" for name in self.server.sends}}

    @property
    def scalar_bits(self) -> dict[str, int]:
        """Bits of the scalars that are smaller than a number of the message's precision, by name."""
        return {
            prefix + name: bits
            for vector in self.vectors
            for prefix, one in self.encoders(vector)
            for name, bits in one.scalar_bits.items()
        }

    def site_state(self, size: int, shared: int) -> dict[str, int]:
        """Numbers that each site keeps, by name; P parameters, of which `shared` are sent."""
        keeps = {name: width(shape, size) for name, shape in self.algorithm.site_state.items()}
        for vector in self.vectors:
            for prefix, one in self.encoders(vector):
                keeps |= {prefix + name: width(shape, shared) for name, shape in one.site_state.items()}
        if self.personal.on:
            keeps[OWN] = size
        if self.whole:
            keeps |= {UP + name: width(shape, shared) for name, shape in self.sends().items()}
        return keeps

    @property
    def site_numbers(self) -> set[str]:
        """Names of what a site keeps as a single number."""
        names = {name for name, shape in self.algorithm.site_state.items() if shape == ""}
        for vector in self.vectors:
            for prefix, one in self.encoders(vector):
                names |= {prefix + name for name, shape in one.site_state.items() if shape == ""}
        return names

    def server_state(self, size: int, shared: int, sites: int) -> dict[str, tuple[int, ...]]:
        """Shape of everything that the server keeps in addition to its model and optimiser, by name."""
        lengths: dict[str, tuple[int, ...]] = {"P": (size,), "S": (sites,), "": ()}
        keeps = {name: lengths[shape] for name, shape in self.algorithm.server_state.items()}
        lengths["P"] = (shared,)
        for vector in self.vectors:
            for prefix, one in self.encoders(vector):
                keeps |= {prefix + name: lengths[shape] for name, shape in one.server_state.items()}
            held = self.aggregator.server_state.items()
            keeps |= {f"{AGGREGATOR}{vector}.{name}": lengths[shape] for name, shape in held}
        return keeps

    def judged(self, x: Tensor, state: State, optimiser: State) -> Tensor:
        """The model that is evaluated and saved, from the server's x [P], its state and that of its optimiser."""
        return self.algorithm.deployed(self.server.judged(x, optimiser), state)

    @property
    def broadcast(self) -> list[str]:
        """Parts of the server's state that are sent with the model."""
        below = [prefix + name for v in self.vectors for prefix, one in self.encoders(v) for name in one.broadcast]
        return [*self.algorithm.broadcast, *below]

    def bytes_down(self, shared: int, itemsize: int, asked: int = 0) -> int:
        """Bytes that one site downloads in a round, given the number of asked sites."""
        shapes = [self.algorithm.server_state.get(name, "") for name in self.broadcast]
        model = Wire(shared, 8 * itemsize)
        for one in self.uplink:
            model = one.wire(model) if one.lowers else model
        keys = sum(one.protocol(asked)[0] for one in self.uplink)
        return model.bytes + itemsize * sum(width(shape, shared) for shape in shapes) + keys

    def bytes_up(self, shared: int, itemsize: int, asked: int = 0) -> int:
        """Bytes of one site's message, given the number of asked sites."""
        total = sum(one.protocol(asked)[1] for one in self.uplink)
        for name, shape in self.sends().items():
            size = Wire(width(shape, shared), self.scalar_bits.get(name, 8 * itemsize))
            for _, one in self.encoders(name) if shape == "P" else ():
                size = one.wire(size)
            total += size.bytes
        return total

    def bytes_prelude(self, shared: int, itemsize: int) -> int:
        """Bytes that one site sends before its local steps; the mean that it receives has as many."""
        return itemsize * sum(width(shape, shared) for shape in self.algorithm.prelude.values())

    def check(self) -> None:
        """Refuse axes that cannot be combined."""
        refuse_order(self.uplink)
        for one in self.uplink:
            if one.noises:
                args = (self.algorithm, self.aggregator, self.system, self.weighting)
                refuse_unbounded(one, self.uplink, self.bounded, *args)
            if one.hides:
                refuse_single_uploads(one, self.algorithm, self.aggregator, self.attack, self.system)
        if self.system.holds and self.algorithm.in_time:
            raise Refused(
                f"{named(self.algorithm)} needs every upload in its own round, but {named(self.system)} accepts late "
                "ones. Set system=sync, or an algorithm without this requirement, such as fedavg or fedprox."
            )
        if self.algorithm.whole_uploads and self.aggregator.whole:
            raise Refused(f"{named(self.algorithm)} aggregates uploads by its own rule. Set aggregator=mean.")
        if type(self.algorithm).weights is not Algorithm.weights and self.aggregator.equal:
            raise Refused(
                f"{named(self.algorithm)} acts through the weights of the sites, but {named(self.aggregator)} gives "
                "every site the same weight. Set aggregator=mean."
            )
        for axis, why in self.algorithm.alone.items():
            if getattr(self, axis) != getattr(NEUTRAL, axis):
                raise Refused(
                    f"{named(self.algorithm)} cannot be combined with a setting of {axis}: {why}. Leave {axis} out, or "
                    "use another algorithm."
                )
        if self.algorithm.every_site and not self.system.certain:
            raise Refused(
                f"{named(self.algorithm)} needs every site in every round, but some may be missing with these settings "
                f"of {named(self.system)}. Set system=sync, system.dropout=0 and system.deadline=0."
            )
        if self.server.sends and type(self.algorithm).server is not Algorithm.server:
            raise Refused(
                f"server={type(self.server).__name__.lower()} scales the mean of the sites' changes, but "
                f"{named(self.algorithm)} has its own server step. Set server=sgd, or an algorithm whose server uses "
                "the mean, such as fedavg or fedprox."
            )

        if OWN in self.algorithm.site_state and type(self.personal) is not OwnModel:
            raise Refused(
                f"{named(self.algorithm)} trains the sites' own models itself, but {named(self.personal)} defines "
                "others. Leave personal out, or set algorithm=fedavg."
            )
        if self.personal.plain and type(self.algorithm) is not Algorithm:
            raise Refused(
                f"{named(self.personal)} defines the sites' steps and the mean itself, and {named(self.algorithm)} "
                "would change them. Set algorithm=fedavg, or personal=ditto, which works with any algorithm."
            )
        if self.personal.plain and self.system.holds:
            raise Refused(
                f"{named(self.personal)}: the shared model is the mean of the sites' models, but {named(self.system)} "
                "accepts late ones. Set system=sync."
            )

    def fits(self, members: int, weight: float = 0.0, parameters: int = 0) -> None:
        """Refuse too few or too many sites for the system or the aggregator, or too heavy ones for a secure sum."""
        self.system.fits(members)
        expected = self.system.uploads(members)
        if self.algorithm.every_site and expected < members:
            raise Refused(
                f"{named(self.algorithm)} needs every site in every round, but {expected} of {members} are asked. Set "
                "system.sites=0, which asks all sites."
            )
        refuse_misfit(self.uplink, weight, expected, members, self.system.holds)
        if expected < self.aggregator.least:
            raise Refused(
                f"{named(self.aggregator)} needs at least {self.aggregator.least} uploads in an update but gets "
                f"{expected}; {members} sites train. Use more (system.sites, system.buffer, partition.sites), "
                "a smaller aggregator.f where there is one, or aggregator=median."
            )
        self.aggregator.fits(expected, parameters)
        self.attack.fits(members, parameters)


def brought(algorithm: Algorithm) -> Personal:
    """The personal role of an algorithm that is evaluated by more than the shared model."""
    if OWN in algorithm.site_state:
        return OwnModel()
    if algorithm.adaptation_rate:
        return FineTune(steps=1, lr=algorithm.adaptation_rate, adapt=Adapted.scored)
    return Personal()


NEUTRAL = Roles()


def below(state: Mapping[str, Part], prefix: str) -> dict[str, Part]:
    """The part of a state whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): part for name, part in state.items() if name.startswith(prefix)}


def named(role: Role) -> str:
    """A role as it is set in a config, such as `aggregator=krum`: entries are named after their classes."""
    return f"{role.axis}={type(role).__name__.lower()}"


def axes_in_use(roles: Roles) -> list[str]:
    """The axes other than the algorithm that are not at their neutral value."""
    names = (entry.name for entry in fields(roles) if entry.name not in ("algorithm", "weighting"))
    return [name for name in names if getattr(roles, name) != getattr(NEUTRAL, name)]
