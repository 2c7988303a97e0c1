"""What federated methods are judged by: each site alone, all rows in one place, and the truth itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused, within
from sim.engine.evaluation import Held, Metrics, Rated, measure, rate
from sim.engine.executors import Crew
from sim.engine.loops import OwnLoop
from sim.engine.messages import Broadcast, Candidates, cut
from sim.engine.scoring import mean_loss, of_valid, without_external
from sim.engine.simulation import SCORED, Diverged, Round, Simulation
from sim.federation.federation import Federation
from sim.lazy import Tensor, torch
from sim.local.optimisers import site_state
from sim.local.plan import Step
from sim.local.rows import Rows
from sim.methods.contract import OWN
from sim.methods.personal.base import Private
from sim.methods.roles import Roles
from sim.metrics.segments import segment_sum
from sim.profiling import stage
from sim.tasks.task import Batch, Task
from sim.tasks.training import training_loss

Objective = Callable[[Tensor], Tensor]  # [P] -> scalar


@dataclass
class Reference(OwnLoop):
    """A yardstick: no message is exchanged, nothing is averaged. Only its last round is scored."""

    exchanges = False
    axes: ClassVar[frozenset[str]] = frozenset({"server", "system"})  # they may be set, and do nothing


@dataclass
class LocalOnly(Reference):
    """Every site alone, as many steps as in the federation, each at its own best rate and round by validation loss.

    Source: the usual yardstick; FLamby (Ogier du Terrail et al., NeurIPS 2022 Datasets and Benchmarks) reports it so.
    Rule: `w_i <- w_i - lr g_i(w_i)` at every site; nothing is sent.
    Values: rates are tried at 0.3, 1 and 3 times `local.lr`, so that the yardstick is tuned as well as the methods.
    Pitfalls: without a budget of its own for tuning, local training looks worse than it is.
    """

    factors: list[float] = field(default_factory=lambda: [0.3, 1.0, 3.0])  # > 0; rates tried, as multiples of local.lr

    def __post_init__(self) -> None:
        if not self.factors:
            raise Refused("algorithm.factors=[]: at least one multiple of local.lr is needed, for example [1.0].")
        for at, factor in enumerate(self.factors):
            within(f"algorithm.factors[{at}]", factor, 0, open_low=True)

    def roles(self, beside: Roles) -> Roles:
        """FedAvg of which nothing leaves the site."""
        return Roles(personal=Private(), weighting=beside.weighting)

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """Each site's own model.

        A site without validation rows (for Cox: events) takes the rate nearest local.lr and the last round.
        """
        x = plan.standing().x
        middle = min(self.factors, key=lambda factor: abs(np.log(factor)))
        watched = Held.of(plan.federation, ("valid",))
        seen = segment_sum(plan.task.informative(watched.y), watched.segment, watched.segments) > 0
        best = np.full(len(seen), np.inf)
        chosen: Metrics = {}
        models = np.full((len(seen), plan.task.layout.size), np.nan, plan.federation.x.dtype)
        for tried, factor in enumerate(self.factors):
            for number in alone(plan, crew, x.numpy(), factor):
                if plan.due(number):
                    with stage("evaluation"):
                        metrics = crew.judge(Candidates(x.numpy()[None], own=True))
                    blind = 0.0 if factor == middle and number == plan.rounds else np.inf
                    valid = np.where(seen, of_valid(metrics["loss"]), blind)
                    better = np.flatnonzero((valid < best) & (plan.federation.rows > 0))
                    models[better] = crew.memory.read(better, names=[OWN])[OWN]
                    take = np.repeat(valid < best, len(SCORED))
                    best = np.fmin(best, valid)  # a model that is no longer finite has a loss of NaN: never taken
                    chosen = {name: np.where(take, new, chosen.get(name, new)) for name, new in metrics.items()}
                yield Round((tried * plan.rounds + number) // len(self.factors), x)
        self.refuse_lost(plan, best, chosen)
        yield Round(plan.rounds, x, metrics={"local": without_external(plan, chosen)}, deployed=lambda: models)

    def refuse_lost(self, plan: Simulation, best: NDArray[np.float64], chosen: Metrics) -> None:
        """Raise Diverged where a site has no finite model; best [S]."""
        held = np.stack([plan.federation.rows_of(split) for split in SCORED], axis=1) > 0
        lost = np.isinf(best) | (held & ~np.isfinite(chosen["loss"].reshape(held.shape))).any(1)
        lost &= plan.federation.rows > 0
        if lost.any():
            names = ", ".join(np.array(plan.federation.sites)[lost][:5])
            why = f"alone, no rate kept a finite model at {names}; lower local.lr or algorithm.factors"
            raise Diverged(plan.rounds, why)


def alone(plan: Simulation, crew: Crew, x: NDArray[np.floating], factor: float) -> Iterator[int]:
    """Rounds of every site alone from x [P], at `factor` times the federation's rate; the sites keep the models."""
    sites, steps = plan.federation.members, plan.profile.steps
    nothing = {name: np.zeros(size, x.dtype) for name, size in site_state(plan.training, len(x)).items()}
    crew.memory.fill({OWN: x} | nothing)
    orders = cut(sites, steps, np.ones(len(steps)), plan.work(steps), plan.training.chunk)
    for number in range(1, plan.rounds + 1):
        with stage("training"):
            crew.train(Broadcast(number, factor * plan.training.rate(number), x, {}), orders)
        crew.memory.turn(sites)
        yield number


