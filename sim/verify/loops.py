"""What is proved of methods with a loop of their own, by their names in the table."""

from collections.abc import Callable, Iterator

from sim.engine.loops import OwnLoop
from sim.verify.check import Check
from sim.verify.forests import of_survivalforest
from sim.verify.loops_cfl import of_cfl
from sim.verify.loops_fedem import of_fedem
from sim.verify.loops_gossip import of_gossip
from sim.verify.loops_oneshot import of_oneshot
from sim.verify.trees import of_histboost

CHECKS: dict[str, Callable[[], Iterator[Check[OwnLoop]]]] = {
    "cfl": of_cfl,
    "fedem": of_fedem,
    "gossip": of_gossip,
    "oneshot": of_oneshot,
    "histboost": of_histboost,
    "survivalforest": of_survivalforest,
}
