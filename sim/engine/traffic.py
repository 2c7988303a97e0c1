"""Bytes beside training's own messages: orders to train, and what it takes to judge models where the patients are."""

from collections.abc import Mapping
from struct import Struct

import numpy as np

from sim.cohort.outcomes import SPLITS
from sim.engine.evaluation import Metrics
from sim.federation.federation import Federation

ORDER = Struct("<iif")  # number of the round, local steps, learning rate
VALUE = np.dtype(np.float64)  # of a metric


def order(round: int, steps: int, lr: float) -> bytes:
    """What a site hears beside the model when it is asked to train."""
    return ORDER.pack(round, steps, lr)


def report(values: Mapping[str, float]) -> bytes:
    """What a site tells of one split of its patients under one model: its metrics, in an order that both ends know."""
    return np.array(list(values.values()), VALUE).tobytes()


def control(asked: int) -> int:
    """Bytes of the orders to so many sites."""
    return asked * ORDER.size


def evaluation(federation: Federation, metrics: Mapping[str, Metrics], numbers: int) -> int:
    """Bytes of a scoring: so many numbers of a model down to every site that has held-out rows, its metrics up."""
    held = np.stack([federation.rows_of(split) > 0 for split in SPLITS[1:]])
    down = numbers * federation.x.itemsize * int(held.any(0).sum())
    return down + VALUE.itemsize * int(held.sum()) * sum(len(one) for one in metrics.values())
