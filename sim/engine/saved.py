"""A training as arrays that can be written and read back, and its clock, which is replayed from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints
from sim.engine.simulation import Standing
from sim.lazy import torch
from sim.methods.roles import below
from sim.methods.systems.base import Losses, Tick

STATE, OPTIMISER = "state/", "optimiser/"

Parts = dict[str, NDArray[Any]]


def standing_arrays(here: Standing) -> Parts:
    """A standing as arrays; `read_standing` is the inverse."""
    numbers = {"number": np.array(here.number), "seconds": np.array(here.seconds, np.float64)}
    state = {STATE + name: part.numpy() for name, part in here.state.items()}
    return numbers | {"x": here.x.numpy()} | state | {OPTIMISER + n: part.numpy() for n, part in here.optimiser.items()}


def read_standing(arrays: Mapping[str, NDArray[Any]]) -> Standing:
    """The standing that was saved."""
    tensors = {name: torch.from_numpy(np.array(part)) for name, part in arrays.items()}
    return Standing(
        int(arrays["number"]), float(arrays["seconds"]), tensors["x"], below(tensors, STATE), below(tensors, OPTIMISER)
    )


def several_arrays(models: list[Standing]) -> Parts:
    """Standings of several server models as arrays; `read_several` is the inverse."""
    parts = {f"{at}/{name}": part for at, here in enumerate(models) for name, part in standing_arrays(here).items()}
    return {"models": np.array(len(models))} | parts


def read_several(arrays: Mapping[str, NDArray[Any]]) -> list[Standing]:
    """The standings that were saved."""
    return [read_standing(below(arrays, f"{at}/")) for at in range(int(arrays["models"]))]


def ticks_after(
    number: int, start: Callable[[Losses], Iterator[Tick]], losses: Losses, told: list[Floats]
) -> Iterator[Tick]:
    """Ticks of a clock after the first `number`, which are replayed.

    The replay uses the losses in `told`; later ones are added to the list. Therefore a clock need not be saved, and one
    whose choice depends on models of past rounds makes the same choice again.
    """
    known = iter(tuple(told))

    def answer(sites: Ints) -> Floats:
        found = next(known, None)
        if found is None:
            found = losses(sites)
            told.append(found)
        return found

    return islice(start(answer), number, None)
