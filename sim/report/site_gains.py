"""Gain of every site over training alone under every method: the data behind the tables and figure of sites."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.metrics import METRICS, Metric
from sim.metrics.fairness import gain
from sim.report.scores import CELL, Scores
from sim.stats.intervals import intervals
from sim.study.results import StudyRecords


def site_gains(records: StudyRecords, scored: Scores) -> pd.DataFrame:
    """One row per (scenario, method, site), sites with most test rows first.

    rows, events        of the site's test split, mean over seeds
    seeds, mean         finished seeds with a value, and their mean
    gain, low, high     mean over seeds of the gain over local, more is better, and its 95 % interval; NaN without local
    pairs               seeds in which both the method and local have a value
    """
    metric = METRICS[records.metric]
    parts = []
    for _, scenario in scored.site.groupby("scenario", sort=False):
        size = scenario.groupby("site", observed=True)[["rows", "events"]].mean().reset_index()
        size = size.sort_values(["rows", "site"], ascending=[False, True], ignore_index=True)
        final = scored.final[scored.final["scenario"] == scenario["scenario"].iloc[0]]
        seeds, sites = pd.Index(sorted(final["seed"].unique())), pd.Index(size["site"])
        methods = {cell: matrix(rows, seeds, sites) for cell, rows in final.groupby(CELL, sort=False)}
        local = next((values for cell, values in methods.items() if cell[2] == "local"), None)
        parts += [
            size.assign(**dict(zip(CELL, cell, strict=True)), **columns(values, local, metric))
            for cell, values in methods.items()
        ]
    return pd.concat(parts, ignore_index=True)


def columns(
    values: NDArray[np.float64], local: NDArray[np.float64] | None, metric: Metric
) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
    """Means and gains of one method at every site; [n, S], [n, S] -> name -> [S]."""
    own = intervals(metric.merit(values))
    over = intervals(gain(values, np.full_like(values, np.nan) if local is None else local, metric))
    return {
        "seeds": own.seeds,
        "mean": metric.from_merit(own.mean),
        "merit": own.mean,
        "gain": over.mean,
        "low": over.low,
        "high": over.high,
        "pairs": over.seeds,
    }


def matrix(final: pd.DataFrame, seeds: pd.Index, sites: pd.Index) -> NDArray[np.float64]:
    """Values of one method, [n, S]; NaN where a seed or site has none."""
    values = np.full((len(seeds), len(sites)), np.nan)
    values[seeds.get_indexer(pd.Index(final["seed"])), sites.get_indexer(pd.Index(final["site"]))] = final["value"]
    return values
