"""Federated algorithms by the name they have in a config."""

from sim.methods.algorithms.apfl import APFL
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.feddyn import FedDyn
from sim.methods.algorithms.fednova import FedNova
from sim.methods.algorithms.fedprox import FedProx
from sim.methods.algorithms.fedsam import FedSAM
from sim.methods.algorithms.perfedavg import PerFedAvg, PerFedAvgHF
from sim.methods.algorithms.pfedme import PFedMe
from sim.methods.algorithms.qfedavg import QFedAvg
from sim.methods.algorithms.scaffold import Scaffold

FedAvg = Algorithm

ALGORITHMS: dict[str, type[Algorithm]] = {
    "fedavg": FedAvg,
    "fedprox": FedProx,
    "scaffold": Scaffold,
    "fednova": FedNova,
    "feddyn": FedDyn,
    "fedsam": FedSAM,
    "qfedavg": QFedAvg,
    "pfedme": PFedMe,
    "apfl": APFL,
    "perfedavg": PerFedAvg,
    "perfedavghf": PerFedAvgHF,
}
