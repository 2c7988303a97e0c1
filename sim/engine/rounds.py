"""The engine: rounds of any algorithm over any federation, on any executor."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sim.checks import within
from sim.engine.evaluation import Metrics
from sim.engine.executors import Crew, Executor, crew
from sim.engine.messages import Broadcast, Upload, cut
from sim.engine.worker import Job
from sim.federation.federation import Federation
from sim.local.settings import Training
from sim.methods.algorithms.base import Algorithm
from sim.methods.servers import Server
from sim.methods.systems import System
from sim.profiling import stage
from sim.tasks.task import Task

SCORED = ("valid", "test")  # splits that models are judged on


class Diverged(ArithmeticError):
    """A model left the finite numbers."""

    def __init__(self, round: int, why: str = "the server's step is not finite; lower local.lr or server.lr") -> None:
        super().__init__(f"diverged in round {round}: {why}.")


class KeepPredictions(Enum):
    """Which scores of held-out rows a run keeps."""

    none = "none"
    last = "last"  # those of the last round


@dataclass
class Evaluation:
    """The `evaluation` config group: the server model is scored on `valid` and `test` rows of every site."""

    every: int = 1  # >= 1 rounds between scorings; the first and the last round are always scored
    predictions: KeepPredictions = KeepPredictions.none  # whether the held-out rows are kept with their scores
    groups: list[str] = field(default_factory=list)  # columns of patient groups; empty = sex, race, age, insurance

    def __post_init__(self) -> None:
        within("evaluation.every", self.every, 1)


@dataclass(frozen=True)
class Round:
    """What is known after a round; round 0 is the start."""

    number: int
    model: Tensor  # [P]
    bytes_down: int = 0
    bytes_up: int = 0
    sites: int = 0  # that answered
    step_norm: float = 0.0
    loss: float = float("nan")  # validation loss weighted by rows
    metrics: Metrics | None = None  # None when not scored


@dataclass(frozen=True)
class Simulation:
    """One federated training: the roles, each a value."""

    federation: Federation
    task: Task
    algorithm: Algorithm
    server: Server
    training: Training
    system: System
    evaluation: Evaluation
    rounds: int
    seed: int
    steps: NDArray[np.int64] | None = None  # [S] local steps of each site, in place of `training`'s own

    def due(self, round: int) -> bool:
        """Whether models are scored after this round."""
        return round % self.evaluation.every == 0 or round == self.rounds

    @property
    def job(self) -> Job:
        """What the executor's processes need."""
        return Job(self.federation, self.task, self.algorithm, self.training, SCORED, self.seed)

    @property
    def site_steps(self) -> NDArray[np.int64]:
        """Local steps of each site in a round, [S]."""
        return self.training.site_steps(self.federation.rows) if self.steps is None else self.steps

    @property
    def work(self) -> NDArray[np.float64]:
        """Multiply-adds of a forward pass over all that each site trains on in a round, [S]; to share work out by."""
        rows = self.federation.rows
        batch = np.minimum(self.training.batch or rows, rows)
        return np.asarray(self.site_steps * batch * float(self.task.layout.size))


def simulate(simulation: Simulation, executor: Executor, start: Tensor | None = None) -> Iterator[Round]:
    """Rounds 0 to `rounds`, one by one; `start` [P] replaces the task's own. Raises Diverged."""
    with crew(executor, simulation.job) as hands:
        yield from rounds(simulation, hands, start)


def rounds(simulation: Simulation, hands: Crew, start: Tensor | None) -> Iterator[Round]:
    """Rounds on an open executor."""
    algorithm, federation = simulation.algorithm, simulation.federation
    training, seed = simulation.training, simulation.seed
    dtype = torch.from_numpy(federation.x[:0]).dtype
    x = (simulation.task.init(seed) if start is None else start).to(dtype)
    members = federation.members
    state = {name: torch.zeros_like(x) for name in algorithm.server_state}
    optimiser = simulation.server.start(x)
    steps, work = simulation.site_steps, simulation.work
    weights = np.zeros(len(federation.sites))  # an external site has none
    weights[members] = algorithm.weights(torch.from_numpy(federation.rows[members]).double()).numpy()
    yield scored(simulation, hands, Round(0, x))
    for number in range(1, simulation.rounds + 1):
        asked = members[simulation.system.sample(len(members), seed, number)]
        chosen = asked[simulation.system.answers(federation.keys[asked], seed, number)]
        down = {name: state[name].numpy() for name in algorithm.broadcast}
        broadcast = Broadcast(number, training.rate(number), x.numpy(), down)
        here = Round(number, x, bytes_down=broadcast.bytes_site * len(asked))
        if not len(chosen):  # nobody answered: the server has nothing to move by
            yield scored(simulation, hands, here) if simulation.due(number) else here
            continue
        orders = cut(chosen, steps, weights, work, training.chunk)
        with stage("training"):
            uploads = hands.train(broadcast, orders)
        hands.shelf.turn(chosen)
        mean = average(uploads, float(weights[chosen].sum()), dtype)
        step, state = algorithm.server(mean, state, float(weights[chosen].sum() / weights.sum()))
        step, optimiser = simulation.server.update(step, optimiser)
        x = x + step
        norm = float(step.double().norm())
        if not np.isfinite(norm):
            raise Diverged(number)
        up = uploads[0].bytes_site * len(chosen)
        here = replace(here, model=x, bytes_up=up, sites=len(chosen), step_norm=norm)
        yield scored(simulation, hands, here) if simulation.due(number) else here


def average(uploads: list[Upload], weight: float, dtype: torch.dtype) -> dict[str, Tensor]:
    """Weighted mean message: chunk sums added in chunk order, in float64; name -> [P] or []."""
    mean = {}
    for name in uploads[0].total:
        total = np.zeros_like(uploads[0].total[name])
        for upload in uploads:
            total = total + upload.total[name]
        mean[name] = torch.as_tensor(total / weight).to(dtype)
    return mean


def scored(simulation: Simulation, hands: Crew, here: Round) -> Round:
    """The round with its model judged on every site's held-out rows."""
    with stage("evaluation"):
        metrics = hands.judge(here.model.numpy())
    if not metrics:
        return here
    loss = mean_loss(of_valid(metrics["loss"]), simulation.federation.rows_of("valid"))
    return replace(here, loss=loss, metrics=metrics)


def of_valid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The validation split's part of a metric of every site and split; [S * splits] -> [S]."""
    return values[SCORED.index("valid") :: len(SCORED)]


def mean_loss(loss: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
    """Mean over rows of the sites' mean losses, NaN without rows; [S], [S]."""
    some = rows > 0
    return float(np.average(loss[some], weights=rows[some])) if some.any() else float("nan")
