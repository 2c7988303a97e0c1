"""The result of a finished run in a few numbers: how it ended, and its metrics as means over sites."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from sim.records.schema import SITES
from sim.records.store import Run, demand
from sim.records.summary import mean_metrics

READ = ["round", "split", "model", "metric", "value"]


class Outcome(NamedTuple):
    """run.json, and the mean of each metric over the sites at which it is defined."""

    info: Mapping[str, Any]
    metrics: dict[str, float]  # test patients, last scored round, the model that is deployed


def outcome(run: Run) -> Outcome:
    """The outcome of a run in memory."""
    return Outcome(run.info, mean_metrics(run.sites, run.info["deploys"]))


def read_outcome(home: Path) -> Outcome:
    """The outcome of a run's folder; refuses one whose files changed since they were written."""
    demand(home)
    info = json.loads((home / "run.json").read_text())
    rows = [("split", "==", "test"), ("model", "==", info["deploys"])]
    sites = pq.read_table(home / "sites.parquet", columns=READ, filters=rows, use_threads=False).to_pandas()
    return Outcome(info, mean_metrics(sites.astype({name: SITES[name] for name in READ}), info["deploys"]))


def how_it_ended(info: Mapping[str, Any]) -> str:
    """How a run ended, in a few words."""
    stop = info.get("stopped")
    if not stop:
        return str(info["status"])
    if not stop["patience"]:  # an analysis that needed fewer exchanges than there were rounds
        return f"Complete after round {stop['round']}"
    return f"Stopped after round {stop['round']}, best in round {stop['best']}"
