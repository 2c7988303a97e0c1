"""The primary metric of a study on the test patients: by site and round, by round, and at the end of every run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sim.arrays import Floats
from sim.metrics import METRICS
from sim.metrics.convergence import first_reach
from sim.study.results import StudyRecords

CELL = ["scenario", "method", "reference"]
MB = 1e6  # bytes


@dataclass(frozen=True)
class Scores:
    """Data frames behind the tables and figures; `merit` is the metric with its sign turned where less is better.

    site    CELL, seed, run, status, round, site, rows, events, value, merit: one row per (run, round, site)
    curve   CELL, seed, run, status, round, merit, defined, mb, carried: one row per (run, round); merit = mean of sites
    final   rows of `site` at the last round of runs that finished
    end     rows of `curve` at the last round of every run, with target, reached, mb_to_target and MOVED
    overlap (scenario, site) -> how far test patients of seeds overlap, mean over runs, of site "" all; see `OVERLAPS`
    resampled (scenario, method) -> merit by resample and site, mean over seeds; only where all runs have resamples
    """

    site: pd.DataFrame
    curve: pd.DataFrame
    final: pd.DataFrame
    end: pd.DataFrame
    overlap: pd.Series
    resampled: Mapping[tuple[str, str], pd.DataFrame]

    def error(self, scenario: str, ours: str, theirs: str = "") -> float:
        """Standard error of the mean merit over sites, or of a difference in it, by the resamples; NaN without any."""
        if (scenario, ours) not in self.resampled or (theirs and (scenario, theirs) not in self.resampled):
            return np.nan
        merit = self.resampled[scenario, ours]
        merit = merit - self.resampled[scenario, theirs] if theirs else merit
        return float(merit.mean(axis=1).std())

    def overlaps(self, scenario: str, sites: Sequence[str] = ("",)) -> Floats:
        """Overlap of test patients at these sites, [S]; 0 where nothing is known of it: seeds draw fresh patients."""
        return np.array([self.overlap.get((scenario, site), 0.0) for site in sites], dtype=np.float64)

    def fixed(self, scenario: str) -> bool:
        """Whether seeds split the same patients again."""
        return bool(self.overlaps(scenario)[0] != 0)

    def one_split(self, scenario: str) -> bool:
        """Whether all seeds have the same test patients too, so that they say nothing about other patients."""
        return bool(np.isnan(self.overlaps(scenario)[0]))


def scores(records: StudyRecords) -> Scores:
    """All frames of a study; a run that diverged never reached a target and has no final value."""
    metric = METRICS[records.metric]
    runs = records.runs[[*CELL, "seed", "run", "status"]]
    chosen = records.sites[(records.sites["split"] == "test") & (records.sites["metric"] == records.metric)]
    # Two cells of a study may share a run, so that its records come twice.
    chosen = chosen.drop_duplicates(["run", "round", "site"])[["run", "round", "site", "rows", "events", "value"]]
    site = runs.merge(chosen, on="run")
    site["merit"] = metric.merit(site["value"].to_numpy(float))
    keys = [*CELL, "seed", "run", "status", "round"]
    curve = site.groupby(keys, sort=False, as_index=False).agg(merit=("merit", "mean"), defined=("merit", "count"))
    curve = curve.merge(spending(records), on=["run", "round"], how="left")
    curve["mb"] = curve["mb"].fillna(0.0)
    last = curve.groupby([*CELL, "seed"], sort=False)["round"].transform("max")
    end = reach(runs, curve, curve[curve["round"] == last], records)
    final = site.merge(end.loc[end["status"] == "done", [*CELL, "seed", "round"]], on=[*CELL, "seed", "round"])
    at_site = runs[["scenario", "run"]].merge(records.overlaps, on="run")
    overlap = at_site.groupby(["scenario", "site"])["overlap"].agg(lambda values: values.mean(skipna=False))
    return Scores(site, carried(curve, records), final, end, overlap, merits_resampled(records, end))


def carried(curve: pd.DataFrame, records: StudyRecords) -> pd.DataFrame:
    """The curve where early stopping ended runs: their last value in all later rounds of the scenario, so marked.

    Otherwise the mean over seeds would only include the runs that continued. A run that stopped before reaching a
    target is censored in that round: it counts as never reaching it.
    """
    curve = curve.assign(carried=False)
    federated, parts = curve[curve["reference"] == ""], [curve]
    for (scenario, _, _), rows in federated[federated["run"].isin(list(records.stopped))].groupby(
        ["scenario", "method", "seed"], sort=False
    ):
        every = federated.loc[federated["scenario"] == scenario, "round"]
        later = np.unique(every[every > rows["round"].max()])
        last = rows[rows["round"] == rows["round"].max()]
        parts.append(last.loc[last.index.repeat(len(later))].assign(round=later, carried=True))
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else curve


MOVED = ["mb_total", "mb_visit", "mb_control", "mb_evaluation"]  # amounts of data of a whole run


def merits_resampled(records: StudyRecords, end: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """`Scores.resampled`."""
    metric, found = METRICS[records.metric], {}
    for (scenario, method), rows in end[end["status"] == "done"].groupby(["scenario", "method"], sort=False):
        if all(run in records.resamples for run in rows["run"]):
            frames = [records.resamples[run] for run in rows["run"]]  # of seeds, which need not have the same sites
            merits = [pd.DataFrame(metric.merit(one.to_numpy(float)), columns=one.columns) for one in frames]
            found[str(scenario), str(method)] = pd.concat(merits).groupby(level=0).mean()
    return found


def spending(records: StudyRecords) -> pd.DataFrame:
    """Megabytes that all sites together have sent and received up to each round: run, round, mb."""
    rounds = records.rounds.drop_duplicates(["run", "round"]).sort_values(["run", "round"])
    spent = (rounds["bytes_down"] + rounds["bytes_up"]) / MB
    return rounds[["run", "round"]].assign(mb=spent.groupby(rounds["run"], sort=False).cumsum())


def reach(runs: pd.DataFrame, curve: pd.DataFrame, last: pd.DataFrame, records: StudyRecords) -> pd.DataFrame:
    """One row per run, also for a run that recorded nothing: its last value, the target, and rounds and data to it."""
    end = runs.merge(last.drop(columns="status"), on=[*CELL, "seed", "run"], how="left")
    pooled = end[(end["reference"] == "pooled") & (end["status"] == "done")]
    target = pooled.groupby(["scenario", "seed"])["merit"].mean() - records.margin
    end = end.merge(target.rename("target").reset_index(), on=["scenario", "seed"], how="left")
    code = end.assign(at=np.arange(len(end)))[[*CELL, "seed", "at"]]
    rows = curve.merge(code, on=[*CELL, "seed"])
    counts = (end["status"] == "done") & (end["reference"] == "")
    wanted = end["target"].where(counts).to_numpy(float)
    first = first_reach(
        rows["merit"].to_numpy(float),
        rows["round"].to_numpy(),
        rows["mb"].to_numpy() * MB,
        rows["at"].to_numpy(),
        wanted,
    )
    rounds = records.rounds.drop_duplicates(["run", "round"])
    kinds = ["bytes_down", "bytes_up", "bytes_control", "bytes_evaluation"]
    total = rounds.groupby("run")[[*kinds, "sites"]].sum()
    total["mb_total"] = (total["bytes_down"] + total["bytes_up"]) / MB
    total["mb_visit"] = total["mb_total"] / total["sites"].where(total["sites"] > 0)
    total["mb_control"], total["mb_evaluation"] = total["bytes_control"] / MB, total["bytes_evaluation"] / MB
    end = end.assign(reached=first.reached, rounds_to_target=first.rounds, mb_to_target=first.bytes_spent / MB)
    return end.merge(total[MOVED], left_on="run", right_index=True, how="left")
