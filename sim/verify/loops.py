"""What is proved of methods with a loop of their own, by their names in the table."""

from collections.abc import Callable, Iterator

from sim.engine.loops import OwnLoop
from sim.verify.check import Check
from sim.verify.loops_cfl import of_cfl

CHECKS: dict[str, Callable[[], Iterator[Check[OwnLoop]]]] = {"cfl": of_cfl}
