"""Methods with a loop of their own over the same crew: several server models, or none."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from sim.engine.executors import Crew
from sim.engine.simulation import Round, Saved, Simulation
from sim.methods.algorithms.base import Algorithm, Method
from sim.methods.roles import Roles


@dataclass
class OwnLoop(Method):
    """An entry of the `algorithm` config group that is not one server model moved by its sites' mean."""

    axes: ClassVar[frozenset[str]] = frozenset()  # axes that may be set beside it

    def roles(self, beside: Roles) -> Roles:
        """What its sites and its server do, from the axes that are set beside it."""
        return replace(beside, algorithm=Algorithm())

    @property
    def messages(self) -> tuple[str, str]:
        """What one site receives and sends in a round, in models where it is a number of them; a dash for nothing."""
        return "–", "–"

    def fits(self, plan: Simulation) -> None:
        """Refuse a simulation that it cannot carry out, before the first round of any run."""

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """Rounds on an open executor, the last of them scored. Raises Diverged."""
        raise NotImplementedError

    def rounds_after(self, plan: Simulation, crew: Crew, since: Saved) -> Iterator[Round]:
        """The rounds after the one that left `since` as its `saved`; asked only of methods whose rounds leave it."""
        raise NotImplementedError


@dataclass
class Reference(OwnLoop):
    """A yardstick: no message is exchanged, nothing is averaged. Only its last round is scored."""

    exchanges = False
    axes: ClassVar[frozenset[str]] = frozenset({"server", "system"})  # they may be set, and do nothing
