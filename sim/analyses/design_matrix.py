"""The design matrix of who benefits: treatment, marker, their product, and the covariates adjusted for."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.analyses.sites import CANCER, CohortBySite, covariates
from sim.arrays import Floats
from sim.checks import Refused, did_you_mean
from sim.cohort.encode import numeric
from sim.cohort.outcomes import Binary
from sim.exact.sums import Rows, Traffic

CORE = ("treated", "marker", "treated x marker")


@dataclass(frozen=True)
class Design:
    """Columns of the regression, CORE first, and the rows of every site; the other columns are standardised."""

    marker: str  # column of the cohort
    names: tuple[str, ...]
    sites: list[Rows]
    traffic: Traffic  # of the standardisation


def design(data: CohortBySite, outcome: str, treated: str, marker: str) -> Design:
    """Design matrix for an outcome; refuses columns that are missing or not yes-or-no, and arms without patients."""
    refuse_several_cancers(data)
    given = yes_or_no(data, treated, "treated")
    marker = marker or predictive_marker(data, given)
    has = yes_or_no(data, marker, "marker")
    arms = np.bincount((2 * has + given).astype(np.int64), minlength=4)
    if not arms.all():
        at = int(np.argmin(arms))
        raise Refused(
            f"Cohort {data.cohort.name!r}: no patient has {marker}={bool(at // 2)} and {treated}={bool(at % 2)}. "
            "An interaction needs all four combinations; use more patients or another marker."
        )
    leave = {treated, marker, "treated_marker"}
    names, scaled, traffic = covariates(data, [name for name in data.cohort.predictors[outcome] if name not in leave])
    y = labels(data, outcome)
    core = np.column_stack([given, has, given * has])
    sites: list[Rows] = [
        {"x": np.column_stack([first, rest]), "y": event}
        for first, rest, event in zip(data.split(core), scaled, data.split(y), strict=True)
    ]
    return Design(marker, (*CORE, *names), sites, traffic)


def labels(data: CohortBySite, outcome: str) -> Floats:
    """Whether the outcome happened, 0 or 1 [R]; refuses an outcome that is not yes-or-no."""
    found = data.cohort.outcome(outcome)
    if not isinstance(found, Binary):
        fitting = [name for name, other in data.cohort.outcomes.items() if isinstance(other, Binary)]
        raise Refused(
            f"Outcome {outcome!r} of cohort {data.cohort.name!r} is not yes-or-no, as this analysis needs; "
            f"the cohort has {', '.join(fitting) or 'none'}."
        )
    return data.table[found.label].to_numpy(dtype=np.float64)


def yes_or_no(data: CohortBySite, column: str, what: str) -> Floats:
    """A yes-or-no column as 0 and 1, [R]; refuses other columns and names the existing ones."""
    names = [str(name) for name in data.table.columns]
    if column not in names:
        raise Refused(
            f"--{what}={column}: cohort {data.cohort.name!r} has no such column; it has {', '.join(names)}."
            f"{did_you_mean(column, names)} Name a yes-or-no column with --{what}."
        )
    series = data.table[column]
    if isinstance(series.dtype, pd.CategoricalDtype) and len(series.cat.categories) == 2:
        values: NDArray[np.generic] = series.cat.codes.to_numpy()
    else:
        values = numeric(series)
    if not np.isin(values, (0.0, 1.0)).all():
        raise Refused(
            f"--{what}={column}: cohort {data.cohort.name!r} has missing values there, or values other than yes and "
            "no. "
            "Name a yes-or-no column that is recorded for every patient."
        )
    return np.asarray(values, dtype=np.float64)


def predictive_marker(data: CohortBySite, given: Floats) -> str:
    """The marker whose product with treatment the cohort brings as `treated_marker`; refuses where it brings none."""
    names = [str(name) for name in data.table.columns]
    if "treated_marker" in names:
        lack = int(data.table["treated_marker"].isna().sum())
        if lack:
            raise Refused(
                f"Cohort {data.cohort.name!r}: the predictive marker is not recorded for {lack:,} of "
                f"{len(data.table):,} patients, and an interaction needs it for all. Set cohort.marker_gaps=false, "
                "shift.missing.rate=0 and shift.missing.panel=0, or name another marker with --marker."
            )
        product = yes_or_no(data, "treated_marker", "marker")
        for name in names:
            if name.startswith("marker_") and np.array_equal(product, given * yes_or_no(data, name, "marker")):
                return name
    raise Refused(
        f"Cohort {data.cohort.name!r} does not define a predictive marker; its columns are "
        f"{', '.join(names)}. Name a yes-or-no column with --marker."
    )


def refuse_several_cancers(data: CohortBySite) -> None:
    """Refuse several cancers: a marker means something else in each."""
    for column in set(CANCER) & set(data.table.columns):
        found = sorted(map(str, data.table[column].unique()))
        if len(found) > 1:
            raise Refused(
                "This analysis needs a cohort of one cancer, because a marker has another meaning in each; this "
                f"cohort has {', '.join(found)}. Choose one, such as cohort.cancers=[{found[0]}]."
            )
