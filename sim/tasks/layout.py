"""Models as vectors: the layout of the trained parameters of an ordinary nn.Module in one flat tensor."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod

from sim.checks import Refused
from sim.lazy import Tensor, torch


@dataclass(frozen=True)
class Layout:
    """Names and shapes of a module's trained parameters, concatenated in one vector [P]."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, module: torch.nn.Module) -> Layout:
        """Layout of a module: a parameter that is used twice counts once, one that needs no gradient stays out.

        Refuses a module with buffers, which would be averaged as if they were weights, with parameters that are no
        real numbers in this process's memory, or with none to train.
        """
        kind = type(module).__name__
        buffers = [name for name, _ in module.named_buffers()]
        if buffers:
            raise Refused(
                f"{kind} has buffers ({', '.join(buffers)}); use a module without them, such as GroupNorm, LayerNorm "
                "or sim.tasks.normed.BatchNorm for torch's BatchNorm, and constants as plain attributes."
            )
        for name, parameter in module.named_parameters():
            if torch.nn.parameter.is_lazy(parameter):
                raise Refused(f"{kind}.{name} has no shape yet: call the module once, or give its size.")
            if not parameter.is_floating_point():
                raise Refused(f"{kind}.{name} is {parameter.dtype}: parameters must be real floating-point numbers.")
            if parameter.device.type not in ("cpu", "meta"):
                raise Refused(f"{kind}.{name} is on {parameter.device}: models are trained on the CPU. Call .cpu().")
            if parameter.is_meta and not parameter.requires_grad:
                raise Refused(f"{kind}.{name} is frozen (requires_grad=False) and has no values (device='meta').")
        named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        if not named:
            raise Refused(f"{kind} has no parameter to train: each is frozen (requires_grad=False), or there is none.")
        return cls(tuple(name for name, _ in named), tuple(tuple(p.shape) for _, p in named))

    @property
    def sizes(self) -> list[int]:
        """Number of entries of each parameter, in order."""
        return [prod(shape) for shape in self.shapes]

    @property
    def size(self) -> int:
        """Number of parameters, P."""
        return sum(self.sizes)

    @property
    def norms(self) -> list[str]:
        """Names of the batch norms: of what has running statistics, see `sim.tasks.normed`."""
        return [name.rpartition(".")[0] for name in self.names if name.rpartition(".")[2] == "running_mean"]

    def marks(self, names: Collection[str]) -> Tensor:
        """Which entries of a vector belong to these parameters; bool [P]."""
        return torch.tensor([name in names for name in self.names]).repeat_interleave(torch.tensor(self.sizes))

    @property
    def statistics(self) -> Tensor:
        """Running statistics of batch norms; bool [P]."""
        kinds = ("running_mean", "running_var")
        return self.marks({f"{norm}.{kind}".lstrip(".") for norm in self.norms for kind in kinds})

    def unpack(self, v: Tensor) -> dict[str, Tensor]:
        """Views of the vector by the names of the module's parameters; [P] -> tensors of their shapes."""
        parts = torch.split(v, self.sizes)
        return {name: part.view(shape) for name, shape, part in zip(self.names, self.shapes, parts, strict=True)}

    def pack(self, tensors: Sequence[Tensor]) -> Tensor:
        """Vector of the tensors, given in the order of the layout; -> [P]."""
        return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def frozen(module: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters that keep the values the module came with, by name."""
    return {name: p.detach() for name, p in module.named_parameters() if not p.requires_grad}


def call(module: torch.nn.Module, layout: Layout, v: Tensor, x: Tensor) -> Tensor:
    """Output of the module with the parameters in `v`, frozen ones in its precision; [P], [B, D] -> [B, ...]."""
    kept = {name: part.to(v.dtype) for name, part in frozen(module).items()}
    output: Tensor = torch.func.functional_call(module, {**kept, **layout.unpack(v)}, (x,))
    return output
