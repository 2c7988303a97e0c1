"""The lung2 table of Penncil/pda, and tables split into sites."""

import numpy as np
import pandas as pd
from lifelines.datasets import load_lung

from sim.exact.sums import Rows

SITES_OF_LUNG = (  # Penncil/pda, data/lung2
    "1111222133112223311313112321223322221122331122222321232221113121113311212221212311322311232111112312132112113232"
    "21311133122323321121232222232322322112213122223321212111322211322331321332311121323111112333111233132323311132133111"
)


def split(table: pd.DataFrame, columns: tuple[str, ...], time: str, event: str, site: np.ndarray) -> list[Rows]:
    """Rows of every site."""
    return [
        {
            "x": part[list(columns)].to_numpy(float),
            "time_days": part[time].to_numpy(float),
            "event": part[event].to_numpy(float),
        }
        for _, part in table.groupby(site)
    ]


def lung() -> tuple[pd.DataFrame, np.ndarray]:
    """The lung2 table of Penncil/pda: age, sex 0 or 1, and the site of every row."""
    table = load_lung().assign(sex=lambda rows: rows["sex"] - 1)
    return table[["time", "status", "age", "sex"]], np.array(list(SITES_OF_LUNG))
