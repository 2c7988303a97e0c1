"""The answer of survival: medians, survival at some times, and the log-rank test in tables, and notes."""

import numpy as np
import pandas as pd

from sim.analyses.survival import SurvivalFound
from sim.analyses.tables import Answer, AnswerTable, two_decimals, whole_number
from sim.cohort.outcomes import DAYS_PER_YEAR
from sim.exact.kaplan_meier import at_times
from sim.text import percent

YEARS = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)


def summarise_survival(found: SurvivalFound) -> Answer:
    """Answer of survival: one row per group, and one per group and time that somebody is still at risk after."""
    medians = [
        (name, found.patients[at], found.test.observed[at], found.test.expected[at], *found.median(at))
        for at, name in enumerate(found.groups)
    ]
    columns = [found.by or "patients of", "patients", "events", "expected", "median, days", "low", "high"]
    days = dict.fromkeys(("patients", "events", "median, days", "low", "high"), whole_number)
    tables = [
        AnswerTable(
            "Median survival, and events expected if there were no difference",
            pd.DataFrame(medians, columns=columns),
            days | {"expected": two_decimals},
        ),
        AnswerTable("Survival", yearly(found), {"at risk": whole_number, "estimate": percent}),
    ]
    notes = [
        "Intervals: Greenwood's variance on the scale of log(-log); of the median, Brookmeyer and Crowley's.",
        "Event times, and counts that may be small, leave a site; if this is not allowed, round the times first.",
    ]
    if found.test.df:
        degrees = f"{found.test.df} degree{'s' * (found.test.df > 1)} of freedom"
        notes.insert(0, f"Log-rank test: chi-square {found.test.chi2:.3f}, {degrees}, p = {found.test.p:.2g}.")
    return Answer(tuple(tables), {"Event times, then deaths and patients at risk": found.traffic}, tuple(notes))


def yearly(found: SurvivalFound) -> pd.DataFrame:
    """Survival of every group at the times of YEARS up to which it has patients at risk."""
    rows = []
    for at, name in enumerate(found.groups):
        for year in YEARS:
            later = found.at_risk[found.times >= year * DAYS_PER_YEAR, at]
            if len(later) and later[0] > 0:
                curve = at_times(found.curves[at], found.times, np.array([year * DAYS_PER_YEAR]))
                word = f"{name}, {year:g} year{'s' * (year > 1)}"
                rows.append((word, later[0], *(float(part[0]) for part in curve)))
    return pd.DataFrame(rows, columns=["of, after", "at risk", "estimate", "low", "high"])
