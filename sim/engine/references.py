"""References for federated methods: the pooled model and the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from sim.checks import Refused, within
from sim.engine.evaluation import Held, Rated, measure, rate
from sim.engine.executors import Crew
from sim.engine.loops import Reference
from sim.engine.scoring import mean_loss
from sim.engine.simulation import SCORED, Round, Simulation
from sim.engine.sites_alone import LocalOnly
from sim.federation.federation import Federation
from sim.lazy import Tensor, torch
from sim.local.plan import Step
from sim.local.rows import Rows
from sim.tasks.task import Batch, Task
from sim.tasks.training import training_loss

Objective = Callable[[Tensor], Tensor]  # [P] -> scalar


@dataclass
class Pooled(Reference):
    """One model for all training rows in one place, trained until it stops improving; not an upper bound.

    A convex task is solved to its optimum. A network with hidden layers stops at its best validation loss instead. A
    loss that is defined per site (Cox) is computed per site and weighted by rows: the stratified model, which is what
    the federation trains.

    Source: the usual reference; the optimiser is L-BFGS with a strong Wolfe line search, Nocedal and Wright, Numerical
    Optimization, 2006, in float64.
    Rule: `w = argmin sum_i n_i F_i(w)`, weight decay included.
    Values: a convex task counts as solved when no entry of the gradient is above `tolerance`.
    Pitfalls: not an upper bound if effects differ between sites: FedAdam reached .842 against .704 pooled on
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
            """The model with the running statistics of all rows, if it has any."""
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
    """The probability or risk that the generator itself used; another model can be better only by chance.

    Source: the cohort's generator.
    Rule: the score of a patient is the generator's own probability of the event, or its log-hazard.
    Values: none.
    Pitfalls: it has no loss, because a risk is not a likelihood; with few events a model can be better by chance.
    """

    def fits(self, plan: Simulation) -> None:
        """Refuse a cohort that does not know its truth."""
        if plan.federation.best is None:
            raise Refused(
                "algorithm=oracle: the truth is known only for synthetic cohorts and outcomes with a single value; use "
                "cohort=calibrated with task=response, mortality, hazard or cox."
            )

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """The score of the truth; it has no loss, because a risk is not a likelihood."""
        self.fits(plan)
        best = plan.federation.best
        assert best is not None
        held = Held.of(plan.federation, SCORED)
        score = best[held.row]
        judged = measure(plan.task, held, Rated(score, np.zeros_like(score)))
        metrics = {name: values for name, values in judged.items() if name != "loss"}
        yield Round(plan.rounds, torch.empty(0), metrics={"oracle": metrics}, scores=score)


REFERENCES: dict[str, type[Reference]] = {"local": LocalOnly, "pooled": Pooled, "oracle": Oracle}