@dataclass
class Pooled(Reference):
    """All training rows in one place, trained until it stops improving; no rounds, no budget, not a ceiling.

    A convex task is solved to its optimum. A network with hidden layers stops at its best validation loss instead.
    A loss of whole sites (Cox) stays one of each site, weighted by rows: the stratified model, which is what the
    federation trains.

    Source: the usual yardstick; the optimiser is L-BFGS with a strong Wolfe line search, Nocedal and Wright, Numerical
    Optimization, 2006, in float64.
    Rule: `w = argmin sum_i n_i F_i(w)`, weight decay included.
    Values: a convex task counts as solved where no entry of the gradient is above `tolerance`.
    Pitfalls: not an upper bound where sites differ in what predicts: FedAdam reached .842 against .704 pooled on
    Fed-TCGA-BRCA (FLamby).
    """

    tolerance: float = 1e-5  # > 0; largest gradient entry at which a convex task counts as solved
    iterations: int = 2000  # >= 1

    def __post_init__(self) -> None:
        within("algorithm.tolerance", self.tolerance, 0, open_low=True)
        within("algorithm.iterations", self.iterations, 1)

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """One model for all sites."""
        v = self.solved(plan)
        held = Held.of(plan.federation, SCORED)
        double = doubled(Rows.of(plan.federation, plan.task))
        metrics = measure(plan.task, held, rate(plan.task, double, v, held.row))
        yield Round(plan.rounds, v, metrics={"pooled": metrics})

    def solved(self, plan: Simulation) -> Tensor:
        """The pooled model; float64 [P]."""
        task, federation = plan.task, plan.federation
        double = doubled(Rows.of(federation, task))
        total = stratified if task.whole_sites else together
        whole = total(task, double, federation)
        watched = Held.of(federation, ("valid",))
        v = task.init(plan.seed).double().requires_grad_()
        decay, statistics = plan.training.weight_decay, task.layout.statistics
        solver = torch.optim.LBFGS(
            [v], history_size=20, tolerance_grad=self.tolerance, tolerance_change=0.0, line_search_fn="strong_wolfe"
        )

        def objective() -> torch.Tensor:
            solver.zero_grad()
            loss = whole(v) + decay / 2 * v.square().sum()
            torch.autograd.backward(loss)
            if task.layout.norms:
                v.grad[statistics] = 0.0  # type: ignore[index]
            return loss

        def settled() -> Tensor:
            """The model with the running statistics of all rows, where it has any."""
            now = v.detach().clone()
            if task.layout.norms:
                now[statistics] -= torch.autograd.grad(whole(v), v)[0][statistics]
            return now

        def steepest() -> float:
            """Largest entry of the gradient at v."""
            objective()
            assert v.grad is not None
            return float(v.grad.abs().max())

        early = not task.convex and len(watched.row) > 0
        best, lowest, stale = settled(), np.inf, 0
        for _ in range(-(-self.iterations // 20)):
            solver.step(objective)  # type: ignore[no-untyped-call]
            loss = -np.inf
            if early:
                judged = measure(task, watched, rate(task, double, settled(), watched.row))["loss"]
                loss = mean_loss(judged, watched.counts)
            if loss < lowest or not early:
                best, lowest, stale = settled(), loss, 0
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
        return best


def doubled(rows: Rows) -> Rows:
    """Rows in double precision."""
    return Rows(rows.x.double(), {name: column.double() for name, column in rows.y.items()})


def together(task: Task, rows: Rows, federation: Federation) -> Objective:
    """Mean loss over the training rows of all sites."""
    x, y = rows.take(federation.held("train")[0])
    batch = Batch(x, y, torch.ones(len(x), dtype=torch.bool))
    return lambda v: training_loss(task, v, batch)


def stratified(task: Task, rows: Rows, federation: Federation) -> Objective:
    """Mean over sites, weighted by rows, of the loss of each."""
    begin, size = federation.bounds[federation.members, :1], federation.rows[federation.members]
    column = np.arange(size.max())
    row = begin + np.minimum(column, size[:, None] - 1)
    batch = rows.batch(Step(len(size), row, column < size[:, None]))
    share = torch.from_numpy(size / size.sum())
    return lambda v: share @ torch.func.vmap(partial(training_loss, task), in_dims=(None, 0))(v, batch)


@dataclass
class Oracle(Reference):
    """The probability or risk that the generator itself used; what no model can beat but by luck.

    Source: the cohort's generator.
    Rule: the score of a patient is the generator's own probability of the event, or its log-hazard.
    Values: none.
    Pitfalls: it has no loss, for a risk is not a likelihood; with few events a model can lie above it by chance.
    """

    def fits(self, plan: Simulation) -> None:
        """Refuse a cohort that does not know its truth."""
        if plan.federation.best is None:
            raise Refused(
                "algorithm=oracle: only a synthetic cohort knows its truth, and only of outcomes of one number; "
                "use cohort=calibrated with task=response, mortality, hazard or cox."
            )

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """The truth's own score; it has no loss, for a risk is not a likelihood."""
        self.fits(plan)
        best = plan.federation.best
        assert best is not None
        held = Held.of(plan.federation, SCORED)
        score = best[held.row]
        judged = measure(plan.task, held, Rated(score, np.zeros_like(score)))
        metrics = {name: values for name, values in judged.items() if name != "loss"}
        yield Round(plan.rounds, torch.empty(0), metrics={"oracle": metrics}, scores=score)


REFERENCES: dict[str, type[Reference]] = {"local": LocalOnly, "pooled": Pooled, "oracle": Oracle}
