"""Whether local steps can settle on features as they are recorded, without standardisation."""

import numpy as np

from sim.checks import Refused
from sim.federation.federation import Federation
from sim.tasks.task import Task

EDGE = 8.0  # lr times mean square; the logistic loss bends by at most 1/4, and steps above 2 / curvature grow
NAMED = 5  # features in the message


def refuse_unsteady(task: Task, federation: Federation, lr: float) -> None:
    """Refuse a learning rate at which steps along a feature overshoot by more each time.

    On a loss with curvature c along a weight, steps of lr c > 2 diverge; the logistic loss of a feature with mean
    square m has c up to m / 4, that of hazards more. A loss of whole sites (Cox) compares patients with each other, so
    that the mean does not matter. A network's first layer meets the same features.
    """
    x = federation.x[federation.held("train")[0]].astype(np.float64)
    sd = x.std(0)
    square = sd**2 if task.whole_sites else (x**2).mean(0)
    wild = np.flatnonzero(lr * square > EDGE)
    if not len(wild):
        return
    wild = wild[np.argsort(-square[wild], kind="stable")]
    named = ", ".join(f"{federation.features[at]} (mean {x[:, at].mean():.3g}, sd {sd[at]:.3g})" for at in wild[:NAMED])
    more = f" and {len(wild) - NAMED} more" if len(wild) > NAMED else ""
    raise Refused(
        f"split.scaling=none with local.lr={lr:g}: training would diverge, because {named}{more} "
        f"{'is' if len(wild) == 1 else 'are'} far from a mean of 0 and a standard deviation of 1. Use "
        f"split.scaling=federated, or local.lr below {EDGE / square[wild[0]]:.2g}."
    )
