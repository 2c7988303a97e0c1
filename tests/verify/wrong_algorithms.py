"""Known wrong implementations of algorithms, continued from `test_mutations`."""

import torch

from sim.methods.algorithms.fedsgd import FedSGD
from tests.verify.wrong import wrong

# --- FedSGD


@wrong("fedsgd")
class OneMiniBatch(FedSGD):
    """One step on one mini-batch, not on all rows."""

    local = {"epochs": 1, "steps": 1}


@wrong("fedsgd")
class OneEpoch(FedSGD):
    """One epoch of mini-batches: FedAvg with E = 1 under another name."""

    local = {"epochs": 1, "steps": 0}


@wrong("fedsgd")
class SitesAlike(FedSGD):
    """The plain mean of the sites' gradients, which is not the pooled gradient where rows are unequal."""

    def weights(self, base, state):
        return torch.ones_like(base)
