"""Who holds what: size, outcome and age of every site, and how far sites are from the whole."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.cohort.table import Cohort
from sim.partition.base import Sites
from sim.partition.mix import divergence


class Skew(NamedTuple):
    """One number each for a whole partition; the first two are means over sites, weighted by rows."""

    total_variation: float
    jensen_shannon: float
    effective_sites: float  # 1 / sum p^2 over the sites' shares of rows: S if equal, 1 if one holds all


def describe(cohort: Cohort, outcome: str, sites: Sites) -> pd.DataFrame:
    """One row a site, in order of name.

    patients, rows, events, event_share    of a survival outcome, events are those seen in follow-up
    age_mean_years                         where the cohort has a column `age_years`
    total_variation, jensen_shannon        between the site's outcome and the cohort's, see the functions below
    """
    events = cohort.events(outcome)
    rows = pd.DataFrame({"site": sites, "patient": cohort.table["patient"].to_numpy(), "event": events})
    if "age_years" in cohort.table:
        rows["age"] = cohort.table["age_years"].to_numpy(dtype=np.float64, na_value=np.nan)
    by_site = rows.groupby("site", sort=True)
    frame = by_site.agg(patients=("patient", "nunique"), rows=("event", "size"), events=("event", "sum"))
    frame["event_share"] = frame["events"] / frame["rows"]
    if "age" in rows:
        frame["age_mean_years"] = by_site["age"].mean()
    share = frame["event_share"].to_numpy(dtype=np.float64)
    frame["total_variation"] = total_variation(share, float(events.mean()))
    frame["jensen_shannon"] = jensen_shannon(share, float(events.mean()))
    return frame.reset_index()


def skew(frame: pd.DataFrame) -> Skew:
    """Skew of a partition from its description."""
    rows = frame["rows"].to_numpy(dtype=np.float64)
    p = rows / rows.sum()
    variation, divergence = (frame[name].to_numpy(dtype=np.float64) for name in ("total_variation", "jensen_shannon"))
    return Skew(float(p @ variation), float(p @ divergence), effective_sites(rows))


def effective_sites(rows: NDArray[np.float64]) -> float:
    """1 / sum p^2 for sites with these rows [S] (inverse Simpson index; Kish's effective number)."""
    p = rows / rows.sum()
    return float(1 / (p @ p))


def total_variation(share: NDArray[np.float64], whole: float) -> NDArray[np.float64]:
    """Half the absolute difference between (share, 1 - share) and (whole, 1 - whole), in [0, 1]; [S] -> [S]."""
    return np.abs(share - whole)


def jensen_shannon(share: NDArray[np.float64], whole: float) -> NDArray[np.float64]:
    """Jensen-Shannon divergence of two shares of an event, bits, in [0, 1]: Lin, IEEE Trans. IT, 1991; [S] -> [S]."""
    both = np.stack([share, 1 - share], axis=-1)
    return divergence(both, np.array([whole, 1 - whole]))
