"""FairFed: gives more weight to sites whose fairness is close to that of the whole federation."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.grouped import POSITIVE, ROWS, Grouped
from sim.methods.algorithms.simplex import KEPT, keep, kept_weights
from sim.methods.contract import Heard, Local, Message, State


@dataclass
class FairFed(Grouped):
    """Lowers the weight of sites at which the model's disparity between two groups differs from the overall one.

    Source: Ezzeldin, Yan, He, Ferrara, Avestimehr, FairFed: Enabling Group Fairness in Federated Learning, AAAI 2023,
    Algorithm 1, without local debiasing.
    Rule: `F = Pr(Yhat = 1 | A = 0, Y = 1) - Pr(Yhat = 1 | A = 1, Y = 1)` over all sites (equal opportunity difference),
    F_k the same at site k; `Delta_k = |F - F_k|`, or `|Acc - Acc_k|` where F_k is undefined because the site has no
    event in one group; `omega_k <- omega_k - beta (Delta_k - mean Delta)`, then divided by their sum; `x <- x + sum
    omega_k Delta w_k`. omega starts at the weights of the experiment. All rates are those of the downloaded model on
    training rows [M], from counts that the sites send: true positives and events in each group, correct predictions,
    and rows. Yhat = 1 where the probability is above one half.
    Values: beta 0.1 to 5, tuned [M]; 0 is FedAvg.
    Pitfalls: omega becomes negative for large beta; here it is set to at least 0 before the division. Sites with only
    one group are common among cancer centres, and accuracy is used for them.
    yzeng58/Improving-Fairness-via-Federated-Learning has `n_k exp(-beta |F_k - F|)` under this name, which is an
    earlier version. The mean of the F_k is not F.
    """

    sends = {
        "delta": "P",
        **dict.fromkeys(("positive0", "events0", "positive1", "events1", "right", "rows"), ""),
    }
    server_state = {KEPT: "S"}
    in_time = True
    whole_uploads = True
    every_site = True

    beta: float = 1.0  # >= 0, fairness budget

    def __post_init__(self) -> None:
        within("algorithm.beta", self.beta, 0)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Update and counts."""
        cells = at.cells(at.x)  # [C, label, group, 3]
        counts = {f"positive{a}": cells[:, 1, a, POSITIVE] for a in (0, 1)}
        counts |= {f"events{a}": cells[:, 1, a, ROWS] for a in (0, 1)}
        wrong = cells[:, 0, :, POSITIVE].sum(1) + (cells[:, 1, :, ROWS] - cells[:, 1, :, POSITIVE]).sum(1)
        rows = cells[..., ROWS].sum((1, 2))
        return {"delta": w - at.x, **counts, "right": rows - wrong, "rows": rows}, {}

    def weights(self, base: Tensor, state: State) -> Tensor:
        """omega of the last round."""
        return kept_weights(base, state)

    def weigh(self, heard: Heard, state: State) -> Tensor:
        """omega of this round."""
        omega = heard.p - self.beta * self.centred(heard)
        omega = omega.clamp_min(0.0)
        return omega / omega.sum()

    def centred(self, heard: Heard) -> Tensor:
        """Delta_k minus its mean, [M]."""
        count = {name: part.double() for name, part in heard.each.items() if part.dim() == 1}
        total = {name: part.sum() for name, part in count.items()}
        gap = difference(count) - difference(total)
        lag = count["right"] / count["rows"] - total["right"] / total["rows"]
        distance = torch.where(gap.isnan(), lag, gap).abs()
        return distance - distance.mean()

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """The step, and the weights that were used."""
        return heard.mean["delta"], keep(self.weigh(heard, state), heard, state)


def difference(count: Message) -> Tensor:
    """Equal opportunity difference from counts, NaN where a group has no event."""
    return count["positive0"] / count["events0"] - count["positive1"] / count["events1"]
