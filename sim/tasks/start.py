"""Initial parameters: a module's own values or, for parameters without values, a draw determined by the seed.

A parameter on torch's `meta` device has a shape and no values. The networks of the `net` config group are built there;
a module with values, such as weights trained elsewhere, starts from these.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import numpy as np

from sim.checks import Refused
from sim.lazy import Tensor, torch
from sim.random import key, stream
from sim.tasks.layout import Layout


def brings_start(module: torch.nn.Module, layout: Layout) -> bool:
    """Whether some parameter that is trained has values already."""
    return any(not module.get_parameter(name).is_meta for name in layout.names)


def start(module: torch.nn.Module, layout: Layout, seed: int) -> Tensor:
    """Initial parameters in double precision, [P]: those with values as they are, the others drawn.

    A linear layer is drawn from `U(-b, b)` with `b = 1 / sqrt(fan_in)`, torch's default; any other by its own
    `reset_parameters`.
    """
    rng, drawn = stream(seed, "init"), dict[str, torch.nn.Module]()
    parts = []
    for name in layout.names:
        of, _, kind = name.rpartition(".")
        owner, parameter = module.get_submodule(of), module.get_parameter(name)
        if not parameter.is_meta:
            parts.append(parameter.detach())
        elif isinstance(owner, torch.nn.Linear):
            parts.append(linear(owner, parameter, rng))
        else:
            if of not in drawn:
                drawn[of] = redrawn(owner, of, key(seed, "init", of) % 2**63)
            parts.append(drawn[of].get_parameter(kind).detach())
    return layout.pack([part.double() for part in parts])


def linear(layer: torch.nn.Linear, parameter: Tensor, rng: np.random.Generator) -> Tensor:
    """A weight or bias of a linear layer."""
    bound = max(layer.in_features, 1) ** -0.5
    return torch.from_numpy(rng.uniform(-bound, bound, tuple(parameter.shape)))


def redrawn(layer: torch.nn.Module, name: str, word: int) -> torch.nn.Module:
    """Copy of a layer whose own parameters have the values of its `reset_parameters`."""
    reset = getattr(layer, "reset_parameters", None)
    if reset is None:
        raise Refused(
            f"{name or 'the network'}: {type(layer).__name__} has parameters without values (device='meta') and no "
            "reset_parameters() to draw them. Build it with values, or add that method."
        )
    made = deepcopy(layer).to_empty(device="cpu", recurse=False)
    with keyed(word):
        made.reset_parameters()  # type: ignore[operator]
    return made


@contextmanager
def keyed(word: int) -> Iterator[None]:
    """Context in which torch's global generator, which its modules use, has a state given by a key of 63 bits."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(word).get_state())
        yield
