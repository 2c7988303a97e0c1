"""Applies a run's model to new rows, from the files of the run alone; the cohort is not needed."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from omegaconf import OmegaConf
from torch import Tensor

from sim.checks import Refused, one_of
from sim.cohort.encode import Encoder, Kind, Predictor
from sim.cohort.new_rows import NewRows
from sim.config.experiment import Json
from sim.config.groups import GROUPS
from sim.config.plugins import choose
from sim.federation.standardise import Recipe, Scaling
from sim.records.model import Weights, read
from sim.records.store import demand
from sim.run.predictions import score_names
from sim.tasks.nets import Net
from sim.tasks.task import Task, TaskSettings

CARRIED = ("patient", "site")  # columns that are copied to the output
PART_ROWS = 65_536  # rows that the network processes at once


def predict(home: Path, rows: NewRows, site: str = "", which: str = "final") -> pd.DataFrame:
    """Prediction of every row by the "final" or "best" model of the run in a folder; one row per row, in order.

    `site` names the site whose model or standardisation is used, if a run has one for each site. Columns: `patient` and
    `site` if the rows have them; `probability`, `risk`, or `probability_` and the class for each class.
    """
    demand(home)
    about, weights = read(home, which)
    recipe = read_recipe(about)
    task = read_task(about)
    constants = place(about, site, about["sites"]) if recipe.scaling is Scaling.site else 0
    owners = about["model_sites"]
    model = vector(task, weights, None if owners is None else place(about, site, owners))
    if site and owners is None:
        one_of("--site", site, about["sites"], "These are the sites of the run.")
    x = recipe.apply(rows.conform(recipe.encoder), constants)
    parts = np.split(x, range(PART_ROWS, len(x), PART_ROWS))
    score = [task.predict(model, torch.from_numpy(part).to(model.dtype)).double() for part in parts]
    columns = torch.cat(score).reshape(len(x), -1).numpy()
    carried = rows.table[[name for name in CARRIED if name in rows.table]].reset_index(drop=True)
    return carried.assign(**dict(zip(score_names(task, about["levels"]), columns.T, strict=True)))


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
