"""FedSGD: one gradient step on all rows of every site."""

from dataclasses import dataclass

from sim.methods.algorithms.base import Algorithm


@dataclass
class FedSGD(Algorithm):
    """Every round is one step of gradient descent on the pooled objective.

    Source: McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017.
    Rule: `w <- w - lr sum p_k grad F_k(w)`, `F_k` over all training rows of site k; `local.epochs`, `local.steps` and
    `local.batch` have no effect, because a round is one full-batch step.
    Values: only `local.lr`, as large as gradient descent allows: below 2 divided by the largest curvature.
    Pitfalls: it equals pooled gradient descent exactly, which makes it the first test of an engine; implementations
    that take one mini-batch or one epoch per round, or give sites of unequal size equal weights, fail it.
    """

    local = {"epochs": 1, "steps": 1, "batch": 0}
