"""Whether an entry of an axis keeps the engine's contract: for authors of new ones, before anything is proved of it.

    from sim.verify.conformance import conform
    conform(MyAlgorithm)  # returns, or raises Broken with what is wrong

Every hook is called with random numbers in single and double precision. What comes back must have the shapes, the names
and the precision that the class declares, inputs must be left as they were, and what one site sends must not depend on
who trains beside it. Settings must survive a config file, and numbers out of range must be refused.
"""

from collections.abc import Callable

import torch

from sim.engine.loops import OwnLoop
from sim.methods.aggregators.base import Aggregator
from sim.methods.algorithms.base import Algorithm
from sim.methods.attacks import Attack
from sim.methods.personal.base import Personal
from sim.methods.servers import Server
from sim.methods.systems.base import System
from sim.methods.uplink.base import Transform
from sim.verify.conformance.algorithms import of_algorithm
from sim.verify.conformance.answers import Broken
from sim.verify.conformance.clock import runs
from sim.verify.conformance.personal import of_personal
from sim.verify.conformance.server import of_aggregator, of_attack, of_server
from sim.verify.conformance.settings import settings
from sim.verify.conformance.uplink import of_uplink

__all__ = ["Broken", "conform"]

HOOKS: dict[type, Callable[..., None]] = {
    Algorithm: of_algorithm,
    Transform: of_uplink,
    Attack: of_attack,
    Aggregator: of_aggregator,
    Server: of_server,
    Personal: of_personal,
    System: lambda entry, dtype: runs(entry) if dtype == torch.float64 else None,  # knows no model, nor its precision
    OwnLoop: lambda entry, dtype: None,  # a loop of its own shares no hook: its settings alone
}


def conform(entry: type) -> None:
    """Raise Broken with the first thing that is wrong with an entry of any axis."""
    settings(entry)
    axes = [checks for kind, checks in HOOKS.items() if issubclass(entry, kind)]
    if not axes:
        known = ", ".join(kind.__name__ for kind in HOOKS)
        raise Broken(f"{entry.__name__} belongs to no axis: derive it from one of {known}.")
    for checks in axes:
        for dtype in (torch.float32, torch.float64):
            checks(entry, dtype)
