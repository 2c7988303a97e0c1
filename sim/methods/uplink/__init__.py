"""Uplink transforms by the name they have in a config; `uplink=[clip,topk]` applies them in this order."""

from sim.methods.uplink.base import Transform
from sim.methods.uplink.clip import Clip
from sim.methods.uplink.topk import TopK

UPLINK: dict[str, type[Transform]] = {"clip": Clip, "topk": TopK}
