"""Curves of a figure: mean over seeds of every method by round, with a band for paired comparisons."""

import numpy as np
import pandas as pd

from sim.metrics import Metric
from sim.report.rows import MethodRow
from sim.stats.intervals import half_width


def curve_bands(curve: pd.DataFrame, metric: Metric) -> dict[str, pd.DataFrame]:
    """Columns round, mb, carried, mean, low, high for every method; `curve` = finished federated runs of one scenario.

    All methods see the same patients with the same seed, so the effect of a seed on all of them (its mean at the last
    round) is removed from the band, not from the mean: Cousineau, Tutorials in Quantitative Methods for Psychology
    2005, with the factor of Morey, same journal 2008. A single method has the plain 95 % t interval.
    """
    methods = curve["method"].nunique()
    end = curve[curve["round"] == curve.groupby("run")["round"].transform("max")]
    level = curve["seed"].map(end.groupby("seed")["merit"].mean())
    paired = curve.assign(own=curve["merit"] - level if methods > 1 else curve["merit"])
    factor = np.sqrt(methods / (methods - 1)) if methods > 1 else 1.0
    found = paired.groupby(["method", "round"], sort=False).agg(
        mb=("mb", "mean"),
        merit=("merit", "mean"),
        sd=("own", "std"),
        seeds=("own", "count"),
        carried=("carried", "all"),
    )
    half = half_width(factor * found["sd"].to_numpy(float), found["seeds"].to_numpy())
    merit = found["merit"].to_numpy(float)
    columns = {"mean": merit, "low": merit - half, "high": merit + half}
    made = (
        found[["mb", "carried"]]
        .assign(**{name: metric.from_merit(values) for name, values in columns.items()})
        .reset_index()
    )
    return {str(method): rows.sort_values("round") for method, rows in made.groupby("method", sort=False)}


def y_limits(curves: dict[str, pd.DataFrame], rows: list[MethodRow]) -> tuple[float, float]:
    """Limits of y that contain all references and the last three quarters of all curves: late differences matter."""
    late = [
        found.loc[found["round"] >= 0.25 * found["round"].max(), ["mean", "low", "high"]] for found in curves.values()
    ]
    values = np.concatenate([np.array([row.mean for row in rows]), *(part.to_numpy(float).ravel() for part in late)])
    values = values[np.isfinite(values)] if np.isfinite(values).any() else np.array([0.0, 1.0])
    margin = 0.04 * max(float(np.ptp(values)), 1e-3)
    return float(values.min()) - margin, float(values.max()) + margin
