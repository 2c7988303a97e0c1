"""What several tests share: paths of files, a small experiment, a toy cohort, a federation without a partition."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from sim.arrays import Names
from sim.cohort.clinical.conform import conform
from sim.cohort.outcomes import Binary, Outcome, Survival
from sim.cohort.table import Cohort
from sim.federation.federation import Federation, build
from sim.federation.split import Split, split_rows
from sim.intake.bundles import BundleFolder
from sim.intake.export import Export
from sim.intake.fhir import read as read_fhir
from sim.intake.reading import Reading
from sim.intake.rules import Rules
from sim.intake.synthea_csv import read as read_csv

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).parent / "data"
SHARED = ROOT.parent / "shared/data"  # real files, where there are any beside the checkout
FED_HEART = SHARED / "fed_heart_disease"

PATIENTS = 40  # of `clinical_table`
THIRDS = dict.fromkeys(("north", "south", "west"), 1 / 3)
OUTCOMES: dict[str, Outcome] = {"sick": Binary("sick"), "survival": Survival("time_days", "died")}
SMALL = ["cohort.patients=600", "cohort.sites=7", "rounds=3", "local.batch=16", "local.chunk=2", "seed=1"]


def federated(
    cohort: Cohort, outcome: str, sites: Names, split: Split, seed: int, external: Sequence[str] = ()
) -> Federation:
    """Federation of a cohort whose rows are at `sites` [R], without a partition."""
    return build(cohort, outcome, split_rows(cohort, outcome, sites, split, seed, external), split.scaling)


def cohort(
    patients: int = 900,
    *,
    seed: int = 0,
    sites: Mapping[str, float] = THIRDS,
    visits: int = 1,
    named: bool = False,
    rate: float = 0.3,
    columns: Mapping[str, object] | None = None,
    predictors: Sequence[str] = ("age_years", "stage", "marker"),
    outcomes: Mapping[str, Outcome] = OUTCOMES,
    truth: bool = False,
) -> Cohort:
    """Cohort `toy`, whose columns are independent of each other.

    patients    numbered from 0, or `p0`, `p1`, ... if `named`; each with 1 to `visits` rows
    sites       name -> share of the patients, who are spread over them as evenly as the shares allow
    rate        share of rows with `sick`; the outcomes are it and a survival in `time_days` and `died`
    columns     [R]: further ones, or others in place of those of the same name
    truth       whether every outcome has one, drawn at random
    """
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(patients), rng.integers(1, visits + 1, patients))
    rows, place = len(who), who * (5**0.5 - 1) / 2 % 1  # multiples of the golden ratio are even at any number of them
    table = pd.DataFrame(
        {
            "patient": [f"p{number}" for number in who] if named else who,
            "site": np.array(list(sites))[np.searchsorted(np.cumsum([*sites.values()])[:-1], place, side="right")],
            "age_years": rng.normal(60, 10, rows),
            "stage": pd.Categorical(rng.choice(["I", "II", "III"], rows), categories=["I", "II", "III"]),
            "male": rng.random(rows) < 0.5,
            "marker": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
            "sick": np.r_[True, False, rng.random(rows - 2) < rate],  # both, however few there are
            "time_days": rng.exponential(800, rows) + 1,
            "died": np.r_[True, rng.random(rows - 1) < 0.6],
        }
    )
    known = pd.DataFrame({name: rng.random(rows) for name in outcomes}) if truth else None
    known_by = dict.fromkeys(outcomes, tuple(predictors))
    return Cohort("toy", table.assign(**columns or {}), dict(outcomes), known_by, known)


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


def reading(folder: Path, not_understood: Counter[str] | None = None, block: int = 1 << 20) -> Reading:
    """An export in one of the forms of tests/data."""
    if folder.name == "fhir":
        return read_fhir(BundleFolder(folder), Rules(not_understood), lambda done: None)
    return read_csv(Export(folder, block), Rules(not_understood), lambda done: None)
