"""Batch normalisation for networks that are trained as vectors: running statistics are parameters like any other.

Ioffe, Szegedy, Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift, ICML 2015.
"""

import torch
from torch import Tensor, nn

EPS = 1e-5  # added to every variance, as in torch
MOMENTUM = 0.1  # weight of a batch in the running statistics, as in torch


class BatchNorm(nn.Module):
    """`(h - mean) / sqrt(var + eps) * weight + bias`, unit by unit.

    In use, mean and variance are the running ones. In training (see `sim.tasks.training`) they are those of the valid
    rows of the batch; a batch of one row has no variance, and is normalised as in use. Running statistics follow
    `r <- r + 0.1 (s - r)`, with s the batch's mean and unbiased variance, as torch.nn.BatchNorm1d's. There is no
    counter of batches, which has no mean over sites.
    """

    def __init__(self, units: int, device: str | None = None) -> None:
        super().__init__()
        self.weight, self.bias, self.running_mean, self.running_var = (
            nn.Parameter(torch.empty(units, device=device)) for _ in range(4)
        )
        self.valid: Tensor | None = None  # bool [B] while a training loss is taken: rows that count
        self.pull: Tensor | None = None  # then: half the squared distance of the running statistics to the batch's
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The identity, for rows of mean 0 and variance 1."""
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            nn.init.constant_(self.get_parameter(name), value)

    def forward(self, h: Tensor) -> Tensor:
        """Normalised units; [B, U] -> [B, U]."""
        known: tuple[Tensor, Tensor] = (self.running_mean, self.running_var)
        mean, var = known if self.valid is None else self.of_batch(h, self.valid)
        return (h - mean) * torch.rsqrt(var + EPS) * self.weight + self.bias

    def of_batch(self, h: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the valid rows, [U] each; notes how far the running ones are from them."""
        count = valid.sum().to(h.dtype)
        h = torch.where(valid[:, None], h, torch.zeros_like(h))
        mean = h.sum(0) / count.clamp_min(1)
        var = torch.where(valid[:, None], h - mean, torch.zeros_like(h)).square().sum(0) / count.clamp_min(1)
        unbiased = var * (count / (count - 1).clamp_min(1))
        enough, known = count > 1, (self.running_mean.detach(), self.running_var.detach())
        centre = self.running_mean - torch.where(enough, mean, known[0]).detach()
        spread = self.running_var - torch.where(enough, unbiased, known[1]).detach()
        self.pull = 0.5 * (centre.square().sum() + spread.square().sum())
        return torch.where(enough, mean, known[0]), torch.where(enough, var, known[1])


def batch_norms(module: nn.Module) -> list[BatchNorm]:
    """The batch norms of a network."""
    return [part for part in module.modules() if isinstance(part, BatchNorm)]
