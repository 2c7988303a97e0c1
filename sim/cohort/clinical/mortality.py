"""Death within some years of diagnosis, of those of whom follow-up tells.

To keep the dead and leave out the living who were not followed to the horizon would select on the outcome: of 6,000
calibrated patients with breast cancer, 20 % of whom die within five years, the rest would be 51 % dead. So a patient
counts only if follow-up could have reached the horizon, dead or alive; those lost to follow-up before it are left out.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.cohort.outcomes import DAYS_PER_YEAR

YEARS = 5  # the horizon of `mortality_5y`


def dead_by(time: pd.Series, died: pd.Series, horizon: float, could_be_seen: NDArray[np.bool_]) -> pd.Series:
    """Whether a patient died by the horizon, in the unit of `time`; boolean [R], NA where that is not known.

    Who dies on the last day of the horizon died within it; who is followed to that day and lives did not.
    """
    within = died.astype(bool) & (time <= horizon)
    return within.astype("boolean").where((within | (time >= horizon)) & could_be_seen)


def could_be_followed(day: pd.Series, time_years: pd.Series, years: float) -> NDArray[np.bool_]:
    """Whether a patient diagnosed on `day` could have been followed for so long; bool [R].

    The data end with the last day on which anyone in them was seen or died. Without a day of diagnosis: False.
    """
    if day.isna().all():
        return np.zeros(len(day), dtype=bool)
    followed = pd.to_timedelta(time_years * DAYS_PER_YEAR, unit="D")
    end = (day + followed).max()
    return np.asarray((day + pd.Timedelta(days=years * DAYS_PER_YEAR) <= end).to_numpy(dtype=bool))
