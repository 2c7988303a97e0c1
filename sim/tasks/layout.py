"""Models as vectors: the layout of the parameters of an ordinary nn.Module in one flat tensor."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.func import functional_call


@dataclass(frozen=True)
class Layout:
    """Names and shapes of a module's parameters, concatenated in one vector [P]."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, module: nn.Module) -> "Layout":
        """Layout of a module; raises if it has buffers, which would be averaged as if they were weights."""
        buffers = [name for name, _ in module.named_buffers()]
        if buffers:
            raise ValueError(f"{type(module).__name__} has buffers ({', '.join(buffers)}); use a module without them.")
        named = list(module.named_parameters())
        return cls(tuple(name for name, _ in named), tuple(tuple(p.shape) for _, p in named))

    @property
    def sizes(self) -> list[int]:
        """Number of entries of each parameter, in order."""
        return [prod(shape) for shape in self.shapes]

    @property
    def size(self) -> int:
        """Number of parameters, P."""
        return sum(self.sizes)

    def unpack(self, v: Tensor) -> dict[str, Tensor]:
        """Views of the vector by the names of the module's parameters; [P] -> tensors of their shapes."""
        parts = torch.split(v, self.sizes)
        return {name: part.view(shape) for name, shape, part in zip(self.names, self.shapes, parts, strict=True)}

    def pack(self, tensors: Sequence[Tensor]) -> Tensor:
        """Vector of the tensors, given in the order of the layout; -> [P]."""
        return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def call(module: nn.Module, layout: Layout, v: Tensor, x: Tensor) -> Tensor:
    """Output of the module with the parameters in `v`; [P], [B, D] -> [B, ...]."""
    output: Tensor = functional_call(module, layout.unpack(v), (x,))
    return output
