"""Who gains and who loses by joining: every site's federated model against the model it would train alone.

A site that does not gain has no reason to join: Cho et al., To Federate or Not To Federate, NeurIPS workshop on
federated learning 2022. Both models are judged on the site's own test patients; the difference is taken seed by seed.
"""

from typing import NamedTuple

import numpy as np

from sim.arrays import Floats
from sim.checks import Refused
from sim.metrics import Metric
from sim.stats.intervals import Intervals


class Tally(NamedTuple):
    """Sites by the sign of their mean gain; `sure` ones have an interval over seeds that leaves out zero."""

    compared: int
    gaining: int
    surely_gaining: int
    losing: int
    surely_losing: int


def gain(shared: Floats, local: Floats, metric: Metric) -> Floats:
    """Gain of every seed and site by joining, more is better; [n, S], [n, S] -> [n, S]. NaN where one has no value."""
    if shared.shape != local.shape:
        raise Refused(f"gain of {shared.shape} over {local.shape}: both need the same seeds and sites.")
    return metric.merit(shared) - metric.merit(local)


def tally(gains: Intervals) -> Tally:
    """Count of sites that gain and lose; a site without a value is not compared, one at exactly zero does neither."""
    return Tally(
        compared=int((gains.seeds > 0).sum()),
        gaining=int((gains.mean > 0).sum()),
        surely_gaining=int((gains.low > 0).sum()),
        losing=int((gains.mean < 0).sum()),
        surely_losing=int((gains.high < 0).sum()),
    )


def worst(merit: Floats) -> int:
    """Site with the lowest mean over seeds, more being better; [S]; -1 where no site has a value."""
    return -1 if np.isnan(merit).all() else int(np.nanargmin(merit))
