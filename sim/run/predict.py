"""Applies a run's model to new rows, from the files of the run alone; the cohort is not needed."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf
from torch import Tensor

from sim.arrays import Floats
from sim.checks import Refused, one_of
from sim.cohort.encode import Encoder, Kind, Predictor
from sim.cohort.new_rows import NewRows
from sim.config.experiment import Json
from sim.config.groups import GROUPS
from sim.config.plugins import choose
from sim.engine.trees import Trees
from sim.engine.unseen import settled
from sim.federation.standardise import Recipe, Scaling
from sim.methods.personal.base import Unseen
from sim.records.model import MIXTURE, Weights, read
from sim.records.store import demand
from sim.run.predictions import score_names
from sim.tasks.nets import Net
from sim.tasks.task import Task, TaskSettings

CARRIED = ("patient", "site")  # columns that are copied to the output
PART_ROWS = 65_536  # rows that the network processes at once


def predict(home: Path, rows: NewRows, site: str = "", which: str = "final") -> pd.DataFrame:
    """Prediction of every row by the "final" or "best" model of the run in a folder; one row per row, in order.

    `site` says whose model, or whose standardisation, where a run has one for each site; "" is a new site, where
    its method has a model for such. Columns: `patient` and `site` where the rows have them;
    `probability`, `risk`, or `probability_` and the class for each class.
    """
    demand(home)
    about, weights = read(home, which)
    recipe, task = read_recipe(about), read_task(about)
    constants = place(about, site, about["sites"]) if recipe.scaling is Scaling.site else 0
    if number(about, site) == -1 and not site:
        refuse_known(about, rows.table)
    x = recipe.apply(rows.conform(recipe.encoder), constants)
    columns = scores(about, task, weights, x, site).reshape(len(x), -1)
    carried = rows.table[[name for name in CARRIED if name in rows.table]].reset_index(drop=True)
    return carried.assign(**dict(zip(score_names(task, about["levels"]), columns.T, strict=True)))


def scores(about: Json, task: Task, weights: Weights, x: NDArray[np.float32], site: str) -> Floats:
    """Predictions of standardised rows [N, D]; [N, *scores]."""
    at = number(about, site)
    if about["trees"] is not None:
        trees = entry("algorithm", about["trees"])
        assert isinstance(trees, Trees)
        return trees.scores(task, x, {name: array.astype(np.float64) for name, array in weights.items()})
    parameters = {name: array for name, array in weights.items() if name != MIXTURE}
    if MIXTURE in weights:
        mixture = weights[MIXTURE][0 if at is None else at]
        models = [vector(task, parameters, model) for model in range(len(mixture))]
    else:
        mixture, models = np.ones(1), [vector(task, parameters, at)]
    if at == -1 and about["unseen"] == Unseen.own.value:
        models = [settled(Unseen.own, task, model, x) for model in models]
    parts = torch.split(torch.from_numpy(x), PART_ROWS)
    made = [
        sum(w * task.predict(one, part.to(one.dtype)).double() for w, one in zip(mixture, models, strict=True))
        for part in parts
    ]
    return np.asarray(torch.cat(made).numpy())


def number(about: Json, site: str) -> int | None:
    """The row of a site among those that have a model, -1 for one that never trained; None where all share.

    Refuses a site without a model, and "" where the run has no model for a new site.
    """
    owners = about["model_sites"]
    if owners is not None and (site in owners or not about["unseen"]):
        return place(about, site, owners)
    if site:
        one_of("--site", site, about["sites"], "These are the sites of the run.")
    return None if owners is None else -1


def refuse_known(about: Json, table: pd.DataFrame) -> None:
    """Refuse rows that are said to be of a site with a model of its own, where that of no site was asked for."""
    named = table["site"].astype(str).unique().tolist() if "site" in table else []
    known = [site for site in named if site in about["model_sites"]]
    if known:
        raise Refused(
            f"--site is not given, and the rows' column 'site' names {listed(known)}, with a model of its own in run "
            f"{about['run']}. Give --site {known[0]} with the rows of that site alone; to have them predicted as a new "
            "site's, leave the column out."
        )


def served(about: Json, site: str) -> str:
    """Whose predictions a model makes, in a few words; empty where all sites have the same."""
    at = number(about, site)
    if at is None:
        return ""
    return f" of {about['model_sites'][at]}" if at >= 0 else " for a site that did not train"


def place(about: Json, site: str, sites: list[str]) -> int:
    """Number of a site among those that have the model; refused if none is named."""
    what = "standardises by itself" if about["scaling"] == Scaling.site.value else "has a model of its own"
    if not site:
        raise Refused(f"--site is not given, but in run {about['run']} every site {what}: allowed {listed(sites)}.")
    one_of("--site", site, sites, "Only a site that trained has a model of its own." if site in about["sites"] else "")
    return sites.index(site)


def listed(sites: list[str]) -> str:
    """The first sites, and how many more."""
    return ", ".join(sites[:10]) + (f" and {len(sites) - 10} more" if len(sites) > 10 else "")


def vector(task: Task, weights: Weights, at: int | None) -> Tensor:
    """The parameters in the order of the task's layout, [P]; those of site number `at` if each has its own."""
    shapes = {name: array.shape if at is None else array.shape[1:] for name, array in weights.items()}
    wanted = dict(zip(task.layout.names, task.layout.shapes, strict=True))
    if shapes != wanted:
        raise Refused(f"The model has parameters {shapes}, its network {wanted}: run it again with this fedtrial.")
    arrays = (weights[name] if at is None else weights[name][at] for name in task.layout.names)
    return task.layout.pack([torch.from_numpy(np.ascontiguousarray(array)) for array in arrays])


def read_recipe(about: Json) -> Recipe:
    """The way from columns to features; the inverse of `sim.run.model.explained`."""
    predictors = (
        Predictor(one["name"], Kind(one["kind"]), tuple(one["levels"]), one["gaps"], one["flag"])
        for one in about["predictors"]
    )
    mean, scale = np.array(about["mean"]), np.array(about["scale"])
    return Recipe(Encoder(tuple(predictors)), Scaling(about["scaling"]), tuple(about["features"]), mean, scale)


def read_task(about: Json) -> Task:
    """The task with its network, from their settings."""
    task, net = entry("task", about["task"]), entry("net", about["net"])
    assert isinstance(task, TaskSettings)
    assert isinstance(net, Net)
    return task.restore(net, len(about["features"]), tuple(about["levels"]), about["constants"])


def entry(group: str, plain: Json) -> object:
    """Settings of an entry of a config group from their JSON; the inverse of `sim.config.experiment.settings`."""
    remedy = "The run used what this fedtrial does not have: apply its model with the version in model.json."
    choose(group, plain.get("is", ""))
    one_of(group, plain.get("is", ""), GROUPS[group], remedy)
    kind = GROUPS[group][plain["is"]]
    own = {name: part for name, part in plain.items() if name != "is"}
    for name in own:
        one_of(f"setting of {group}={plain['is']}", name, {field.name for field in fields(kind)}, remedy)
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), own))
