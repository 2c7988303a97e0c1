"""The table of wrong implementations, whatever their axis, and one short training of any of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sim.engine.exact.base import Exact
from sim.engine.histboost import HistBoost
from sim.engine.loops import OwnLoop
from sim.engine.survivalforest import SurvivalForest
from sim.exact.iptw import Target
from sim.local.settings import Training
from sim.methods.algorithms.grouped import Grouped
from sim.methods.roles import Roles
from sim.verify import (
    algorithms_labels,
    attacks_backdoor,
    exact_one_shot,
    exact_treatment,
    forests,
    groups,
    trees,
    uplink_factors,
)
from sim.verify.certificates import CHECKS, TABLES
from sim.verify.check import Check
from sim.verify.labelled import Labelled
from sim.verify.personal import halves
from sim.verify.personal_norms import FIRST, normed
from sim.verify.properties import spatial

WRONG: list[tuple[str, type]] = []  # name of the right entry, the wrong class
RIGHT = {name: entry for table in TABLES.values() for name, entry in table.items()}
AXIS = {name: axis for axis, table in TABLES.items() for name in table}


def wrong(method: str) -> Callable[[type], type]:
    """Enter a class into the table of wrong implementations of a method."""

    def enter(entry: type) -> type:
        WRONG.append((method, dataclass(entry)))
        return WRONG[-1][1]

    return enter


def checks(method: str) -> list[Check]:
    """The certificates that an entry must earn."""
    return list(CHECKS[AXIS[method]][method]())


def coefficients(method: str, entry: type) -> np.ndarray:
    """Coefficients that an analysis by sums finds in the data of its certificates."""
    if method == "cox_iptw":
        return exact_treatment.found(entry, Target.ate, stabilised=False).beta
    kinds = {"newton": "b", "meta": "b", "odal": "b", "lasso": "bt"}.get(method, "t")
    fits = {"b": exact_one_shot.binary, "t": exact_one_shot.timed}
    return np.concatenate([fits[kind](entry()).beta for kind in kinds])


def path(method: str, entry: type) -> np.ndarray:
    """Server models of two rounds on six sites, with the settings that the class has by default."""
    trial = replace(spatial(2), training=Training(lr=0.05, batch=0, steps=2, chunk=2))
    axis = AXIS[method]
    if issubclass(entry, Grouped):
        return groups.path(entry(group="arm"), rounds=2)
    if issubclass(entry, Exact):
        return coefficients(method, entry)
    if issubclass(entry, HistBoost):
        return np.stack(trees.scores(entry()))
    if issubclass(entry, SurvivalForest):
        return forests.scores(entry())
    if issubclass(entry, OwnLoop):
        return np.concatenate([part.ravel() for part in trial.each(entry(), lambda here: here.model.numpy())])
    if method == "backdoor":
        return attacks_backdoor.models(attacks_backdoor.run(entry(), attacks_backdoor.four_sites()))
    if axis == "system":
        return replace(trial, system=entry()).path(Roles())
    if method in algorithms_labels.CHECKS:
        return Labelled(3, hidden=2, rounds=2).path(Roles(entry()))
    if method == "fedbn":
        trial = replace(trial, module=normed, first=FIRST)
    elif method == "powersgd":
        trial = uplink_factors.two_layers()
    elif axis == "personal":
        trial = replace(trial, module=halves)
    return trial.path(Roles(**{axis: (entry(),) if axis == "uplink" else entry()}))
