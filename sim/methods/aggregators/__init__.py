"""Aggregators by the name they have in a config."""

from sim.methods.aggregators.base import Aggregator, Mean
from sim.methods.aggregators.bulyan import Bulyan
from sim.methods.aggregators.clipping import CentredClip, NormBound
from sim.methods.aggregators.geometricmedian import GeometricMedian
from sim.methods.aggregators.krum import Krum, MultiKrum
from sim.methods.aggregators.median import Median
from sim.methods.aggregators.trimmedmean import TrimmedMean

__all__ = [
    "AGGREGATORS",
    "Aggregator",
    "Bulyan",
    "CentredClip",
    "GeometricMedian",
    "Krum",
    "Mean",
    "Median",
    "MultiKrum",
    "NormBound",
    "TrimmedMean",
]

AGGREGATORS: dict[str, type[Aggregator]] = {
    "mean": Mean,
    "median": Median,
    "trimmedmean": TrimmedMean,
    "krum": Krum,
    "multikrum": MultiKrum,
    "bulyan": Bulyan,
    "geometricmedian": GeometricMedian,
    "centredclip": CentredClip,
    "normbound": NormBound,
}
