"""Personalisation methods by the name they have in a config."""

from sim.methods.personal.base import OwnModel, Personal, Private
from sim.methods.personal.fedbn import FedBN
from sim.methods.personal.finetune import FineTune
from sim.methods.personal.heads import FedBABU, FedPer, FedRep, LGFedAvg
from sim.methods.personal.own_models import MRMTL, Ditto

__all__ = [
    "MRMTL",
    "PERSONAL",
    "Ditto",
    "FedBABU",
    "FedBN",
    "FedPer",
    "FedRep",
    "FineTune",
    "LGFedAvg",
    "OwnModel",
    "Personal",
    "Private",
]

PERSONAL: dict[str, type[Personal]] = {
    "none": Personal,
    "fedper": FedPer,
    "fedrep": FedRep,
    "lgfedavg": LGFedAvg,
    "fedbabu": FedBABU,
    "fedbn": FedBN,
    "ditto": Ditto,
    "mrmtl": MRMTL,
    "finetune": FineTune,
}
