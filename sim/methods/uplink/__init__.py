"""Uplink transforms by the name they have in a config; `uplink=[clip,topk]` applies them in this order."""

from sim.methods.uplink.base import Transform
from sim.methods.uplink.clip import AdaptiveClip, Clip
from sim.methods.uplink.coded import QSGD, STC, Sign
from sim.methods.uplink.noise import Gaussian, TreeNoise
from sim.methods.uplink.powersgd import PowerSGD
from sim.methods.uplink.secagg import SecAgg
from sim.methods.uplink.topk import RandomK, TopK

UPLINK: dict[str, type[Transform]] = {
    "clip": Clip,
    "adaptiveclip": AdaptiveClip,
    "topk": TopK,
    "randomk": RandomK,
    "qsgd": QSGD,
    "sign": Sign,
    "stc": STC,
    "powersgd": PowerSGD,
    "secagg": SecAgg,
    "gaussian": Gaussian,
    "treenoise": TreeNoise,
}
