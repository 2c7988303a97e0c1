"""What a run came to in one number per metric."""

from sim.records.store import Run


def mean_metrics(run: Run, model: str) -> dict[str, float]:
    """Metric -> mean over the sites that can define it, of a kind of model, test patients, last scored round."""
    sites = run.sites
    last = (sites["round"] == sites["round"].max()) & (sites["split"] == "test") & (sites["model"] == model)
    means = sites[last].groupby("metric", observed=True)["value"].mean()
    return {str(metric): float(mean) for metric, mean in means.items()}
