"""Which of the three tiers trains: a small cost model, and the reason in words."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sim.checks import Refused
from sim.lazy import Tensor
from sim.local.dense import Network, network
from sim.local.fused import Fused
from sim.local.plan import Sites
from sim.local.rows import Rows
from sim.local.settings import Optimizer, Tier, Training
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Local, Phase
from sim.tasks.task import Task

STACKED = 100_000  # parameters above which a batched computation over sites no longer pays for its memory


class Choice(NamedTuple):
    """A tier and why; recorded with every run."""

    tier: Tier
    why: str
    network: Network | None  # as the fused tier sees it, where it trains


class Trainer(Protocol):
    """A tier over a federation's rows."""

    def train(self, algorithm: Algorithm, at: Local, phases: Sequence[Phase], sites: Sites, round: int) -> Tensor:
        """Models of C sites after their local steps from `at.start`; [C, P]."""


def known(task: Task, algorithm: Algorithm) -> Network | str:
    """The network as the fused tier sees it, or why it cannot train it."""
    kind = type(algorithm)
    if kind.direction is not Algorithm.direction or kind.begin is not Algorithm.begin or kind.batches != 1:
        return f"{kind.__name__} has a step of its own"
    if kind.objective is not Algorithm.objective:
        return f"{kind.__name__} has an objective of its own"
    return network(task)


def choose(task: Task, algorithm: Algorithm, training: Training) -> Choice:
    """Tier of a run; refuses fused where it is asked for and not possible, and batches where the loss has none."""
    algorithm.fits(task)
    if algorithm.plain_steps and training.momentum:
        raise Refused(
            f"local.momentum={training.momentum:g}: algorithm={type(algorithm).__name__.lower()} is defined for plain "
            "gradient steps, and momentum would change its fixed point. Set local.momentum=0, or use "
            "algorithm=scaffold."
        )
    if task.whole_sites and training.batch and not task.batched:
        raise Refused(
            f"local.batch={training.batch}: the loss of {type(task).__name__} is defined for all rows of a site "
            "together, because each event is compared with all patients at risk. Set local.batch=0, or "
            "task.risk_sets=batch, which compares it with those of its batch only."
        )
    if task.whole_sites and training.clip:
        raise Refused(
            f"local.clip={training.clip:g}: the loss of {type(task).__name__} is not a sum over rows, so a row has no "
            "gradient of its own to clip. Set local.clip=0, or use task=hazard."
        )
    found = known(task, algorithm)
    if training.optimizer is not Optimizer.sgd:
        found = f"local.optimizer={training.optimizer.value} keeps two numbers for each parameter"
    if training.private:
        refuse_other_steps(algorithm)
        found = "local.noise and local.sampling=poisson are not compiled"
    size, fits = task.layout.size, isinstance(found, Network)
    if training.tier is Tier.fused and not fits:
        raise Refused(f"local.tier=fused: {found}. Allowed here: auto, stacked, single.")
    if isinstance(found, Network) and training.tier in (Tier.fused, Tier.auto):
        why = "a dense network whose local step is affine in the model"
        return Choice(Tier.fused, why if training.tier is Tier.auto else "asked for", found)
    if training.tier is not Tier.auto:
        return Choice(training.tier, "asked for", None)
    if size <= STACKED:
        return Choice(Tier.stacked, str(found), None)
    return Choice(Tier.single, f"{found}; {size} parameters are more than {STACKED} to stack", None)


def refuse_other_steps(algorithm: Algorithm) -> None:
    """Refuse DP-SGD for a method that does not take one noisy gradient of the task's loss a step, which is counted."""
    kind = type(algorithm)
    if kind.direction is not Algorithm.direction or kind.batches != 1 or kind.objective is not Algorithm.objective:
        raise Refused(
            f"local.noise and local.sampling=poisson: {kind.__name__} has its own kind of step or objective, but "
            "DP-SGD accounts for one gradient per step. Use algorithm=fedavg, fedprox or another with plain steps."
        )


def trainer(choice: Choice, task: Task, algorithm: Algorithm, training: Training, rows: Rows, seed: int) -> Trainer:
    """The chosen tier, compiled where that is needed."""
    if choice.network is not None:
        fused = Fused.over(rows, choice.network, training, seed)
        fused.ready()
        return fused

    from sim.local.stacked import Gradients, Stacked

    gradients = Gradients(task, algorithm, training.clip)
    return Stacked(gradients, rows, training, seed, single=choice.tier is Tier.single)
