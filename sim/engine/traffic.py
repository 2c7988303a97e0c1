"""Bytes in addition to training messages: training orders, and the evaluation of models at the sites."""

from collections.abc import Mapping
from struct import Struct

import numpy as np

from sim.cohort.outcomes import SPLITS
from sim.engine.evaluation import Metrics
from sim.federation.federation import Federation

ORDER = Struct("<iif")  # number of the round, local steps, learning rate
VALUE = np.dtype(np.float64)  # of a metric


def order(round: int, steps: int, lr: float) -> bytes:
    """The order that a site receives with the model."""
    return ORDER.pack(round, steps, lr)


def report(values: Mapping[str, float]) -> bytes:
    """What a site reports for one split and one model: its metrics, in a fixed order."""
    return np.array(list(values.values()), VALUE).tobytes()


def control(asked: int) -> int:
    """Bytes of the orders to so many sites."""
    return asked * ORDER.size


def evaluation(federation: Federation, metrics: Mapping[str, Metrics], numbers: int) -> int:
    """Bytes of an evaluation: the numbers of the models down to every site with held-out rows, and its metrics up."""
    held = np.stack([federation.rows_of(split) > 0 for split in SPLITS[1:]])
    down = numbers * federation.x.itemsize * int(held.any(0).sum())
    return down + VALUE.itemsize * int(held.sum()) * sum(len(one) for one in metrics.values())
