"""One federated training as values: the federation, the task, the roles, and the state of the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints
from sim.checks import within
from sim.engine.evaluation import Metrics
from sim.engine.job import Job
from sim.federation.federation import Federation
from sim.lazy import Tensor, torch
from sim.local.settings import Training
from sim.local.tier import Choice, choose
from sim.methods.algorithms.grouped import Grouped
from sim.methods.contract import State, Weighting
from sim.methods.norms import refuse_norms
from sim.methods.roles import Roles
from sim.methods.systems.base import Losses, Profile, Tick
from sim.tasks.task import Task

SCORED = ("valid", "test")  # splits on which models are evaluated


class Diverged(ArithmeticError):
    """A model is no longer finite."""

    def __init__(self, round: int, why: str = "the server's step is not finite; lower local.lr or server.lr") -> None:
        super().__init__(f"diverged in round {round}: {why}.")


class KeepPredictions(Enum):
    """Which predictions of held-out rows a run keeps."""

    none = "none"
    last = "last"  # those of the last round


@dataclass
class Evaluation:
    """The `evaluation` config group: models are evaluated on `valid` and `test` rows of every site."""

    every: int = 1  # >= 1 rounds between evaluations; the first and the last round are always evaluated
    stop: int = 0  # >= 0 evaluations without a new lowest validation loss until training stops; 0 = no early stopping
    predictions: KeepPredictions = KeepPredictions.none  # which predictions of held-out rows are kept
    groups: list[str] = field(default_factory=list)  # columns of patient groups; empty = sex, race, age, insurance

    def __post_init__(self) -> None:
        within("evaluation.every", self.every, 1)
        within("evaluation.stop", self.stop, 0)


@dataclass(frozen=True)
class Standing:
    """The server's state of a training between two updates; the state of the sites is kept separately."""

    number: int  # server updates so far
    seconds: float  # simulated
    x: Tensor  # [P] server model
    state: State = field(repr=False)  # of algorithm and uplink, at the server
    optimiser: State = field(repr=False)


class Saved(NamedTuple):
    """What is needed to continue a training after a round, without the sites' state; made by `sim.engine.saved`."""

    arrays: Mapping[str, NDArray[Any]]  # its standing, and whatever else its loop holds
    told: Sequence[Floats] = ()  # losses that its clock asked for so far, in the order in which it did


class Estimates(NamedTuple):
    """Coefficients of an analysis from sums, per standardised feature."""

    names: tuple[str, ...]  # [P], the features and then the intercept where there is one
    beta: Floats  # [P]
    covariance: Floats  # [P, P] inverse of the information
    robust: Floats | None  # [P, P] of the sandwich, where the analysis gives it
    trusts_robust: bool = False  # whether intervals and p are from `robust`
    beside: Mapping[str, Floats] = MappingProxyType({})  # further numbers of each coefficient, each [P], without a unit
    notes: tuple[str, ...] = ()  # what else the analysis tells, in sentences
    left_out: tuple[str, ...] = ()  # features that are the same in all training rows


@dataclass(frozen=True)
class Round:
    """The result of a server update; round 0 is the initial model."""

    number: int
    model: Tensor  # [P]; [J, P] where there are several server models; [0] where none is a vector of parameters
    seconds: float = 0.0  # simulated, since the start
    bytes_down: int = 0
    bytes_up: int = 0
    bytes_control: int = 0  # orders to train, and of a scoring, beside both, see `sim.engine.traffic`
    bytes_evaluation: int = 0
    sites: int = 0  # whose uploads were taken
    stale: float = 0.0  # mean over these of the updates that the server made since the download
    step_norm: float = 0.0
    used: Mapping[int, float] = field(
        default_factory=dict
    )  # site -> how much of its upload the aggregator used, [0, 1]
    loss: float = float("nan")  # validation loss weighted by rows, of the models that are deployed
    metrics: dict[str, Metrics] = field(default_factory=dict)  # kind of model -> metrics; {} when not scored
    deployed: Callable[[], NDArray[np.floating]] | None = (
        None  # models that sites use, [S, P], NaN where a site has none;
    )
    # asked for before the next round begins; None = all use `model`
    estimates: Estimates | None = None  # of an exact analysis, after its last exchange
    mixture: Floats | None = None  # [S, J], or [1, J] for all: weights of the models whose predictions sites mix
    forest: Mapping[str, Floats] | None = None  # trees as arrays, where the model is no vector of parameters
    scores: Floats | None = None  # [N, *scores] of all held-out rows, where no vector of parameters gives them
    saved: Callable[[], Saved] | None = None  # asked for before the next round begins; None = it cannot go on from here


