"""Methods with their own training loop over the same crew: several server models, or none."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from sim.engine.executors import Crew
from sim.engine.simulation import Round, Saved, Simulation
from sim.methods.algorithms.base import Algorithm, Method
from sim.methods.roles import Roles


@dataclass
class OwnLoop(Method):
    """An entry of the `algorithm` config group other than one server model updated by its sites' mean."""

    axes: ClassVar[frozenset[str]] = frozenset()  # axes that may be set beside it

    def roles(self, beside: Roles) -> Roles:
        """The roles of its sites and server, given the other axes."""
        return replace(beside, algorithm=Algorithm())

    @property
    def messages(self) -> tuple[str, str]:
        """What one site receives and sends in a round, in models if it is a number of them; a dash for nothing."""
        return "–", "–"

    def fits(self, plan: Simulation) -> None:
        """Refuse a simulation that it cannot carry out, before the first round of any run."""

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """Rounds on an open executor; the last one is evaluated. Raises Diverged."""
        raise NotImplementedError

    def rounds_after(self, plan: Simulation, crew: Crew, since: Saved) -> Iterator[Round]:
        """The rounds after the one that left `since` as its `saved`; only for methods whose rounds set `saved`."""
        raise NotImplementedError


@dataclass
class Reference(OwnLoop):
    """A reference: no message is exchanged and nothing is averaged. Only its last round is evaluated."""

    exchanges = False
    axes: ClassVar[frozenset[str]] = frozenset({"server", "system"})  # they may be set, and do nothing
