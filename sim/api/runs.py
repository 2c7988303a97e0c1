"""Runs from Python: in memory, or kept in a folder like those of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.api.settings import experiment
from sim.checks import Refused, brief
from sim.config.experiment import Experiment
from sim.files import expanded
from sim.lazy import pd
from sim.records import model as models
from sim.records import store
from sim.records.summary import mean_metrics
from sim.run.check import PreparedCache, checked
from sim.run.run import rehearse
from sim.run.sweep import run_all


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run."""

    rounds: pd.DataFrame  # one row per round: loss, bytes, seconds, ...
    sites: pd.DataFrame  # one row per site, round, split, model and metric
    info: dict[str, Any]  # what run.json holds: settings, digests, versions, how it ended
    model: Mapping[str, NDArray[Any]]  # name in the network -> its last parameter; empty if the run keeps no model
    home: Path | None = None  # its folder, if it was asked for

    @property
    def id(self) -> str:
        """Its name: a digest of settings, data and code."""
        return str(self.info["run"])

    @property
    def status(self) -> str:
        """`done`, or the round in which it diverged."""
        return str(self.info["status"])

    @property
    def metrics(self) -> dict[str, float]:
        """Mean of each metric over sites, for test patients after the last evaluated round and the deployed model."""
        return mean_metrics(self.sites, self.info["deploys"])

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {value:.3f}" for name, value in self.metrics.items())
        method = self.info["settings"]["algorithm"].get("is", "an algorithm of your own")
        return f"Run {self.id}: {method}, {len(self.info['sites'])} sites, {self.status}; {told}"


def run(experiment: Experiment, dir: str | Path | None = None) -> Run:
    """Run an experiment; raises Refused before it starts if data and settings do not match.

    dir: a folder in which the run is kept, and from which a finished run is read; None = nothing is written.
    """
    if not isinstance(experiment, Experiment):
        raise Refused(f"experiment={brief(experiment)}: allowed what fedtrial.experiment() made.")
    if dir is None:
        return plain(rehearse(experiment, checked([("", experiment)])(experiment)))
    (home,) = run_all([experiment], folder(dir), 1, lambda number: None)
    return read(home)


def folder(dir: str | Path) -> Path:
    """A folder as a program gave it."""
    if not isinstance(dir, str | Path) or not str(dir):
        raise Refused(f"dir={brief(dir)}: allowed the path of a folder, or None.")
    return expanded(dir)


def plain(made: store.Run) -> Run:
    """A run that was just computed."""
    weights = made.model.weights["final"] if made.model else {}
    return Run(made.rounds, made.sites, made.info, weights)


def read(home: Path) -> Run:
    """A run that lies in a folder."""
    made = store.read(home)
    weights = models.read(home, "final")[1] if (home / models.ABOUT).is_file() else {}
    return Run(made.rounds, made.sites, made.info, weights, home)


def sweep(
    settings: Mapping[str, Any] | None = None,
    /,
    *,
    over: Mapping[str, Iterable[Any]],
    dir: str | Path | None = None,
    workers: int = 1,
    **keywords: Any,
) -> pd.DataFrame:
    """Runs of all combinations of the values in `over`, one row each: its values, the mean metrics, how it ended.

    `sweep({"local.lr": 0.1}, over={"algorithm": ["fedavg", "scaffold"], "seed": range(3)})`. All are checked before the
    first begins. Of a run that diverges, or is refused in training, the row says why; with a dir such a refusal is
    raised once all others are written. dir: as in `run`; workers: processes, which need a dir.
    """
    lists = over.values() if isinstance(over, Mapping) else [None]
    if any(isinstance(values, str) or not isinstance(values, Iterable) for values in lists):
        raise Refused(f"over={brief(over)}: allowed a list of values for every key, such as {{'seed': range(3)}}.")
    if not isinstance(workers, int):
        raise Refused(f"workers={brief(workers)}: allowed a whole number.")
    base = {**(settings or {}), **keywords}
    names, cells = list(over), list(product(*over.values()))
    if not cells:
        raise Refused(f"over={dict(over)}: no values. Give at least one value for every key.")
    wanted = [experiment(base | dict(zip(names, cell, strict=True))) for cell in cells]
    if dir is None and workers != 1:
        raise Refused(f"workers={workers}: several processes exchange runs through a folder. Give dir=FOLDER.")
    labels = ["; ".join(f"{name}={value}" for name, value in zip(names, cell, strict=True)) for cell in cells]
    if dir is None:
        cache = checked(list(zip(labels, wanted, strict=True)))
        done = [in_memory(one, cache) for one in wanted]
    else:
        done = [read(home) for home in run_all(wanted, folder(dir), workers, lambda number: None)]
    return pd.DataFrame([row(names, cell, one) for cell, one in zip(cells, done, strict=True)])


def in_memory(wanted: Experiment, cache: PreparedCache) -> Run | str:
    """The run, or why it was refused while it went on."""
    try:
        return plain(rehearse(wanted, cache(wanted)))
    except Refused as refusal:
        return str(refusal)


def row(names: Sequence[str], cell: Sequence[Any], made: Run | str) -> dict[str, Any]:
    """A row of a sweep's table."""
    values = {name: value if np.isscalar(value) else str(value) for name, value in zip(names, cell, strict=True)}
    if isinstance(made, str):
        return values | {"run": "", "status": f"failed: {made}"}
    return values | made.metrics | {"run": made.id, "status": made.status}
