"""The design of who benefits: treatment, marker, their product, and what the regression is adjusted for."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.analyses.sites import CANCER, Held, covariates
from sim.analyses.sums import Rows, Wire
from sim.arrays import Floats
from sim.checks import Refused, nearest
from sim.cohort.encode import plain
from sim.cohort.outcomes import Binary

CORE = ("treated", "marker", "treated x marker")


@dataclass(frozen=True)
class Design:
    """Columns of the regression, CORE first, and the rows of every site; the other columns are standardised."""

    marker: str  # column of the cohort
    names: tuple[str, ...]
    sites: list[Rows]
    wire: Wire  # of the standardisation


def design(held: Held, outcome: str, treated: str, marker: str) -> Design:
    """Design for an outcome; refuses columns that are missing or not yes-or-no, and arms without patients."""
    one_cancer(held)
    given = flag(held, treated, "treated")
    marker = marker or predictive(held, given)
    has = flag(held, marker, "marker")
    arms = np.bincount((2 * has + given).astype(np.int64), minlength=4)
    if not arms.all():
        at = int(np.argmin(arms))
        raise Refused(
            f"Cohort {held.cohort.name!r}: no patient has {marker}={bool(at // 2)} and {treated}={bool(at % 2)}. "
            "An interaction needs all four; take more patients or another marker."
        )
    leave = {treated, marker, "treated_marker"}
    names, scaled, wire = covariates(held, [name for name in held.cohort.predictors[outcome] if name not in leave])
    y = labels(held, outcome)
    core = np.column_stack([given, has, given * has])
    sites: list[Rows] = [
        {"x": np.column_stack([first, rest]), "y": event}
        for first, rest, event in zip(held.split(core), scaled, held.split(y), strict=True)
    ]
    return Design(marker, (*CORE, *names), sites, wire)


def labels(held: Held, outcome: str) -> Floats:
    """Whether the outcome happened, 0 or 1 [R]; refuses an outcome that is not yes-or-no."""
    found = held.cohort.outcome(outcome)
    if not isinstance(found, Binary):
        fitting = [name for name, other in held.cohort.outcomes.items() if isinstance(other, Binary)]
        raise Refused(
            f"Outcome {outcome!r} of cohort {held.cohort.name!r} is not yes-or-no, as this analysis needs; "
            f"the cohort has {', '.join(fitting) or 'none'}."
        )
    return held.table[found.label].to_numpy(dtype=np.float64)


def flag(held: Held, column: str, what: str) -> Floats:
    """A yes-or-no column as 0 and 1, [R]; refuses other columns, naming what is there."""
    names = [str(name) for name in held.table.columns]
    if column not in names:
        raise Refused(
            f"--{what}={column}: cohort {held.cohort.name!r} has no such column; it has {', '.join(names)}."
            f"{nearest(column, names)} Name a yes-or-no column with --{what}."
        )
    series = held.table[column]
    if isinstance(series.dtype, pd.CategoricalDtype) and len(series.cat.categories) == 2:
        values: NDArray[np.generic] = series.cat.codes.to_numpy()
    else:
        values = plain(series)
    if not np.isin(values, (0.0, 1.0)).all():
        raise Refused(
            f"--{what}={column}: cohort {held.cohort.name!r} has gaps there, or other values than yes and no. "
            "Name a yes-or-no column that is recorded for every patient."
        )
    return np.asarray(values, dtype=np.float64)


def predictive(held: Held, given: Floats) -> str:
    """The marker whose product with treatment the cohort brings as `treated_marker`; refuses where it brings none."""
    names = [str(name) for name in held.table.columns]
    if "treated_marker" in names:
        lack = int(held.table["treated_marker"].isna().sum())
        if lack:
            raise Refused(
                f"Cohort {held.cohort.name!r}: the marker that may decide who benefits is not recorded for {lack:,} of "
                f"{len(held.table):,} patients, and an interaction needs it for all. Set cohort.marker_gaps=false, "
                "shift.missing.rate=0 and shift.missing.panel=0, or name another marker with --marker."
            )
        product = flag(held, "treated_marker", "marker")
        for name in names:
            if name.startswith("marker_") and np.array_equal(product, given * flag(held, name, "marker")):
                return name
    raise Refused(
        f"Cohort {held.cohort.name!r} does not say which marker may decide who benefits; its columns are "
        f"{', '.join(names)}. Name a yes-or-no column with --marker."
    )


def one_cancer(held: Held) -> None:
    """Refuse several cancers: a marker means something else in each."""
    for column in set(CANCER) & set(held.table.columns):
        found = sorted(map(str, held.table[column].unique()))
        if len(found) > 1:
            raise Refused(
                f"Who benefits is asked within one cancer; this cohort holds {', '.join(found)}, and a marker means "
                f"something else in each. Choose one, such as cohort.cancers=[{found[0]}]."
            )
