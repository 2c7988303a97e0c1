"""The network of proportional hazards: one score per patient, and a common baseline."""

from torch import Tensor, nn


class Proportional(nn.Module):
    """One score per patient and one intercept per time bin: `logit h_b(x) = a_b + f(x)`."""

    def __init__(self, net: nn.Module, bins: int) -> None:
        super().__init__()
        self.net = net
        self.baseline = nn.Linear(1, bins, bias=False, device="meta")

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the hazards, [B, D] -> [B, bins]."""
        score: Tensor = self.net(x)
        return score + self.baseline.weight[:, 0]
