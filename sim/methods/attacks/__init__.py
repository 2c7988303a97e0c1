"""Attacks by the name they have in a config."""

from sim.methods.attacks.backdoor import Backdoor
from sim.methods.attacks.base import Attack
from sim.methods.attacks.collusion import ALIE, IPM, MinMax
from sim.methods.attacks.simple import LabelFlip, LazySite, Scaling, SignFlip

__all__ = ["ALIE", "ATTACKS", "IPM", "Attack", "Backdoor", "LabelFlip", "LazySite", "MinMax", "Scaling", "SignFlip"]

ATTACKS: dict[str, type[Attack]] = {
    "none": Attack,
    "signflip": SignFlip,
    "labelflip": LabelFlip,
    "alie": ALIE,
    "ipm": IPM,
    "minmax": MinMax,
    "scaling": Scaling,
    "lazysite": LazySite,
    "backdoor": Backdoor,
}
