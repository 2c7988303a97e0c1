"""The rows of an analysis, site by site, and predictors standardised by sums over the sites."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.cohort.encode import encode
from sim.cohort.table import Cohort
from sim.exact.sums import Message, Rows, State, SumProtocol, Traffic, solve
from sim.factorize import factorize

CANCER = ("cancer", "cancer_type")  # columns that name a patient's cancer


@dataclass(frozen=True)
class CohortBySite:
    """A cohort at S sites, rows ordered by site and patient, so that the order of the table does not matter."""

    cohort: Cohort
    sites: tuple[str, ...]
    table: pd.DataFrame  # [R] rows
    truth: pd.DataFrame | None  # [R] rows; None where it is not known
    ends: NDArray[np.int64]  # [S - 1] first rows of all sites but the first

    def split(self, values: NDArray[np.generic]) -> list[Floats]:
        """Values of all rows [R, ...], as one float64 array per site."""
        return np.split(np.asarray(values, dtype=np.float64), self.ends)

    def rows(self, **columns: NDArray[np.generic]) -> list[Rows]:
        """Columns of all rows, each [R], as the rows of every site."""
        parts = {name: self.split(values) for name, values in columns.items()}
        return [{name: part[at] for name, part in parts.items()} for at in range(len(self.sites))]


def group_by_site(cohort: Cohort, sites: NDArray[np.str_]) -> CohortBySite:
    """A cohort whose rows are at `sites` (str [R])."""
    names, site = factorize(sites)
    patient = cohort.patients.word
    tie = (
        patient if len(cohort.patients.first) == len(patient) else pd.util.hash_pandas_object(cohort.table, index=False)
    )
    order = np.lexsort((np.asarray(tie), patient, site))
    truth = None if cohort.truth is None else cohort.truth.iloc[order].reset_index(drop=True)
    ends = np.cumsum(np.bincount(site))[:-1]
    return CohortBySite(cohort, tuple(map(str, names)), cohort.table.iloc[order].reset_index(drop=True), truth, ends)


@dataclass
class Moments(SumProtocol):
    """Means and variances of rows["x"] [n, P] in two rounds: counts and totals, then squares about the means.

    Squares are taken about the mean of all sites and about the site's own mean; the latter say whether a column differs
    between the patients of a site.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("mean",)
    columns: int

    def start(self) -> State:
        """No mean yet."""
        return {"mean": np.zeros(0)}

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Number and total of the recorded values [P]; in the second round, squared distances from the means [P]."""
        x = rows["x"]
        if not len(seen["mean"]):
            return {"count": (~np.isnan(x)).sum(0).astype(np.float64), "total": np.nansum(x, axis=0)}
        own = np.nansum(x, axis=0) / np.maximum((~np.isnan(x)).sum(0), 1)
        return {
            "square": np.nansum((x - seen["mean"]) ** 2, axis=0),
            "within": np.nansum((x - own) ** 2, axis=0),
        }

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """Mean [P], then standard deviations [P] over all sites and within sites; zero where nothing is recorded."""
        if "count" in total:
            return {"count": total["count"], "mean": total["total"] / np.maximum(total["count"], 1)}, False
        count = np.maximum(state["count"], 1)
        return state | {"sd": np.sqrt(total["square"] / count), "within": np.sqrt(total["within"] / count)}, True


def standardised(sites: Sequence[Floats]) -> tuple[list[Floats], NDArray[np.bool_], Traffic]:
    """Columns [n, P] of every site with mean 0 and standard deviation 1 over all sites, gaps at the mean.

    A column that is the same in all patients of each site is left out: with one intercept per site it carries no
    information. Also returns which of the P columns are kept.
    """
    state, traffic = solve(Moments(sites[0].shape[1]), [{"x": x} for x in sites])
    keep = state["within"] > 1e-9 * np.maximum(state["sd"], 1e-3 * np.maximum(1.0, np.abs(state["mean"])))
    mean, sd = state["mean"][keep], state["sd"][keep]
    return [np.nan_to_num((x[:, keep] - mean) / sd, nan=0.0) for x in sites], keep, traffic


def covariates(data: CohortBySite, columns: Sequence[str]) -> tuple[tuple[str, ...], list[Floats], Traffic]:
    """Names [P] and standardised values [n, P] of predictors at every site, without those that never differ there."""
    found = dict(encode(data.table, columns))
    if not found:
        return (), data.split(np.empty((len(data.table), 0))), Traffic()
    scaled, keep, traffic = standardised(data.split(np.column_stack(list(found.values()))))
    return tuple(name for name, kept in zip(found, keep, strict=True) if kept), scaled, traffic
