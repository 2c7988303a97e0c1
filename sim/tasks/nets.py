"""Networks: settings that build an nn.Module once the number of features is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from sim.checks import within
from sim.lazy import torch
from sim.random import key
from sim.tasks.start import keyed


class Activation(Enum):
    """Non-linearity between layers."""

    relu = "relu"
    tanh = "tanh"


@dataclass
class Net:
    """One entry of the `net` config group."""

    def build(self, features: int, outputs: int) -> torch.nn.Module:
        """Module that maps [B, features] to [B, outputs], without buffers.

        Training starts from its values; on torch's `meta` device it has none, and they are drawn by the run's seed.
        """
        raise NotImplementedError

    def module(self, features: int, outputs: int) -> torch.nn.Module:
        """What `build` gives; whatever it draws from torch's generator is the same in every process."""
        with keyed(key(0, "net") % 2**63):
            return self.build(features, outputs)


@dataclass
class Linear(Net):
    """One affine map: logistic regression, or a linear hazard."""

    def build(self, features: int, outputs: int) -> torch.nn.Module:
        """Module that maps [B, features] to [B, outputs]."""
        return torch.nn.Linear(features, outputs, device="meta")


@dataclass
class MLP(Net):
    """Fully connected layers."""

    hidden: list[int] = field(default_factory=lambda: [32])  # units of each hidden layer, >= 1
    activation: Activation = Activation.relu

    def __post_init__(self) -> None:
        for layer, units in enumerate(self.hidden):
            within(f"net.hidden[{layer}]", units, 1)

    def build(self, features: int, outputs: int) -> torch.nn.Module:
        """Module that maps [B, features] to [B, outputs]."""
        widths = [features, *self.hidden]
        layers: list[torch.nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers.append(torch.nn.Linear(fan_in, fan_out, device="meta"))
            layers.append(torch.nn.ReLU() if self.activation is Activation.relu else torch.nn.Tanh())
        return torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], outputs, device="meta"))


@dataclass
class MLPBN(MLP):
    """Fully connected layers, each hidden one batch-normalised in place of a bias before its activation."""

    def build(self, features: int, outputs: int) -> torch.nn.Module:
        """Module that maps [B, features] to [B, outputs]."""
        from sim.tasks.normed import BatchNorm

        *hidden, last = super().build(features, outputs).children()
        layers: list[torch.nn.Module] = []
        for layer in hidden:
            layers.append(layer)
            if isinstance(layer, torch.nn.Linear):
                layer.register_parameter("bias", None)
                layers.append(BatchNorm(layer.out_features, device="meta"))
        return torch.nn.Sequential(*layers, last)


NETS: dict[str, type[Net]] = {"linear": Linear, "mlp": MLP, "mlpbn": MLPBN}
