"""The result of a run as one number per metric."""

from __future__ import annotations

from sim.lazy import pd


def mean_metrics(sites: pd.DataFrame, model: str) -> dict[str, float]:
    """Metric -> mean over the sites at which it is defined, for a kind of model, test patients, last evaluated round.

    sites: the table of one run, columns of sim.records.schema.SITES.
    """
    last = (sites["round"] == sites["round"].max()) & (sites["split"] == "test") & (sites["model"] == model)
    means = sites[last].groupby("metric", observed=True)["value"].mean()
    return {str(metric): float(mean) for metric, mean in means.items()}
