"""Random states, sites and uploads that hooks are called with; the same every time."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sim.checks import Refused
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Local, Message, State, example
from sim.methods.uplink.base import Transform
from sim.tasks.classify import Classification
from sim.tasks.task import Batch, Task
from sim.verify.conformance.answers import Broken
from sim.verify.quadratic import LeastSquares

C, P, M, S = 3, 6, 7, 9  # sites of a chunk, parameters, uploads of an update, sites
SERVER: dict[str, tuple[int, ...]] = {"P": (P,), "S": (S,), "": ()}


def normal(seed: int, *shape: int, dtype: torch.dtype) -> Tensor:
    """Normal random numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def lengths(first: int) -> dict[str, tuple[int, ...]]:
    """Shapes by letter of so many sites or uploads."""
    return {"P": (first, P), "": (first,)}


def state(declared: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> State:
    """Random values of what a role declares."""
    return {name: normal(at, *shapes[shape], dtype=dtype) for at, (name, shape) in enumerate(declared.items())}


def local(role: type[Algorithm] | type[Transform], dtype: torch.dtype) -> Local:
    """What sites know; of the server they have what is broadcast, the mean of the prelude, and nothing else."""
    below = {name: role.server_state[name] for name in role.broadcast}
    counts = None
    if issubclass(role, Algorithm):
        below |= role.prelude
        counts = torch.tensor([[5, 2], [0, 3], [4, 1]], dtype=dtype) if role.class_counts else None
    sites = state(role.site_state, lengths(C), dtype)
    return replace(example(C, P, dtype), site=sites, server=state(below, SERVER, dtype), counts=counts)


def two_layers(outputs: int) -> nn.Module:
    """A network of P parameters for one feature, with a representation of two numbers."""
    return nn.Sequential(nn.Linear(1, 2, device="meta"), nn.Tanh(), nn.Linear(2, outputs, bias=False, device="meta"))


def task_for(made: Algorithm) -> tuple[Task, Batch]:
    """The first of a few tasks with P parameters that an algorithm does not refuse, and a batch of C sites."""
    label = normal(4, C, 4, dtype=torch.float64)
    wide, narrow = normal(3, C, 4, P, dtype=torch.float64), normal(3, C, 4, 1, dtype=torch.float64)
    plain = LeastSquares(nn.Linear(P, 1, bias=False, device="meta"))
    binary = Classification(nn.Linear(P, 1, bias=False, device="meta"))
    cases: list[tuple[Task, Tensor, str, Tensor]] = [
        (plain, wide, "value", label),
        (binary, wide, "label", (label > 0).double()),
        (LeastSquares(two_layers(1)), narrow, "value", label),
    ]
    for task, x, name, y in cases:
        with contextlib.suppress(Refused):
            made.fits(task)
            return task, Batch(x, {name: y}, torch.ones(C, 4, dtype=torch.bool))
    raise Broken(f"{type(made).__name__}.fits refuses every task, with or without classes and hidden layers.")


def uploads(count: int, dtype: torch.dtype) -> Message:
    """Uploads of one vector and one scalar."""
    return {"delta": normal(7, count, P, dtype=dtype), "norm": 1 + normal(8, count, dtype=dtype).abs()}


def of_site(c: int, *parts: Mapping[str, Tensor]) -> list[State]:
    """The part of one site in each."""
    return [{name: value[c : c + 1] for name, value in part.items()} for part in parts]


@dataclass(frozen=True)
class Drawn:
    """Uniform numbers by name and site, for some of the C sites."""

    low: int
    high: int
    dtype: torch.dtype
    width: int = P

    def __call__(self, name: str, round: int | None = None) -> Tensor:
        """A draw of this name."""
        g = torch.Generator().manual_seed(len(name))
        return torch.rand(C, self.width, generator=g, dtype=self.dtype)[self.low : self.high]
