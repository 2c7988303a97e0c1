"""Optimisers of the local steps other than SGD: Adam and AdamW, with their state at each site."""

from dataclasses import dataclass

from sim.checks import Refused
from sim.lazy import Tensor, torch
from sim.local.settings import Optimizer, OptimizerState, Training
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import State

MEAN, SQUARE, COUNT = "adam.mean", "adam.square", "adam.count"  # names under which a site keeps them


def site_state(training: Training, parameters: int) -> dict[str, int]:
    """Numbers that each site's optimiser keeps between rounds, by name; {} if it restarts in each round."""
    keeps = training.optimizer is not Optimizer.sgd and training.state is OptimizerState.keep
    return {MEAN: parameters, SQUARE: parameters, COUNT: 1} if keeps else {}


@dataclass(frozen=True)
class Adam:
    """Kingma, Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, for C sites; numbers move in place.

    With decay apart from the gradient it is AdamW: Loshchilov, Hutter, Decoupled Weight Decay Regularization, ICLR
    2019.
    """

    training: Training
    mean: Tensor  # [C, P] running mean of the directions
    square: Tensor  # [C, P] running mean of their squares
    count: Tensor  # [C, 1] steps so far

    @classmethod
    def over(cls, w: Tensor, training: Training, kept: State) -> "Adam":
        """The state that the sites kept since their last round, or zeros; w [C, P]."""
        if MEAN in kept:
            return cls(training, kept[MEAN], kept[SQUARE], kept[COUNT])
        return cls(training, torch.zeros_like(w), torch.zeros_like(w), w.new_zeros(len(w), 1))

    def step(self, w: Tensor, d: Tensor, lr: float, moves: Tensor | None) -> None:
        """One step of the first sites, in place; w, d [C', P], moves bool [P] or None for all."""
        training, active = self.training, len(w)
        mean, square, count = self.mean[:active], self.square[:active], self.count[:active]
        count += 1
        mean.mul_(training.b1).add_(d, alpha=1 - training.b1)
        square.mul_(training.b2).addcmul_(d, d, value=1 - training.b2)
        if training.optimizer is Optimizer.adamw and training.weight_decay:
            shrink = lr * training.weight_decay
            w.sub_(w * shrink if moves is None else w * (shrink * moves))
        length = (square / (1 - training.b2**count)).sqrt_().add_(training.eps)
        w.sub_(mean / (1 - training.b1**count) / length, alpha=lr)


def refuse_optimiser(algorithm: Algorithm, training: Training) -> None:
    """Refuse Adam and momentum with an algorithm whose formulas hold for other steps."""
    kind, asked = type(algorithm), training.optimizer
    name = f"algorithm={kind.__name__.lower()}"
    if kind.begin is not Algorithm.begin and training.momentum:
        raise Refused(
            f"local.momentum={training.momentum:g}: {name} updates more than one model in a step, by rules without "
            "momentum. Set local.momentum=0."
        )
    if asked is Optimizer.sgd:
        return
    if kind.upload is not Algorithm.upload:
        why = "takes the way of a site over local.lr for a sum of gradients"
    elif kind.direction is not Algorithm.direction:
        why = "has a local step of its own"
    else:
        return
    raise Refused(
        f"local.optimizer={asked.value}: {name} {why}, which holds for SGD only. Set local.optimizer=sgd, or use "
        "algorithm=fedavg or fedprox."
    )
