"""What federated methods are judged by: each site alone, all rows in one place, and the truth itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from sim.checks import Refused, within
from sim.engine.evaluation import Held, Metrics, Rated, measure, rate
from sim.engine.executors import Crew
from sim.engine.messages import Broadcast, cut
from sim.engine.rounds import SCORED, Diverged, Simulation, mean_loss, of_valid
from sim.federation.federation import Federation
from sim.local.plan import Step
from sim.local.rows import Rows
from sim.methods.algorithms.base import Algorithm, Local, Message, Method, State
from sim.metrics.segments import segment_sum
from sim.profiling import stage
from sim.progress import Watch
from sim.tasks.task import Batch, Task

Objective = Callable[[Tensor], Tensor]  # [P] -> scalar


@dataclass
class Reference(Method):
    """A yardstick: no message is exchanged, nothing is averaged."""

    def judge(self, simulation: Simulation, hands: Crew, watch: Watch) -> Metrics:
        """Metrics of every site and split at the end; `watch` is told how many rounds' worth of work is done."""
        raise NotImplementedError


@dataclass
class LocalOnly(Reference):
    """Every site alone, as many steps as in the federation, each at its own best rate and round by validation loss."""

    model = "local"

    factors: list[float] = field(default_factory=lambda: [0.3, 1.0, 3.0])  # > 0; rates tried, as multiples of local.lr

    def __post_init__(self) -> None:
        if not self.factors:
            raise Refused("algorithm.factors=[]: at least one multiple of local.lr is needed, for example [1.0].")
        for at, factor in enumerate(self.factors):
            within(f"algorithm.factors[{at}]", factor, 0, open_low=True)

    @property
    def trains_as(self) -> Algorithm:
        """Every site for itself."""
        return Alone()

    def judge(self, simulation: Simulation, hands: Crew, watch: Watch) -> Metrics:
        """Each site's own model.

        A site without validation rows (for Cox: events) takes the rate nearest local.lr and the last round.
        """
        middle = min(self.factors, key=lambda factor: abs(np.log(factor)))
        watched = Held.of(simulation.federation, ("valid",))
        seen = segment_sum(simulation.task.informative(watched.y), watched.segment, watched.segments) > 0
        best = np.full(len(seen), np.inf)
        chosen: Metrics = {}
        for tried, factor in enumerate(self.factors):
            for number in alone(simulation, hands, factor):
                watch((tried * simulation.rounds + number) // len(self.factors))
                if not simulation.due(number):
                    continue
                with stage("evaluation"):
                    metrics = hands.judge(None)
                blind = 0.0 if factor == middle and number == simulation.rounds else np.inf
                valid = np.where(seen, of_valid(metrics["loss"]), blind)
                take = np.repeat(valid < best, len(SCORED))
                best = np.fmin(best, valid)  # a model that is no longer finite has NaN for a loss and is never taken
                chosen = {name: np.where(take, new, chosen.get(name, new)) for name, new in metrics.items()}
        held = np.stack([simulation.federation.rows_of(split) for split in SCORED], axis=1) > 0
        outside = simulation.federation.rows == 0  # an external site has no model of its own
        lost = ~outside & (np.isinf(best) | (held & ~np.isfinite(chosen["loss"].reshape(held.shape))).any(1))
        if lost.any():
            names = ", ".join(np.array(simulation.federation.sites)[lost][:5])
            why = f"alone, no rate kept a finite model at {names}; lower local.lr or algorithm.factors"
            raise Diverged(simulation.rounds, why)
        nobody = np.repeat(outside, len(SCORED))
        return {name: np.where(nobody, np.nan, values) for name, values in chosen.items()}


@dataclass
class Alone(Algorithm):
    """Local training without a federation: a site goes on from its own model and sends nothing."""

    site_state = ("model",)
    start = "model"

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """The model stays."""
        return {}, {"model": w}


def alone(simulation: Simulation, hands: Crew, factor: float) -> Iterator[int]:
    """Rounds of every site alone, at `factor` times the federation's local rate; the models are on the shelf."""
    sites, every = simulation.federation.members, np.arange(len(simulation.federation.sites))
    shelf, x = hands.shelf, simulation.task.init(simulation.seed).numpy()
    shelf.write(every, shelf.current, {"model": x.astype(simulation.federation.x.dtype)})
    shelf.turn(every)
    orders = cut(sites, simulation.site_steps, np.ones(len(every)), simulation.work, simulation.training.chunk)
    for number in range(1, simulation.rounds + 1):
        with stage("training"):
            hands.train(Broadcast(number, factor * simulation.training.rate(number), x, {}), orders)
        shelf.turn(sites)
        yield number


@dataclass
class Pooled(Reference):
    """All training rows in one place, trained until it stops improving; no rounds, no budget, not a ceiling.

    A convex task is solved to its optimum. A network with hidden layers stops at its best validation loss instead.
    L-BFGS with strong Wolfe line search, in float64. A loss of whole sites (Cox) stays one of each site, weighted by
    rows: the stratified model, which is what the federation trains.
    """

    model = "pooled"

    tolerance: float = 1e-5  # > 0; largest gradient entry at which a convex task counts as solved
    iterations: int = 2000  # >= 1

    def __post_init__(self) -> None:
        within("algorithm.tolerance", self.tolerance, 0, open_low=True)
        within("algorithm.iterations", self.iterations, 1)

    def judge(self, simulation: Simulation, hands: Crew, watch: Watch) -> Metrics:
        """One model for all sites."""
        task, federation = simulation.task, simulation.federation
        held, rows = Held.of(federation, SCORED), Rows.of(federation, task)
        double = Rows(rows.x.double(), {name: column.double() for name, column in rows.y.items()})
        total = stratified if task.whole_sites else together
        whole = total(task, double, federation)
        watched = Held.of(federation, ("valid",))
        v = task.init(simulation.seed).double().requires_grad_()
        decay = simulation.training.weight_decay
        solver = torch.optim.LBFGS(
            [v], history_size=20, tolerance_grad=self.tolerance, tolerance_change=0.0, line_search_fn="strong_wolfe"
        )

        def objective() -> torch.Tensor:
            solver.zero_grad()
            loss = whole(v) + decay / 2 * v.square().sum()
            torch.autograd.backward(loss)
            return loss

        def steepest() -> float:
            """Largest entry of the gradient at v."""
            objective()
            assert v.grad is not None
            return float(v.grad.abs().max())

        early = not task.convex and len(watched.row) > 0
        best, lowest, stale = v.detach().clone(), np.inf, 0
        for _ in range(-(-self.iterations // 20)):
            solver.step(objective)  # type: ignore[no-untyped-call]
            loss = -np.inf
            if early:
                judged = measure(task, watched, rate(task, double, v.detach(), watched.row))["loss"]
                loss = mean_loss(judged, watched.counts)
            if loss < lowest or not early:
                best, lowest, stale = v.detach().clone(), loss, 0
            else:
                stale += 1
            if stale >= 5 or steepest() <= self.tolerance:
                break
        else:
            if task.convex:
                raise Refused(
                    f"The pooled model did not converge in {self.iterations} iterations (largest gradient entry "
                    f"{steepest():.1e}): the outcome may be separable. Set local.weight_decay above 0."
                )
        return measure(task, held, rate(task, double, best, held.row))


def together(task: Task, rows: Rows, federation: Federation) -> Objective:
    """Mean loss over the training rows of all sites."""
    x, y = rows.take(federation.held("train")[0])
    batch = Batch(x, y, torch.ones(len(x), dtype=torch.bool))
    return lambda v: task.loss(v, batch)


def stratified(task: Task, rows: Rows, federation: Federation) -> Objective:
    """Mean over sites, weighted by rows, of the loss of each."""
    begin, size = federation.bounds[federation.members, :1], federation.rows[federation.members]
    column = np.arange(size.max())
    row = begin + np.minimum(column, size[:, None] - 1)
    batch = rows.batch(Step(len(size), row, column < size[:, None]))
    share = torch.from_numpy(size / size.sum())
    return lambda v: share @ vmap(task.loss, in_dims=(None, 0))(v, batch)


@dataclass
class Oracle(Reference):
    """The probability or risk that the generator itself used; what no model can beat but by luck."""

    model = "oracle"

    def judge(self, simulation: Simulation, hands: Crew, watch: Watch) -> Metrics:
        """The truth's own score; it has no loss, for a risk is not a likelihood."""
        if simulation.federation.best is None:
            raise Refused(
                "algorithm=oracle: only a synthetic cohort knows its truth, and only of outcomes of one number; "
                "use cohort=calibrated with task=response, mortality, hazard or cox."
            )
        held = Held.of(simulation.federation, SCORED)
        score = simulation.federation.best[held.row]
        judged = measure(simulation.task, held, Rated(score, np.zeros_like(score)))
        return {name: values for name, values in judged.items() if name != "loss"}


REFERENCES: dict[str, type[Reference]] = {"local": LocalOnly, "pooled": Pooled, "oracle": Oracle}
