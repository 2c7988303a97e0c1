"""Complete models of the sites, pulled to the shared one by a quadratic term."""

from collections.abc import Sequence
from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Local, Phase
from sim.methods.personal.base import OwnModel


@dataclass
class Ditto(OwnModel):
    """Each site trains and deploys its own model, pulled to the shared one, in addition to the shared model.

    Source: Li et al., Ditto: Fair and Robust Federated Learning Through Personalization, ICML 2021, Algorithm 1.
    Rule: `v_i <- v_i - lr (grad F_i(v_i) + lam (v_i - x))`, as many steps as the shared model takes; x is the model
    that the site downloaded. The shared model is that of the algorithm.
    Values: lam searched in {0.05, 0.1, 0.5, 1, 2} by the paper, each site by its validation rows; 0 is local training.
    Pitfalls: the pull is to the received model, neither to the site's initial model nor to the server's next one.
    """

    whole_state = False

    lam: float = 0.1  # >= 0

    def __post_init__(self) -> None:
        within("personal.lam", self.lam, 0)

    def second(self, at: Local) -> Phase:
        """Steps from the site's own model, pulled towards the downloaded one."""
        return Phase(at.steps, Correction(pull=self.lam, anchor=at.x))


@dataclass
class MRMTL(OwnModel):
    """Every site trains its own model across rounds, pulled to the mean of all sites' models.

    Source: Liu et al., On Privacy and Personalization in Cross-Silo Federated Learning, NeurIPS 2022 (mean-regularized
    multi-task learning).
    Rule: `w_i <- K_i steps of SGD on F_i(w) + lam/2 |w - x|^2` from the site's own last w_i; `x = sum p_i w_i`.
    Values: lam moves between local training (0) and FedAvg (large); tune it. lr lam below 1.
    Pitfalls: w_i persists between rounds; if it restarted from x, the method would be FedProx. The pull is to the
    received mean, not to the next one.
    """

    persists = True
    plain = True

    lam: float = 0.1  # >= 0

    def __post_init__(self) -> None:
        within("personal.lam", self.lam, 0)

    def phases(self, algorithm: Algorithm, at: Local, private: Tensor) -> Sequence[Phase]:
        """Steps from the site's own model, pulled to the mean."""
        return (Phase(at.steps, Correction(pull=self.lam, anchor=at.x)),)