@dataclass(frozen=True)
class Simulation:
    """One federated training: the federation, the task, and a value for every axis."""

    federation: Federation
    task: Task
    roles: Roles
    training: Training
    evaluation: Evaluation
    rounds: int
    seed: int

    def __post_init__(self) -> None:
        """Tell the uplink the shapes of what is sent, and apply the local settings that the algorithm fixes."""
        if self.roles.uplink:
            uplink = tuple(one.over(self.shapes) for one in self.roles.uplink)
            object.__setattr__(self, "roles", replace(self.roles, uplink=uplink))
        laid_down: dict[str, Any] = dict(self.roles.algorithm.local)
        if laid_down:
            object.__setattr__(self, "training", replace(self.training, **laid_down))

    def due(self, round: int) -> bool:
        """Whether models are evaluated after this round."""
        return round % self.evaluation.every == 0 or round == self.rounds

    @cached_property
    def choice(self) -> Choice:
        """The tier of local training; refuses an impossible one, and a network that cannot be trained."""
        from sim.tasks.probe import probe, shapes

        found = choose(self.task, self.roles.algorithm, self.training)
        self.roles.attack.suits(self.federation.features, self.task.classes)
        refuse_norms(self.roles, self.training.clip > 0, self.task.layout, self.private)
        check = shapes if found.network else probe  # dense networks are known to do the rest right
        check(self.task, self.federation.x.shape[1], self.dtype)
        return found

    @property
    def job(self) -> Job:
        """What the executor's processes need; refuses a job that does not fit into memory."""
        made = Job(
            self.federation,
            self.task,
            self.roles,
            self.training,
            self.choice,
            self.private,
            SCORED,
            self.seed,
            self.codes,
        )
        made.refuse_too_large()
        return made

    @cached_property
    def codes(self) -> NDArray[np.int8] | None:
        """Group of every row [R] for an algorithm that uses groups; refuses tasks and columns that have none."""
        algorithm, federation = self.roles.algorithm, self.federation
        if not isinstance(algorithm, Grouped):
            return None
        algorithm.refuse_task(self.task)
        train = np.zeros(len(federation.x), dtype=bool)
        train[federation.held("train")[0]] = True
        return algorithm.codes(federation.groups, self.task.events(federation.y), train)

    @cached_property
    def private(self) -> Tensor:
        """Parameters that never leave a site, bool [P]."""
        return self.roles.personal.private(self.task.layout)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the parameters that are sent, in order."""
        layout = self.task.layout
        marks = torch.split(self.private, layout.sizes)
        return [shape for shape, stays in zip(layout.shapes, marks, strict=True) if not stays.any()]

    @property
    def shared(self) -> int:
        """Number of parameters that are sent."""
        return int((~self.private).sum())

    @property
    def dtype(self) -> torch.dtype:
        """Precision of models and messages: that of the features."""
        return torch.from_numpy(self.federation.x[:0]).dtype

    @cached_property
    def profile(self) -> Profile:
        """What the clock knows about the sites."""
        base = self.federation.rows * 1.0 if self.roles.weighting is Weighting.patients else self.federation.rows > 0
        itemsize, asked = self.federation.x.itemsize, self.roles.system.uploads(len(self.federation.members))
        return Profile(
            members=self.federation.members,
            keys=self.federation.keys,
            steps=self.training.site_steps(self.federation.rows),
            bytes_down=self.roles.bytes_down(self.shared, itemsize, asked),
            bytes_up=self.roles.bytes_up(self.shared, itemsize, asked),
            seed=self.seed,
            bytes_prelude=self.roles.bytes_prelude(self.shared, itemsize),
            drawn=lambda steps, round: self.roles.algorithm.steps(steps, self.seed, round),
            share=base / base.sum(),
        )

    def ticks(self, losses: Losses) -> Iterator[Tick]:
        """The clock. Refuses a federation with too few sites for the roles."""
        members = self.federation.members
        total = len(members) if self.roles.weighting is Weighting.sites else self.federation.rows[members].sum()
        self.roles.fits(len(members), float(total), self.shared)
        return self.roles.system.ticks(self.profile, self.rounds, losses)

    def work(self, steps: Ints) -> Floats:
        """Multiply-adds of a forward pass over all batches of so many steps at each site, [S]."""
        rows = self.federation.rows
        batch = np.minimum(self.training.batch or rows, rows)
        return np.asarray(steps * batch * float(self.task.layout.size))

    def weights(self, state: State) -> Floats:
        """Weight of every site in the mean of the next round, [S]; an external site has none."""
        rows = self.federation.rows
        base = torch.from_numpy(rows).double()
        if self.roles.weighting is Weighting.sites:
            base = (base > 0).double()
        return np.where(rows > 0, self.roles.algorithm.weights(base, state).numpy(), 0.0)

    def standing(self, start: Tensor | None = None) -> Standing:
        """Before the first round, from the task's own start or `start` [P]."""
        x = (self.task.init(self.seed) if start is None else start).to(self.dtype)
        shapes = self.roles.server_state(self.task.layout.size, self.shared, len(self.federation.sites))
        state = {name: torch.zeros(shape, dtype=x.dtype) for name, shape in shapes.items()}
        return Standing(0, 0.0, x, state, self.roles.server.start(x))
