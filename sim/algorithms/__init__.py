"""Federated algorithms by the name they have in a config."""

from sim.algorithms.base import Algorithm
from sim.algorithms.feddyn import FedDyn
from sim.algorithms.fednova import FedNova
from sim.algorithms.fedprox import FedProx
from sim.algorithms.scaffold import Scaffold

FedAvg = Algorithm

ALGORITHMS: dict[str, type[Algorithm]] = {
    "fedavg": FedAvg,
    "fedprox": FedProx,
    "scaffold": Scaffold,
    "fednova": FedNova,
    "feddyn": FedDyn,
}
