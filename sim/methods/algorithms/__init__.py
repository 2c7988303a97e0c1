"""Federated algorithms by the name they have in a config."""

from sim.methods.algorithms.adaptiveprox import AdaptiveProx
from sim.methods.algorithms.afl import AFL
from sim.methods.algorithms.apfl import APFL
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.fairfed import FairFed
from sim.methods.algorithms.feddc import FedDC
from sim.methods.algorithms.feddgga import FedDGGA
from sim.methods.algorithms.feddyn import FedDyn
from sim.methods.algorithms.fedfb import FedFB
from sim.methods.algorithms.fedlc import FedLC
from sim.methods.algorithms.fedmgda import FedMGDA
from sim.methods.algorithms.fednova import FedNova
from sim.methods.algorithms.fedprox import FedProx
from sim.methods.algorithms.fedsam import FedSAM
from sim.methods.algorithms.fedsgd import FedSGD
from sim.methods.algorithms.lossparity import LossParity
from sim.methods.algorithms.mifa import MIFA
from sim.methods.algorithms.mime import Mime
from sim.methods.algorithms.mimelite import MimeLite
from sim.methods.algorithms.moon import Moon
from sim.methods.algorithms.perfedavg import PerFedAvg, PerFedAvgHF
from sim.methods.algorithms.pfedme import PFedMe
from sim.methods.algorithms.qfedavg import QFedAvg
from sim.methods.algorithms.scaffnew import Scaffnew
from sim.methods.algorithms.scaffold import Scaffold
from sim.methods.algorithms.term import TERM

FedAvg = Algorithm

ALGORITHMS: dict[str, type[Algorithm]] = {
    "fedavg": FedAvg,
    "fedprox": FedProx,
    "scaffold": Scaffold,
    "fednova": FedNova,
    "feddyn": FedDyn,
    "fedsam": FedSAM,
    "qfedavg": QFedAvg,
    "afl": AFL,
    "term": TERM,
    "fedmgda": FedMGDA,
    "feddgga": FedDGGA,
    "lossparity": LossParity,
    "fairfed": FairFed,
    "fedfb": FedFB,
    "fedsgd": FedSGD,
    "scaffnew": Scaffnew,
    "fedlc": FedLC,
    "mimelite": MimeLite,
    "mime": Mime,
    "feddc": FedDC,
    "adaptiveprox": AdaptiveProx,
    "moon": Moon,
    "mifa": MIFA,
    "pfedme": PFedMe,
    "apfl": APFL,
    "perfedavg": PerFedAvg,
    "perfedavghf": PerFedAvgHF,
}
