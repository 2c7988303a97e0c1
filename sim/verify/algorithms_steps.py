"""What is proved of algorithms that choose the steps of a round themselves: FedSGD and Scaffnew."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sim.local.settings import Tier, Training
from sim.methods.contract import Weighting
from sim.methods.systems.sync import Sync
from sim.verify import paths as recursion
from sim.verify.properties import Checks, follows, plain
from sim.verify.quadratic import six_sites
from sim.verify.trial import Trial


@dataclass
class AsSet(Sync):
    """Synchronous rounds of as many local steps as the settings say, or the algorithm; not those of the trial."""


def descends(sites: int, weighting: Weighting) -> Trial:
    """A trial whose settings ask for several epochs of mini-batches, and whose closed form takes one full step."""
    training = Training(lr=0.1, epochs=3, batch=2, momentum=0.6, weight_decay=0.1, chunk=2, decay=0.98)
    return Trial(six_sites(), (1,) * 6, 30, training, weighting, AsSet(sites))


def of_fedsgd() -> Checks:
    """FedSGD: gradient descent on the pooled objective, whatever the settings say of epochs and batches."""
    for weighting in Weighting:
        trial = descends(0, weighting)
        plain_descent = replace(trial, training=replace(trial.training, weight_decay=0.0, steps=5))
        words = f"pooled gradient descent, weighting {weighting.value}"
        yield follows(plain, plain_descent, recursion.descent, words)
        trial = descends(3, weighting)
        words = f"path, 3 of 6 sites, weight decay, weighting {weighting.value}"
        yield follows(plain, trial, recursion.fedavg, words)
        stacked = replace(trial, training=replace(trial.training, tier=Tier.stacked))
        yield follows(plain, stacked, recursion.fedavg, f"{words}, stacked tier")


CHECKS: dict[str, Callable[[], Checks]] = {"fedsgd": of_fedsgd}
