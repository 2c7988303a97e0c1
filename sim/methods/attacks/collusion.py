"""Attacks by colluding sites that know all uploads."""

from dataclasses import dataclass
from enum import Enum
from statistics import NormalDist

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.attacks.base import Faulty, honest, replaced
from sim.methods.contract import Message
from sim.methods.distances import refuse_many, squared_distances, vectors


def z_max(uploads: int, bad: int) -> float:
    """The number of standard deviations from the mean at which attackers are still close enough to a majority.

    Baruch et al. 2019: `z = Phi^-1((n - m - s) / (n - m))`, `s = floor(n / 2) + 1 - m`, of n uploads with m attackers.
    It is defined for a minority of attackers; more of them take the largest minority's. 0 for fewer than three uploads.
    """
    if uploads < 3:
        return 0.0
    bad = min(bad, (uploads - 1) // 2)
    supporters = uploads // 2 + 1 - bad
    return NormalDist().inv_cdf((uploads - bad - supporters) / (uploads - bad))


@dataclass
class ALIE(Faulty):
    """A Little Is Enough: attackers send the same vector, just inside the spread of the honest uploads.

    Source: Baruch, Baruch, Goldberg, A Little Is Enough: Circumventing Defenses For Distributed Learning, NeurIPS 2019,
    Algorithm 3.
    Rule: `u = mu - z sigma` for each coordinate, mean and standard deviation of the honest uploads; `z_max = Phi^-1((n
    - m - s) / (n - m))`, `s = floor(n / 2) + 1 - m`, of the n uploads of an update with m attackers.
    Values: `z` 0 uses z_max: (n, m) = (50, 24) 1.43, (24, 4) 0.13, (12, 3) 0.14, (10, 2) 0.
    Pitfalls: z_max of hospital-sized federations is near 0, and below 0 with one attacker: the attack is then harmless
    by construction, which is no merit of the defence. `run.json` and the terminal report z. The paper's attackers
    estimate mu and sigma from their own uploads; here they know the honest ones, which is the stronger attack.
    """

    z: float = 0.0  # >= 0; 0 = z_max of each update

    def __post_init__(self) -> None:
        super().__post_init__()
        within("attack.z", self.z, 0)

    def deviations(self, uploads: int, bad: int) -> float:
        """Standard deviations from the mean, in an update of so many uploads."""
        return self.z or z_max(uploads, bad)

    def told(self, uploads: int, bad: int) -> str:
        """The z of an update in which all take part."""
        z = self.deviations(uploads, bad)
        small = ", near 0 as in all small federations: no merit of the aggregator" if abs(z) < 0.3 else ""
        return f"z = {z:.3f} standard deviations for {bad} of {uploads} uploads{small}"

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        """`mu - z sigma` of the honest uploads, from all attackers."""
        z = self.deviations(len(bad), int(bad.sum()))

        def vector(part: Tensor) -> Tensor:
            others = honest(part, bad)
            return (others.mean(0) - z * others.std(0, correction=0)).to(part.dtype)

        return replaced(sent, bad, vector)


@dataclass
class IPM(Faulty):
    """Attackers send the negative mean of the honest uploads, so that the inner product with the true step is negative.

    Source: Xie, Koyejo, Gupta, Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product Manipulation, UAI
    2019.
    Rule: `u = -epsilon mean(honest u)`.
    Values: `epsilon` 0.1 to 0.5 hides among small updates and breaks medians and Krum; above (n - m) / m it reverses
    the mean of n equal sites with m attackers [M].
    Pitfalls: every attacker sends the same vector, so attackers are each other's neighbours at distance zero: if honest
    sites differ, Krum may choose them although its `f` is right.
    """

    epsilon: float = 0.5  # > 0

    def __post_init__(self) -> None:
        super().__post_init__()
        within("attack.epsilon", self.epsilon, 0, open_low=True)

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        """`-epsilon` times the mean of the honest uploads, from all attackers."""
        return replaced(sent, bad, lambda part: (-self.epsilon * honest(part, bad).mean(0)).to(part.dtype))


class Direction(Enum):
    """Direction in which min-max moves the mean of the honest uploads."""

    std = "std"  # against their standard deviation, coordinate by coordinate
    unit = "unit"  # against the mean itself, at unit length
    sign = "sign"  # against the sign of the mean


@dataclass
class MinMax(Faulty):
    """Attackers move as far from the honest mean as two honest uploads are from each other.

    Source: Shejwalkar, Houmansadr, Manipulating the Byzantine: Optimizing Model Poisoning Attacks and Defenses for
    Federated Learning, NDSS 2021, equation 8.
    Rule: `u = mu + gamma d`, `d` = -sigma, -mu / |mu| or -sign(mu) of the honest uploads; the largest gamma with `max_i
    |u - u_i| <= max_ij |u_i - u_j|` over the honest.
    Values: `direction` std is usually the strongest in the paper [M].
    Pitfalls: the paper finds gamma by bisection up to a tolerance; here it is exact, because the bound is a quadratic
    for each honest site and gamma is the least of their roots. Distances are over the whole message. All pairs are
    compared.
    """

    direction: Direction = Direction.std

    def fits(self, members: int, parameters: int = 0) -> None:
        """All pairs are compared."""
        refuse_many("attack=minmax", members, parameters)

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        """The same vector from all attackers."""
        others = {name: honest(part, bad) for name, part in sent.items() if part.dim() == 2}
        push = {name: self.pushes(part) for name, part in others.items()}
        gamma = largest(others, push)
        made = {name: (part.mean(0) + gamma * push[name]).to(sent[name].dtype) for name, part in others.items()}
        return {
            name: torch.where(bad[:, None], made[name], part) if name in made else part for name, part in sent.items()
        }

    def pushes(self, others: Tensor) -> Tensor:
        """The direction d from the honest uploads; [H, P] -> [P]."""
        mean = others.mean(0)
        if self.direction is Direction.std:
            return -others.std(0, correction=0)
        return -mean.sign() if self.direction is Direction.sign else -mean / mean.norm().clamp(min=1e-300)


def largest(others: Message, push: Message) -> float:
    """The largest gamma at which `mean + gamma push` is no farther from any honest upload than two of them are.

    Each honest upload bounds it by the larger root of `|push|^2 g^2 + 2 g push (mean - u_i) + |mean - u_i|^2 = D^2`.
    """
    most = float(squared_distances(vectors(others)).max())
    away = {name: part.mean(0) - part for name, part in others.items()}
    a = float(sum(part.square().sum() for part in push.values()))
    if not a:
        return 0.0
    b = torch.stack([away[name] @ part for name, part in push.items()]).sum(0)
    c = torch.stack([part.square().sum(1) for part in away.values()]).sum(0) - most
    return float(((-b + (b.square() - a * c).clamp(min=0).sqrt()) / a).min())
