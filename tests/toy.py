"""What several tests stand on: where files lie, a small experiment, a federation without a partition."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.cohort.clinical.conform import conform
from sim.cohort.table import Cohort
from sim.federation.federation import Federation, build
from sim.federation.split import Split, split_rows
from sim.intake.bundles import Folder
from sim.intake.export import Export
from sim.intake.fhir import read as read_fhir
from sim.intake.reading import Reading
from sim.intake.synthea_csv import read as read_csv

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).parent / "data"
SHARED = ROOT.parent / "shared/data"  # real files, where they lie beside the checkout
FED_HEART = SHARED / "fed_heart_disease"

PATIENTS = 40  # of `clinical_table`
SMALL = ["cohort.patients=600", "cohort.sites=7", "rounds=3", "local.batch=16", "local.chunk=2", "seed=1"]


def federated(
    cohort: Cohort, outcome: str, sites: NDArray[np.str_], split: Split, seed: int, external: Sequence[str] = ()
) -> Federation:
    """Federation of a cohort dealt to `sites` (str [R]), without a partition."""
    return build(cohort, outcome, split_rows(cohort, outcome, sites, split, seed, external), split.scaling)


def clinical_table(**other: object) -> pd.DataFrame:
    """Forty patients of two hospitals; odd ones die, patient i in month i + 1 after diagnosis."""
    row = np.arange(PATIENTS)
    frame = pd.DataFrame(
        {
            "patient_id": [f"p{i:02d}" for i in row],
            "source": "engine",
            "cancer_type": np.where(row % 4 < 2, "breast", "colorectal"),
            "dx_date": date(2010, 1, 1),
            "age_at_dx": 40.0 + row,
            "sex": "female",
            "race": "white",
            "ethnicity": "nonhispanic",
            "facility_id": np.where(row % 3 == 0, "north", "south"),
            "county": "Essex",
            "stage": row % 4 + 1,
            "t": row % 4 + 1,
            "er": pd.array(np.where(row % 4 < 2, row % 3 == 0, None)),
            "com_copd": row % 7 == 0,
            "tx_surgery": row % 2 == 0,
            "tx_surgery_days": np.where(row % 2 == 0, 10.0 * row, np.nan),
            "time_years": (row + 1) / 12,
            "event": row % 2 == 1,
        }
    )
    return conform(frame.assign(**other), "test")


def reading(folder: Path, odd: Counter[str] | None = None, block: int = 1 << 20) -> Reading:
    """An export in one of the forms of tests/data."""
    if folder.name == "fhir":
        return read_fhir(Folder(folder), odd, lambda done: None)
    return read_csv(Export(folder, block), odd, lambda done: None)
