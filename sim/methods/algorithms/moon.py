"""MOON: a patient's representation is pulled towards the global model's and away from the site's previous one."""

from dataclasses import dataclass

from sim.checks import Refused, within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Local, Message, State
from sim.tasks.representation import body, represent
from sim.tasks.task import Batch, Task, mean_over


@dataclass
class Moon(Algorithm):
    """Adds a contrastive loss between a site's network, the global one, and the site's network of its last round.

    Source: Li, He, Song, Model-Contrastive Federated Learning, CVPR 2021, Algorithm 1.
    Rule: sites minimise `F_k + mu l`, `l = -log e^(s(z, z_glob) / T) / (e^(s(z, z_glob) / T) + e^(s(z, z_prev) / T))`,
    z is the representation of a row, s the cosine, `z_glob` is from the downloaded model and `z_prev` from the model
    with which the site ended its last round. Then FedAvg.
    Values: mu of {0.1, 1, 5, 10}, T = 0.5; mu = 0 is FedAvg.
    Pitfalls: only z has a gradient; the other two networks are fixed. In a site's first round there is no previous
    model: here the downloaded one is used, so that l has no gradient (the authors' code leaves the term out). The
    previous model is the one trained, not the one downloaded, and stays at the site. The network needs a layer before
    the last (net=mlp): a linear one is refused. A step costs three additional forward passes.
    """

    site_state = {"previous": "P", "trained": ""}

    mu: float = 1.0  # >= 0, weight of the contrastive loss
    temperature: float = 0.5  # > 0

    def __post_init__(self) -> None:
        within("algorithm.mu", self.mu, 0)
        within("algorithm.temperature", self.temperature, 0, open_low=True)

    def fits(self, task: Task) -> None:
        """Refuse a network without a representation."""
        if body(task.module) is None:
            raise Refused(
                f"algorithm=moon compares representations, but {type(task.module).__name__} has no layer before its "
                "last one. Set net=mlp with a hidden layer, or algorithm=fedavg."
            )

    def objective(self, task: Task, v: Tensor, batch: Batch, at: Local) -> Tensor:
        """The task's loss and the contrastive one."""
        if not self.mu:
            return task.loss(v, batch)
        previous = torch.where(at.site["trained"] > 0, at.site["previous"], at.x)
        z, shared, own = (represent(task, model, batch.x) for model in (v, at.x, previous))
        contrast = torch.nn.functional.softplus((cosine(z, own) - cosine(z, shared)) / self.temperature)
        return task.loss(v, batch) + self.mu * mean_over(contrast, batch.valid)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The change; the trained model stays for the next round."""
        return {"delta": w - at.x}, {"previous": w, "trained": torch.ones_like(at.rows)}


def cosine(one: Tensor, other: Tensor) -> Tensor:
    """Cosine of the angle between rows, 0 where one is zero; [B, H], [B, H] -> [B]."""
    squares = one.square().sum(1) * other.square().sum(1)
    return (one * other).sum(1) / torch.where(squares > 0, squares, 1).sqrt()
