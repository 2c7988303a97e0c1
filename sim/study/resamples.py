"""Bootstrap of test patients within sites, for studies in which all seeds have the same patients and one split."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from sim.arrays import Bools, Floats, Ints
from sim.metrics.calibration import brier, citl
from sim.metrics.discrimination import accuracy, auroc
from sim.metrics.survival import harrell_c
from sim.random import stream
from sim.records.predictions import FILE
from sim.records.store import Run

DRAWS = 200  # resamples; the standard error of a standard error is then 5 %
OF_PROBABILITY: dict[str, Callable[[Floats, Bools, Ints, int], Floats]] = {
    "auroc": auroc,
    "brier": brier,
    "accuracy": accuracy,
    "citl": citl,
}


def resamples(run: Run, home: Path, metric: str) -> pd.DataFrame | None:
    """Metric of the last model at every site, one row per resample of its test patients; None if not available.

    It is not available if seeds draw patients or splits, if the run kept no predictions, and for metrics of several
    classes. A patient is drawn with all of its rows at the site, as these are not independent (Davison and Hinkley,
    Bootstrap Methods and their Application, 1997, section 3.8). All runs draw the same patients of a site, so that
    their differences are paired. Efron, Annals of Statistics 1979.
    """
    if run.info["patients"] == "fresh" or run.info["split"] == "drawn" or not (home / FILE).exists():
        return None
    rows = pd.read_parquet(home / FILE)
    rows = rows[rows["split"] == "test"].reset_index(drop=True)
    known = {"risk", "time_days", "event"} if metric == "cindex" else {"probability", "label"}
    if not known <= set(rows) or metric not in {"cindex", *OF_PROBABILITY}:
        return None
    sites, picked, segment = [], [], []
    for at, (site, here) in enumerate(rows.groupby("site", observed=True)):
        patient = here["patient"].to_numpy() if "patient" in here else np.arange(len(here))
        row, draw = drawn(patient, stream(0, "resamples", str(site)))
        sites.append(str(site))
        picked.append(here.index.to_numpy()[row])
        segment.append(draw + at * DRAWS)
    taken, part, parts = rows.iloc[np.concatenate(picked)], np.concatenate(segment), len(sites) * DRAWS
    if metric == "cindex":
        risk, time = taken["risk"].to_numpy(float), taken["time_days"].to_numpy(float)
        value = harrell_c(risk, time, taken["event"].to_numpy(float) > 0, part, parts)
    else:
        label = taken["label"].to_numpy(float) > 0
        value = OF_PROBABILITY[metric](taken["probability"].to_numpy(float), label, part, parts)
    return pd.DataFrame(value.reshape(len(sites), DRAWS).T, columns=sites)


def drawn(patient: Ints, random: np.random.Generator) -> tuple[Ints, Ints]:
    """Rows of as many patients as there are, drawn with replacement DRAWS times, and the draw of each.

    `patient` [n] is the patient of every row; returns int [M] twice, n x DRAWS on average.
    """
    _, who, rows = np.unique(patient, return_inverse=True, return_counts=True)
    by_patient = np.argsort(who, kind="stable")
    chosen = random.integers(0, len(rows), (DRAWS, len(rows)))
    size = rows[chosen].ravel()
    first = (np.cumsum(rows) - rows)[chosen].ravel()
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    row = by_patient[np.repeat(first, size) + within]
    return row, np.repeat(np.arange(DRAWS), rows[chosen].sum(1))
