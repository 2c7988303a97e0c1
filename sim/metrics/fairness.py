"""Gains of sites by joining: the federated model against the model that each site would train alone.

A site that does not gain has no reason to join: Cho et al., To Federate or Not To Federate, NeurIPS workshop on
federated learning 2022. Both models are evaluated on the site's own test patients, and differences taken per seed.
"""

from typing import NamedTuple

import numpy as np

from sim.arrays import Bools, Floats
from sim.checks import Refused
from sim.metrics import Metric
from sim.stats.intervals import Intervals


class Tally(NamedTuple):
    """Numbers of sites by the sign of their mean gain; it is significant where its interval excludes zero."""

    compared: int
    gaining: int
    gaining_significantly: int
    losing: int
    losing_significantly: int


FEWEST_EVENTS = 10  # test patients with the event, mean over seeds, below which a site is not judged by itself


def judged(rows: Floats, events: Floats, metric: Metric) -> Bools:
    """Whether a site has enough test patients with the event, and without it where the metric needs both; [S].

    With 10 of each, the standard error of an AUROC of 0.7 is 0.12 (Hanley and McNeil, Radiology 1982).
    """
    return (events >= FEWEST_EVENTS) & ((rows - events >= FEWEST_EVENTS) | (not metric.both))


def gain(shared: Floats, local: Floats, metric: Metric) -> Floats:
    """Gain of every seed and site by joining, more is better; [n, S], [n, S] -> [n, S]. NaN where a model has no value.

    Refuses arrays of different shape.
    """
    if shared.shape != local.shape:
        raise Refused(f"gain of {shared.shape} over {local.shape}: give both the same seeds and sites.")
    return metric.merit(shared) - metric.merit(local)


def tally(gains: Intervals) -> Tally:
    """Count of sites that gain and lose; a site without a value is not compared, and one at exactly 0 does neither."""
    return Tally(
        compared=int((gains.seeds > 0).sum()),
        gaining=int((gains.mean > 0).sum()),
        gaining_significantly=int((gains.low > 0).sum()),
        losing=int((gains.mean < 0).sum()),
        losing_significantly=int((gains.high < 0).sum()),
    )


def worst(merit: Floats) -> int:
    """Number of the site with the lowest merit; [S] -> scalar; -1 where no site has a value."""
    return -1 if np.isnan(merit).all() else int(np.nanargmin(merit))
