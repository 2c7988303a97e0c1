"""One training of a known quadratic: what the engine makes of it, and the schedule a closed form needs."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sim.engine.executors import InProcess, crew
from sim.engine.loops import OwnLoop
from sim.engine.messages import Arrays
from sim.engine.rounds import rounds, simulate
from sim.engine.simulation import Evaluation, Round, Simulation
from sim.local.settings import Training
from sim.methods.contract import OWN, Weighting
from sim.methods.roles import Roles
from sim.methods.systems.base import Losses, Profile, System
from sim.methods.systems.base import Tick as EngineTick
from sim.methods.systems.sync import Sync
from sim.verify.quadratic import Array, LeastSquares, Quadratic, least_squares

T = TypeVar("T")


@dataclass
class Planned(Sync):
    """Synchronous rounds in which every site takes a given number of steps."""

    planned: tuple[int, ...] = ()  # [S]

    def ticks(self, profile: Profile, rounds: int, losses: Losses) -> Iterator[EngineTick]:
        """Those of `Sync`."""
        return super().ticks(replace(profile, steps=np.array(self.planned)), rounds, losses)


class Tick(NamedTuple):
    """A round, as the papers see it."""

    lr: float
    sites: NDArray[np.int64]  # [M] those that train
    p: Array  # [M] their weights in the mean, sum 1
    share: float  # their weight over the weight of all sites


@dataclass(frozen=True)
class Trial:
    """A quadratic and the circumstances of its training; full batches unless `training` says otherwise."""

    problem: Quadratic
    steps: tuple[int, ...]  # [S] local steps K_i
    rounds: int
    training: Training
    weighting: Weighting = Weighting.patients
    system: System = field(default_factory=Sync)
    seed: int = 0
    module: Callable[[], nn.Module] | None = None  # the linear map in another form; None = one layer
    first: tuple[float, ...] = ()  # [D] the first model; empty = see `start`

    @property
    def start(self) -> Array:
        """Not zero, so that confusing a model with its change is detected; [D]."""
        if self.first:
            return np.array(self.first)
        return np.linspace(0.5, 1.5, self.problem.centre.shape[1])

    @property
    def weights(self) -> Array:
        """Weight of every site in the objective, sum 1; [S]."""
        weights = self.problem.rows if self.weighting is Weighting.patients else np.ones_like(self.problem.rows)
        return np.asarray(weights / weights.sum())

    def optimum(self) -> Array:
        """Where the pooled objective is least; [D]."""
        return self.problem.optimum(self.weights)

    def plan(self, roles: Roles) -> Simulation:
        """The engine's view; a synchronous system takes the trial's steps."""
        system = self.system
        if type(system) is Sync:
            system = Planned(**vars(system), planned=self.steps)
        return Simulation(
            federation=self.problem.federation,
            task=in_another_form(self.module) if self.module else least_squares(self.problem.centre.shape[1]),
            roles=replace(roles, weighting=self.weighting, system=system),
            training=self.training,
            evaluation=Evaluation(),
            rounds=self.rounds,
            seed=self.seed,
        )

    def path(self, roles: Roles) -> Array:
        """Server models of rounds 0 to `rounds` from the engine; [T + 1, D]."""
        going = simulate(self.plan(roles), InProcess(), torch.from_numpy(self.start))
        return np.stack([here.model.numpy() for here in going])

    def end(self, roles: Roles) -> Array:
        """The last server model from the engine; [D]."""
        return np.asarray(self.path(roles)[-1])

    def own(self, roles: Roles) -> Array:
        """What the sites keep of their own after the last round; [S, D]."""
        *_, (_, kept) = self.states(roles)
        return kept[OWN].astype(np.float64)

    def states(self, roles: Roles) -> Iterator[tuple[Array, Arrays]]:
        """Server model [D] and what the sites keep, name -> [S, n], at the start and after every round."""
        plan = self.plan(roles)
        with crew(InProcess(), plan.job) as opened:
            for here in rounds(plan, opened, plan.standing(torch.from_numpy(self.start))):
                yield here.model.numpy(), opened.memory.read(np.arange(len(self.steps)))

    def each(self, method: OwnLoop, see: Callable[[Round], T]) -> list[T]:
        """What `see` reads of every round of a method with a loop of its own, from the task's own start."""
        plan = self.plan(method.roles(Roles()))
        with crew(InProcess(), plan.job) as opened:
            return [see(here) for here in method.rounds(plan, opened)]

    def loop(self, method: OwnLoop) -> Array:
        """Server models of such a method; [T + 1, J, D]."""
        return np.stack(self.each(method, lambda here: here.model.numpy()))

    def used(self, method: OwnLoop) -> Array:
        """The model that every site uses after each round of such a method; [T + 1, S, D]."""
        return np.stack(self.each(method, site_models)).astype(np.float64)

    def ticks(self) -> Iterator[Tick]:
        """The rounds' rates, sites and weights."""
        for number in range(1, self.rounds + 1):
            sites = self.system.sample(len(self.weights), self.seed, number)
            share = self.weights[sites].sum()
            lr = self.training.lr * self.training.decay ** (number - 1)
            yield Tick(lr, sites, self.weights[sites] / share, float(share))


def site_models(here: Round) -> Array:
    """Models that sites deploy after a round, where each has one of its own; [S, D]."""
    assert here.deployed is not None
    return np.asarray(here.deployed())


@functools.cache
def in_another_form(module: Callable[[], nn.Module]) -> LeastSquares:
    """The task with a module of its own; one object for each, see `least_squares`."""
    return LeastSquares(module())


def gap(one: Array, other: Array) -> float:
    """Largest absolute difference."""
    return float(np.abs(one - other).max())


def narrow(entry: type[object], kind: type[T]) -> type[T]:
    """The class as one with `kind`'s settings, which its closed form is written in."""
    if not issubclass(entry, kind):
        raise TypeError(f"{entry.__name__} must be a {kind.__name__} to be held against its closed form")
    return entry
