"""Server optimisers by the name they have in a config."""

from sim.methods.servers.adaptive import Adagrad, Adam, Yogi
from sim.methods.servers.base import Momentum, Server
from sim.methods.servers.fedexp import FedExP

__all__ = ["SERVERS", "Adagrad", "Adam", "FedExP", "Momentum", "Server", "Yogi"]

SERVERS: dict[str, type[Server]] = {
    "sgd": Server,
    "momentum": Momentum,
    "adagrad": Adagrad,
    "adam": Adam,
    "yogi": Yogi,
    "fedexp": FedExP,
}
