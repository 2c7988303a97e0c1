"""Gain of every site over training alone under every method: the data behind the tables and figure of sites."""

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.arrays import Bools, Floats
from sim.metrics import METRICS, Metric
from sim.metrics.fairness import FEWEST_EVENTS, gain, judged
from sim.report.scores import CELL, Scores
from sim.stats.intervals import Z, intervals, z_of
from sim.study.results import StudyRecords

Columns = dict[str, NDArray[np.float64] | NDArray[np.int64]]


def site_gains(records: StudyRecords, scored: Scores) -> pd.DataFrame:
    """One row per (scenario, method, site), sites with most test rows first; then those too small, as one row together.

    rows, events        of the site's test split, mean over seeds; of sites together their sum
    kind                "site", "small" if not to be judged by itself, "together" = all small ones in one row
    seeds, mean         finished seeds with a value, and their mean
    gain, low, high     mean over seeds of the gain over local, more is better, and its 95 % interval; NaN without local
    pairs               seeds in which both the method and local have a value
    """
    metric = METRICS[records.metric]
    parts = []
    for name, scenario in scored.site.groupby("scenario", sort=False):
        size = scenario.groupby("site", observed=True)[["rows", "events"]].mean().reset_index()
        size = size.sort_values(["rows", "site"], ascending=[False, True], ignore_index=True)
        large = judged(size["rows"].to_numpy(float), size["events"].to_numpy(float), metric)
        listing = with_small(size.assign(site=size["site"].astype(str), kind=np.where(large, "site", "small")))
        final = scored.final[scored.final["scenario"] == name]
        methods, local = matrices(final, pd.Index(size["site"]))
        errors = {cell: resampled_errors(scored, final, str(cell[1]), listing) for cell in methods}
        overlap = scored.overlaps(str(name), listing["site"].iloc[: len(size)].tolist())
        parts += [
            listing.assign(**named(cell), **columns(values, local, metric, ~large, overlap, errors[cell]))
            for cell, values in methods.items()
        ]
    return pd.concat(parts, ignore_index=True)


def named(cell: tuple[Hashable, ...]) -> dict[str, str]:
    """The key of a method as columns."""
    return dict(zip(CELL, map(str, cell), strict=True))


def with_small(size: pd.DataFrame) -> pd.DataFrame:
    """The list of sites, followed by one row for all that are too small to be judged individually."""
    small = size[size["kind"] == "small"]
    if small.empty:
        return size
    word = "site" if len(small) == 1 else "sites"
    row = {
        "site": f"{len(small)} {word} with fewer than {FEWEST_EVENTS} test events",
        "rows": small["rows"].sum(),
        "events": small["events"].sum(),
        "kind": "together",
    }
    return pd.concat([size, pd.DataFrame([row])], ignore_index=True)


def columns(
    values: Floats, local: Floats | None, metric: Metric, small: Bools, overlap: Floats, errors: Floats
) -> Columns:
    """Means and gains of one method at every site and at the small ones together; [n, S], [n, S] -> name -> [S (+ 1)].

    small    bool [S]: sites too small to be judged one by one; of them together, a seed's value is their mean
    overlap  [S]: see `Scores.overlap`
    errors   [S (+ 1)]: see `resampled_errors`; used where all seeds have one split
    """
    merit = metric.merit(values)
    gains = gain(values, np.full_like(values, np.nan) if local is None else local, metric)
    if small.any():
        merit, gains = (np.column_stack([part, mean_of(part[:, small])]) for part in (merit, gains))
        overlap = np.append(overlap, overlap[small].mean())
    own = intervals(merit)
    over = intervals(gains, overlap=overlap)
    half = np.where(np.isnan(overlap), Z * errors, over.high - over.mean)
    return {
        "seeds": own.seeds,
        "mean": metric.from_merit(own.mean),
        "merit": own.mean,
        "gain": over.mean,
        "low": np.clip(over.mean - half, -metric.top, metric.top),
        "high": np.clip(over.mean + half, -metric.top, metric.top),
        "pairs": over.seeds,
    }


def alone(final: pd.DataFrame) -> str:
    """Label of the local models; empty without them."""
    return next(iter(final.loc[final["reference"] == "local", "method"]), "")


def resampled_errors(scored: Scores, final: pd.DataFrame, method: str, listing: pd.DataFrame) -> Floats:
    """Standard errors of the gains of a method by resamples, for every row of `listing`; NaN without any."""
    scenario = str(final["scenario"].iloc[0])
    cells = (scenario, method), (scenario, alone(final))
    if any(cell not in scored.resampled for cell in cells):
        return np.full(len(listing), np.nan)
    gains = (scored.resampled[cells[0]] - scored.resampled[cells[1]]).reindex(columns=listing["site"])
    small = listing.loc[listing["kind"] == "small", "site"]
    gains.loc[:, listing.loc[listing["kind"] == "together", "site"]] = mean_of(gains[small].to_numpy(float))[:, None]
    return gains.std().to_numpy(float)


def mean_of(values: Floats) -> Floats:
    """Mean of every row over its known values, NaN where it has none; [n, S] -> [n]."""
    known = ~np.isnan(values)
    count = known.sum(1)
    return np.where(count > 0, np.where(known, values, 0).sum(1) / np.maximum(count, 1), np.nan)


def half_of_mean_gain(scored: Scores, metric: Metric, levels: Mapping[str, float]) -> pd.Series:
    """Half of the interval of the gain over local, mean over sites, of every method; indexed by CELL.

    levels   scenario -> level of its intervals
    """
    halves: dict[tuple[Hashable, ...], float] = {}
    for name, final in scored.final.groupby("scenario", sort=False):
        methods, local = matrices(final, pd.Index(final["site"].unique()))
        for cell, values in methods.items():
            if local is not None:
                by_seed = mean_of(gain(values, local, metric))[:, None]
                found = intervals(by_seed, levels[str(name)], scored.overlaps(str(name)))
                halves[cell] = float(found.high[0] - found.mean[0])
                if scored.one_split(str(name)):
                    halves[cell] = z_of(levels[str(name)]) * scored.error(str(name), str(cell[1]), alone(final))
    return pd.Series(halves, index=pd.MultiIndex.from_tuples(list(halves), names=CELL), name="gain_half", dtype=float)


def matrices(final: pd.DataFrame, sites: pd.Index) -> tuple[dict[tuple[Hashable, ...], Floats], Floats | None]:
    """Values of every method of one scenario, CELL -> [n, S], and those of the local models; None without any."""
    seeds = pd.Index(sorted(final["seed"].unique()))
    methods: dict[tuple[Hashable, ...], Floats] = {}
    local = None
    for cell, rows in final.groupby(CELL, sort=False):
        methods[cell] = matrix(rows, seeds, sites)
        local = methods[cell] if cell[2] == "local" else local
    return methods, local


def matrix(final: pd.DataFrame, seeds: pd.Index, sites: pd.Index) -> NDArray[np.float64]:
    """Values of one method, [n, S]; NaN where a seed or site has none."""
    values = np.full((len(seeds), len(sites)), np.nan)
    values[seeds.get_indexer(pd.Index(final["seed"])), sites.get_indexer(pd.Index(final["site"]))] = final["value"]
    return values
