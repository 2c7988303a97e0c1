"""A partition in numbers: size, outcome and age of every site, and how far sites are from the whole cohort."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sim.arrays import Floats, Names
from sim.cohort.table import Cohort
from sim.factorize import factorize
from sim.partition.case_mix import jensen_shannon, total_variation


class Skew(NamedTuple):
    """Skew of a whole partition; the first two are means over sites, weighted by rows."""

    total_variation: float
    jensen_shannon: float
    effective_sites: float  # 1 / sum p^2 over the sites' shares of rows: S if equal, 1 if one holds all


def describe(cohort: Cohort, outcome: str, sites: Names) -> pd.DataFrame:
    """One row per site, in order of name; sites [R].

    patients, rows, events, event_share    events of a survival outcome are those seen in follow-up; with several
                                           classes, rows of any class but the first
    classes                                number of classes that occur at the site, where the outcome has several
    age_mean_years                         where the cohort has a column `age_years`
    total_variation, jensen_shannon        between the site's shares of the event, or the classes, and the cohort's
    """
    names, site = factorize(sites)
    label, kinds = cohort.classes(outcome), len(cohort.levels(outcome)) or 2
    count = np.bincount(site * kinds + label, minlength=len(names) * kinds).reshape(len(names), kinds)
    size, events = count.sum(1), count[:, 1:].sum(1)
    patients = pd.DataFrame({"site": site, "patient": cohort.table["patient"].to_numpy()}).drop_duplicates()["site"]
    frame = pd.DataFrame({"site": names, "patients": np.bincount(patients, minlength=len(names)), "rows": size})
    frame["events"], frame["event_share"] = events, events / size
    if kinds > 2:
        frame["classes"] = (count > 0).sum(1)
    if "age_years" in cohort.table:
        age = cohort.table["age_years"].to_numpy(dtype=np.float64, na_value=np.nan)
        frame["age_mean_years"] = pd.Series(age).groupby(site).mean().to_numpy()
    share, whole = count / size[:, None], count.sum(0) / count.sum()
    frame["total_variation"] = total_variation(share, whole)
    frame["jensen_shannon"] = jensen_shannon(share, whole)
    return frame


def skew(frame: pd.DataFrame) -> Skew:
    """Skew of a partition, from what `describe` gives."""
    rows = frame["rows"].to_numpy(dtype=np.float64)
    p = rows / rows.sum()
    distance, divergence = (frame[name].to_numpy(dtype=np.float64) for name in ("total_variation", "jensen_shannon"))
    return Skew(float(p @ distance), float(p @ divergence), effective_sites(rows))


def effective_sites(rows: Floats) -> float:
    """`1 / sum p^2` of the sites' shares p of the rows [S] (inverse Simpson index; Kish's effective number)."""
    p = rows / rows.sum()
    return float(1 / (p @ p))
