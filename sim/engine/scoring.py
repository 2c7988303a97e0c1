"""Evaluation of a round's models on every site's held-out rows."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Bools
from sim.engine.adaptation import adapt, adapts
from sim.engine.evaluation import Metrics
from sim.engine.executors import Crew
from sim.engine.messages import Candidates
from sim.engine.simulation import SCORED, Round, Simulation
from sim.engine.traffic import evaluation
from sim.engine.unseen import newcomer, welcome
from sim.lazy import Tensor, torch
from sim.methods.contract import OWN
from sim.profiling import stage


def scored(plan: Simulation, crew: Crew, here: Round, last: bool = False) -> Round:
    """The round with its models evaluated on every site's held-out rows: the server's, and the sites' own.

    last: no round follows. Until sites adapt the shared model, they deploy it.
    """
    personal, x = plan.roles.personal, here.model.numpy()[None]
    metrics = {}
    if adapts(plan, last):
        adapt(plan, crew, here.number, here.model)
    with stage("evaluation"):
        if personal.shares:
            metrics["shared"] = crew.judge(Candidates(x))
        if personal.adapted and not adapts(plan, last):
            metrics["personal"] = without_external(plan, metrics["shared"])
            here = replace(here, deployed=partial(everywhere, plan, here.model))
        elif personal.on:
            here = replace(here, bytes_evaluation=here.bytes_evaluation + welcome(plan, crew, here.model))
            metrics["personal"] = without_external(plan, crew.judge(Candidates(x, own=True)))
            here = replace(here, deployed=partial(own_models, plan, crew, here.model))
    copied = personal.adapted is not None and not adapts(plan, last)
    return judged(plan, here, metrics, plan.shared, told={"shared": metrics["shared"]} if copied else metrics)


def everywhere(plan: Simulation, x: Tensor) -> NDArray[np.floating]:
    """The shared model as that of every site that trains, NaN at external ones; [P] -> [S, P]."""
    models = x.repeat(len(plan.federation.sites), 1).numpy()
    models[plan.federation.rows == 0] = np.nan
    return models


def own_models(plan: Simulation, crew: Crew, x: Tensor) -> NDArray[np.floating]:
    """Models that the sites deploy, NaN at sites that have none; [S, P]."""
    every = np.arange(len(plan.federation.sites))
    own = torch.from_numpy(crew.memory.read(every, names=[OWN])[OWN])
    models = plan.roles.personal.deployed(x, own, plan.private).numpy()
    models[modelless(plan)] = np.nan
    return models


def modelless(plan: Simulation) -> Bools:
    """Sites that have no model of their own: external ones, unless the personal role gives them one; [S]."""
    return np.asarray((plan.federation.rows == 0) & (newcomer(plan) is None))


def without_external(plan: Simulation, metrics: Metrics) -> Metrics:
    """Metrics of the sites' own models; NaN at sites that have none."""
    nobody = np.repeat(modelless(plan), len(SCORED))
    return {name: np.where(nobody, np.nan, values) for name, values in metrics.items()}


def judged(
    plan: Simulation,
    here: Round,
    metrics: dict[str, Metrics],
    numbers: int,
    told: Mapping[str, Metrics] | None = None,
) -> Round:
    """The round with the metrics of every kind of model; its loss is that of the last kind, which sites deploy.

    `numbers` of models were sent to each site for this; `told` are the metrics that sites sent, if not all.
    """
    if not all(metrics.values()):  # no held-out rows
        return here
    deployed = list(metrics.values())[-1]
    loss = mean_loss(of_valid(deployed["loss"]), plan.federation.rows_of("valid"))
    spent = here.bytes_evaluation + evaluation(plan.federation, metrics if told is None else told, numbers)
    return replace(here, loss=loss, metrics=metrics, bytes_evaluation=spent)


def of_valid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The validation values of a metric of every site and split; [S * splits] -> [S]."""
    return values[SCORED.index("valid") :: len(SCORED)]


def mean_loss(loss: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
    """Mean over rows of the sites' mean losses, NaN without rows; [S], [S]."""
    some = rows > 0
    return float(np.average(loss[some], weights=rows[some])) if some.any() else float("nan")
