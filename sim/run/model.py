"""The models that a run saves: of which rounds, and what else is needed to apply them to new rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sim.arrays import Floats, Ints
from sim.config.experiment import Experiment, Json, settings
from sim.engine.mixture import mean_mixture
from sim.engine.simulation import Round, Simulation
from sim.engine.unseen import averaged, newcomer
from sim.federation.standardise import Recipe
from sim.methods.personal.base import Unseen
from sim.records.model import MIXTURE, Model, Weights
from sim.tasks.layout import Layout


class Chosen(NamedTuple):
    """A model worth keeping: parameters, or trees."""

    round: int
    vector: NDArray[np.floating]  # [P] for all sites, or [S, P] for each, NaN where a site has none; [0] beside trees
    mixture: NDArray[np.float64] | None = None  # [S, J] or [1, J]: weights of the predictions of models `vector` [J, P]
    forest: Mapping[str, Floats] | None = None  # trees as arrays


@dataclass(frozen=True)
class Kept:
    """Models of a run: of the last round so far, and of the evaluated round with the lowest validation loss."""

    final: Chosen | None = None
    best: Chosen | None = None
    lowest: float = np.inf  # validation loss of `best`
    scores: Floats | None = None  # of the held-out rows after the last round, where no parameters give them

    def after(self, here: Round) -> "Kept":
        """The same once another round is over; a round that was not scored has no loss and is never the best."""
        if here.forest is None and not here.model.numel():  # the oracle, or trees before the first
            return replace(self, scores=here.scores)
        vector = here.model.numpy() if here.deployed is None else here.deployed()
        now = Chosen(here.number, vector, here.mixture, here.forest)
        better = here.loss < self.lowest
        return Kept(now, now if better else self.best, here.loss if better else self.lowest, here.scores)


def bare(here: Round) -> Round:
    """What the tables need of a round: no model, no metrics, no way back to them."""
    return replace(here, model=torch.empty(0), metrics={}, deployed=None, mixture=None, forest=None, scores=None)


def described(experiment: Experiment, plan: Simulation, outcome: str, kept: Kept, run: str) -> Model | None:
    """The model of a run as it is written; None where there is none (the oracle, a run that diverged)."""
    federation, task = plan.federation, plan.task
    if kept.final is None or federation.recipe is None:
        return None
    chosen = {which: one for which, one in (("final", kept.final), ("best", kept.best)) if one is not None}
    owners = owners_of(kept.final, plan)
    about: Json = {
        "fedtrial": version("fedtrial"),
        "run": run,
        "outcome": outcome,
        "task": settings(experiment.task),
        "constants": dict(experiment.task.constants(federation)),
        "levels": list(federation.levels),
        "predicts": task.predicts,
        "net": settings(experiment.net),
        "layout": dict(zip(task.layout.names, map(list, task.layout.shapes), strict=True)),
        "rounds": {which: one.round for which, one in chosen.items()},
        "sites": list(federation.sites),
        "model_sites": None if owners is None else [federation.sites[at] for at in owners],
        "unseen": unseen(kept.final, plan),
        "trees": None if kept.final.forest is None else settings(experiment.algorithm),
        **explained(federation.recipe),
    }
    return Model(about, {which: weights(plan, one, owners) for which, one in chosen.items()})


def owners_of(chosen: Chosen, plan: Simulation) -> Ints | None:
    """Sites that have a model, or a mixture of models, of their own; None where all have the same.

    With a row for unseen sites, that is what external ones have too.
    """
    if unseen(chosen, plan):
        return plan.federation.members
    if chosen.vector.ndim == 1 or chosen.mixture is not None:
        return None
    return np.flatnonzero(~np.isnan(chosen.vector).all(1))


def unseen(chosen: Chosen, plan: Simulation) -> str:
    """Where a site that never trained has its model from, see `Unseen`; "" where no row stands for it."""
    if chosen.mixture is not None:
        return "" if len(chosen.mixture) == 1 else Unseen.average.value
    rule = newcomer(plan)
    return "" if chosen.vector.ndim == 1 or rule is None else rule.value


def weights(plan: Simulation, chosen: Chosen, owners: Ints | None) -> Weights:
    """Arrays of one model by name; where sites have their own, the row of a site that never trained comes last."""
    layout = plan.task.layout
    if chosen.forest is not None:
        return chosen.forest
    if chosen.mixture is not None:
        mixture = chosen.mixture
        if owners is not None:
            mixture = np.concatenate([mixture[owners], mean_mixture(mixture[owners], plan.federation)[None]])
        return named(layout, chosen.vector) | {MIXTURE: mixture}
    rows = chosen.vector if owners is None else chosen.vector[owners]
    if unseen(chosen, plan):
        rows = np.concatenate([rows, averaged(plan, rows, torch.from_numpy(rows[0])).numpy()[None]])
    return named(layout, rows)


def named(layout: Layout, rows: NDArray[np.floating]) -> dict[str, NDArray[np.floating]]:
    """Parameters by name; [P] -> [...] each, or [J, P] -> [J, ...] each."""
    parts = np.split(rows, np.cumsum(layout.sizes)[:-1], axis=-1)
    return {
        name: part.reshape(*rows.shape[:-1], *shape)
        for name, shape, part in zip(layout.names, layout.shapes, parts, strict=True)
    }


def explained(recipe: Recipe) -> Json:
    """Encoding and constants of the features as JSON; `read_recipe` is the inverse."""
    return {
        "predictors": [settings(predictor) for predictor in recipe.encoder.predictors],
        "scaling": recipe.scaling.value,
        "features": list(recipe.features),
        "mean": recipe.mean.tolist(),
        "scale": recipe.scale.tolist(),
    }
