"""The models that a run saves: of which rounds, and what else is needed to apply them to new rows."""

from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.config.experiment import Experiment, Json, settings
from sim.engine.simulation import Round
from sim.federation.federation import Federation
from sim.federation.standardise import Recipe
from sim.records.model import Model, Weights
from sim.tasks.layout import Layout
from sim.tasks.task import Task


class Chosen(NamedTuple):
    """A model that is saved."""

    round: int
    vector: NDArray[np.floating]  # [P] for all sites, or [S, P] for each, NaN where a site has none
    mixture: NDArray[np.float64] | None = None  # [S, J] or [1, J]: weights of the predictions of models `vector` [J, P]


@dataclass(frozen=True)
class Kept:
    """Models of a run: of the last round so far, and of the evaluated round with the lowest validation loss."""

    final: Chosen | None = None
    best: Chosen | None = None
    lowest: float = np.inf  # validation loss of `best`
    scores: Floats | None = None  # of the held-out rows after the last scored round, where no model is kept (trees)

    def after(self, here: Round) -> "Kept":
        """The models after another round; a round that was not evaluated has no loss and is never the best."""
        if not here.model.numel():  # trees and the oracle are no vector of parameters
            return replace(self, scores=here.scores)
        vector = here.model.numpy() if here.deployed is None else here.deployed()
        now = Chosen(here.number, vector, here.mixture)
        return Kept(now, now, here.loss) if here.loss < self.lowest else replace(self, final=now)


def bare(here: Round) -> Round:
    """What the tables need of a round: without model, metrics and references to them."""
    return replace(here, model=torch.empty(0), metrics={}, deployed=None, mixture=None, scores=None)


def described(
    experiment: Experiment, federation: Federation, task: Task, outcome: str, kept: Kept, run: str
) -> Model | None:
    """The model of a run as it is written; None if there is no single one (trees, a mixture, a run that diverged)."""
    chosen = {which: one for which, one in (("final", kept.final), ("best", kept.best)) if one is not None}
    if kept.final is None or kept.final.mixture is not None or federation.recipe is None:
        return None
    owners = None if kept.final.vector.ndim == 1 else np.flatnonzero(~np.isnan(kept.final.vector).all(1))
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
        **explained(federation.recipe),
    }
    return Model(about, {which: named(task.layout, one.vector, owners) for which, one in chosen.items()})


def named(layout: Layout, vector: NDArray[np.floating], owners: NDArray[np.int64] | None) -> Weights:
    """Parameters by name; [P] -> [...] each, or rows of [S, P] -> [J, ...] each."""
    rows = vector if owners is None else vector[owners]
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
