"""The contract between the axes of a federated method: what sites know, keep and send, and what the server receives.

Letters: S sites, C sites that train together, M uploads in one server update, P parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.lazy import Tensor, torch

State = dict[str, Tensor]
Message = dict[str, Tensor]  # name -> [C, P] or [C]
OWN = "own"  # name of the state that holds a site's own parameters; it starts at the initial model, not at zero


class Weighting(Enum):
    """Weight of a site in the mean over sites, and so in the objective of the federation."""

    patients = "patients"  # its training rows: every patient has the same weight
    sites = "sites"  # every site has the same weight


class Role:
    """One axis of a method: the state that it keeps at the sites and at the server, and what of it is sent.

    Shapes are letters: "P" one number per parameter, "" one number, "S" one number per site (server only). All state is
    zero at the start.
    """

    axis: ClassVar[str]  # its config group; an entry is called by its class name in lower case

    site_state: ClassVar[Mapping[str, str]] = {}  # name -> shape for each site
    server_state: ClassVar[Mapping[str, str]] = {}  # name -> shape
    broadcast: ClassVar[tuple[str, ...]] = ()  # those of server_state that are sent with the model and counted in bytes


def width(shape: str, parameters: int) -> int:
    """Numbers that a site keeps or sends for a state of this shape."""
    return parameters if shape == "P" else 1


def unavailable(v: Tensor) -> Tensor:
    """Placeholder of `Local.loss` and `Local.gradient` where they are not available: inside `Algorithm.objective`."""
    raise RuntimeError(
        "the loss over all training rows and its gradient are not known inside an objective; ask for them in `upload`"
    )


def ungrouped(v: Tensor) -> Tensor:
    """Placeholder of `Local.cells` for algorithms that are not derived from `Grouped`."""
    raise RuntimeError("no groups of patients are known here; derive the algorithm from `Grouped`, and ask in `upload`")


def no_rows(v: Tensor) -> tuple[Tensor, Tensor]:
    """Placeholder of `Local.row_losses` where it is not available."""
    raise RuntimeError("the losses of all training rows are not known here; ask for them in `upload`")


@dataclass(frozen=True)
class Local:
    """What C sites that train together know."""

    x: Tensor  # [C, P] model that each site downloaded, with its private parameters
    start: Tensor  # [C, P] start of its steps: x, unless the site trains its own model
    server: State  # name -> [P] or [], broadcast with the model
    site: State  # name -> [C, P] or [C], kept at each site since its last round
    rows: Tensor  # [C] training rows
    steps: Tensor  # [C] local steps K_i
    norm: Tensor  # [C] |a_i|_1 of Wang et al. 2020: K_i for plain SGD, more with momentum
    lr: float
    loss: Callable[[Tensor], Tensor] = unavailable  # [C, P] -> [C], over all training rows; costs a forward pass
    cells: Callable[[Tensor], Tensor] = ungrouped  # [C, P] -> [C, 2, 3, 3], see `sim.local.cells`; a forward pass
    gradient: Callable[[Tensor], Tensor] = unavailable  # [C, P] -> [C, P], of F_i over all training rows
    counts: Tensor | None = None  # [C, K] training rows of each class, where the algorithm asks for `class_counts`
    row_losses: Callable[[Tensor], tuple[Tensor, Tensor]] = no_rows  # [C, P] -> [C, B] of each, and bool, real rows

    def only(self, low: int, high: int) -> Local:
        """The sites from `low` to before `high`; loss and gradient remain those of all sites."""
        if low == 0 and high == len(self.x):
            return self
        site = {name: part[low:high] for name, part in self.site.items()}
        cut = {name: getattr(self, name)[low:high] for name in ("x", "start", "rows", "steps", "norm")}
        counts = None if self.counts is None else self.counts[low:high]
        return replace(self, site=site, counts=counts, **cut)


class Correction(NamedTuple):
    """What is added to the gradient of every local step of a phase: `w -= lr (g + pull (w - anchor) + drift)`."""

    pull: float | Tensor = 0.0  # or one for each site, [C]
    drift: Tensor | None = None  # [C, P]
    anchor: Tensor | None = None  # [C, P]; None = the model that was downloaded

    def anchored(self, x: Tensor) -> Correction:
        """The same with its anchor written out."""
        return self if self.anchor is not None else self._replace(anchor=x)

    def only(self, low: int, high: int) -> Correction:
        """Correction of some of the sites."""
        parts = (part[low:high] if isinstance(part, Tensor) else part for part in self)
        return Correction(*parts)  # type: ignore[arg-type]

    def added(self, g: Tensor, w: Tensor) -> Tensor:
        """Direction of a step from a gradient at w; an anchored correction; [C, P], [C, P] -> [C, P]."""
        if isinstance(self.pull, Tensor) or self.pull:
            assert self.anchor is not None
            g = g + (self.pull[:, None] if isinstance(self.pull, Tensor) else self.pull) * (w - self.anchor)
        return g if self.drift is None else g + self.drift


class Phase(NamedTuple):
    """A sequence of local steps. Batches continue where the last phase stopped; momentum restarts."""

    steps: Tensor  # [C], in the same order as the sites: most steps first
    correction: Correction
    moves: Tensor | None = None  # bool [P], the parameters that move; None = all

    def only(self, low: int, high: int) -> Phase:
        """The phase of some of the sites."""
        return self._replace(steps=self.steps[low:high], correction=self.correction.only(low, high))


class Gradient(Protocol):
    """Gradient of every site's objective on the batches of one local step."""

    def __call__(self, v: Tensor, batch: int = 0) -> Tensor:
        """At models v, on the step's batch of this number (below `Algorithm.batches`); [C, P] -> [C, P]."""


class Draw(Protocol):
    """Uniform numbers in [0, 1), determined by round, site and coordinate, whichever process draws them."""

    def __call__(self, name: str, round: int | None = None) -> Tensor:
        """The draw of this name, for the given or the current round; [C, P] at the sites, [P] at the server."""


@dataclass(frozen=True)
class Heard:
    """What the server knows in an update."""

    x: Tensor  # [P] its model
    mean: Message  # name -> [P] or [], the aggregate of each part of the message
    each: Message  # name -> [M]: scalars of every upload; and [M, P] vectors where the aggregator sees whole uploads
    sites: NDArray[np.int64]  # [M] ascending
    p: Tensor  # [M] weights of the uploads, sum 1
    share: float  # weight of the sites that were heard over the weight of all sites (M/S when uniform)


def example(sites: int = 3, parameters: int = 5, dtype: torch.dtype | None = None, **state: str) -> Local:
    """A `Local` with random models for tests of a method; `state` names the state at sites and server, by shape."""
    g = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=dtype)

    x = normal(sites, parameters)
    count = torch.arange(sites, 0, -1).to(x.dtype)
    return Local(
        x=x,
        start=x,
        server={name: normal(parameters) if shape == "P" else normal(1)[0] for name, shape in state.items()},
        site={name: normal(sites, parameters) if shape == "P" else normal(sites) for name, shape in state.items()},
        rows=10 * count,
        steps=count,
        norm=count,
        lr=0.1,
        loss=lambda v: v.square().sum(1),
        cells=lambda v: (
            v.square().sum(1)[:, None, None, None] * torch.tensor([3.0, 1.0, 2.0]).to(v) + v.new_zeros(2, 3, 1)
        ),
        gradient=lambda v: 2 * v,
    )
