"""The facts of a run that a gate compares: metrics, and values that must not change at all."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from sim.records.store import Run

EXACT = {  # fact -> what messages call it; a difference is no noise
    "rounds": "rounds",
    "uploads": "uploads that updates took",
    "bytes_up": "bytes up",
    "bytes_down": "bytes down",
    "partition": "partition",
}
# Columns whose bits count; one that comes to the tables later changes no run.
ROUNDS = ("round", "seconds", "bytes_down", "bytes_up", "sites", "stale", "loss", "step_norm")
SITES = ("round", "site", "split", "rows", "events", "model", "metric", "value")


@dataclass(frozen=True)
class Facts:
    """Facts of one run; integers are totals over all sites and rounds."""

    seed: int
    status: str  # "done", or why it diverged
    values: dict[str, float]  # metric -> mean over the sites that define it, test patients, last round
    sites: dict[str, int]  # metric -> sites that define it
    rounds: int
    uploads: int
    bytes_up: int
    bytes_down: int
    partition: str  # digest of which patient is at which site
    data: str  # digest of all that is recorded of the patients
    records: str  # digest of both record tables


def facts(run: Run, seed: int, metrics: Sequence[str]) -> Facts:
    """The facts of a run; a metric that no site defines is NaN."""
    sites, rounds = run.sites, run.rounds
    last = (sites["round"] == sites["round"].max()) & (sites["split"] == "test")
    judged = sites[last & (sites["model"] == run.info["deploys"])].astype({"metric": "str"})
    by_metric = judged.groupby("metric")["value"].agg(["mean", "count"]).reindex(list(metrics))
    return Facts(
        seed=seed,
        status=run.info["status"],
        values={str(metric): float(value) for metric, value in by_metric["mean"].items()},
        sites={str(metric): int(number) for metric, number in by_metric["count"].fillna(0).items()},
        rounds=int((rounds["round"] > 0).sum()),
        uploads=int(rounds["sites"].sum()),
        bytes_up=int(rounds["bytes_up"].sum()),
        bytes_down=int(rounds["bytes_down"].sum()),
        partition=run.info["partition"],
        data=run.info["data"],
        records=records_digest(run),
    )


def records_digest(run: Run) -> str:
    """BLAKE2 of both tables without the run's name: codes that give the same bits have the same digest."""
    mixed = hashlib.blake2b(digest_size=16)
    for table, columns in ((run.rounds, ROUNDS), (run.sites, SITES)):
        frame = table[list(columns)]
        words = frame.astype({name: "str" for name in frame if frame[name].dtype == "category"})
        mixed.update(",".join(words.columns).encode())
        mixed.update(pd.util.hash_pandas_object(words, index=False).to_numpy().tobytes())
    return mixed.hexdigest()
