"""Aggregators by the name they have in a config."""

from sim.methods.aggregators.base import Aggregator, Mean
from sim.methods.aggregators.krum import Krum
from sim.methods.aggregators.median import Median

AGGREGATORS: dict[str, type[Aggregator]] = {"mean": Mean, "median": Median, "krum": Krum}
