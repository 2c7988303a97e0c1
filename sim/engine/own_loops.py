"""Methods with a loop of their own that exchange messages, by the name they have in a config."""

from sim.engine.cfl import CFL
from sim.engine.clusters import IFCA
from sim.engine.fedem import FedEM
from sim.engine.gossip import Gossip
from sim.engine.histboost import HistBoost
from sim.engine.loops import OwnLoop
from sim.engine.oneshot import OneShot
from sim.engine.survivalforest import SurvivalForest

OWN_LOOPS: dict[str, type[OwnLoop]] = {
    "ifca": IFCA,
    "cfl": CFL,
    "fedem": FedEM,
    "gossip": Gossip,
    "oneshot": OneShot,
    "histboost": HistBoost,
    "survivalforest": SurvivalForest,
}
