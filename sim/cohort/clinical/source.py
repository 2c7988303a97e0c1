"""A cohort from a file of the clinical table, which `fedtrial cohort import` writes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.assets import locate
from sim.checks import Refused, one_of, within
from sim.cohort.clinical import schema
from sim.cohort.clinical.conform import labels, read
from sim.cohort.clinical.leakage import leaking_columns
from sim.cohort.clinical.schema import TREATMENTS, columns, columns_with_role
from sim.cohort.clinical.unlearnable import unlearnable
from sim.cohort.outcomes import DAYS_PER_YEAR, Binary, Categorical, Outcome, Survival
from sim.cohort.table import Cohort, Source
from sim.cohort.tabular.files import existing
from sim.files import fingerprint
from sim.lazy import pd

STAGES = ("I", "II", "III", "IV")
LABELS = ("mortality_5y", "response", "stage_late", "recurrence")  # yes-or-no outcomes, where both answers occur
CLASSES = ("stage", "cancer_type")  # outcomes of several classes, where at least two occur


class Site(Enum):
    """Column that defines the sites of the federation."""

    facility = "facility_id"  # the organisation that made the diagnosis
    city = "city"
    county = "county"
    state = "state"
    one = "one"  # all patients at one site, for a partition to assign


class Treatments(Enum):
    """Whether treatments are predictors."""

    exclude = "exclude"  # predict at diagnosis
    landmark = (
        "landmark"  # predict at the landmark, for patients alive and under follow-up, from treatments started by then
    )


@dataclass
class Clinical(Source):
    """Patients of a clinical table.

    Outcomes, where recorded: `survival`, `mortality_5y`, `response`, `recurrence`, `stage`, `stage_late`,
    `cancer_type`.

    Predictors are known at the time of prediction. That a treatment was given implies that the patient lived to get it
    (immortal-time bias), so treatments are left out, or only those started by a landmark are predictors, and the time
    of `survival` starts there (Anderson, Cain and Gelber, J Clin Oncol 1983).
    """

    places = ("dir", "file")

    name: str = "clinical"  # name of the cohort in records
    file: str = ""  # Parquet that conforms to datasets/clinical/schema.yaml
    dir: str = ""  # folder that a relative file is in
    cancers: list[str] = field(default_factory=list)  # cancer types to keep; empty = all
    site: Site = Site.facility
    min_age: float = 18.0  # years at diagnosis, 0..120; Synthea gives adult cancers to children
    treatments: Treatments = Treatments.exclude
    landmark_months: float = 6.0  # after diagnosis, > 0, <= 60; a month is 365.25 / 12 days

    def __post_init__(self) -> None:
        if not self.file:
            raise Refused("Name cohort.file: a Parquet file that `fedtrial cohort import` wrote.")
        for at, cancer in enumerate(self.cancers):
            one_of(f"cohort.cancers[{at}]", cancer, columns()["cancer_type"].allowed)
        within("cohort.min_age", self.min_age, 0, 120)
        within("cohort.landmark_months", self.landmark_months, 0, 60, open_low=True)

    def path(self) -> Path:
        """Path of the file; refuses one that does not exist."""
        return existing(locate(str(Path(self.dir) / self.file)), "cohort.file", "`fedtrial cohort import`")

    def card(self) -> Path | None:
        """The card that the import wrote beside the file, if it exists."""
        card = self.path().with_suffix(".card.md")
        return card if card.is_file() else None

    def fingerprint(self, seed: int) -> str:
        """Contents of the file, and of the schema that says which columns predict.

        What the modules of Synthea draw an outcome from (determinants.yaml) can refuse a run and changes no number.
        """
        return fingerprint({"file": self.path(), "schema": schema.path()})

    def load(self, seed: int) -> Cohort:
        """The cohort in the file; draws nothing."""
        whole = read(self.path())
        kept, left_out = self.select_rows(whole)
        table = pd.DataFrame({"patient": kept["patient_id"], "site": self.sites(kept)})
        table["time_days"] = kept["time_years"] * DAYS_PER_YEAR
        table["died"] = kept["event"].astype(bool)
        if self.treatments is Treatments.landmark:
            table["time_days"] -= self.landmark_days
        table[["mortality_5y", "stage_late"]] = labels(kept)
        table[["response", "recurrence"]] = kept[["response", "recurrence"]]
        table = table.dropna(axis=1, how="all")
        outcomes: dict[str, Outcome] = {}
        if table["died"].any():
            outcomes["survival"] = Survival("time_days", "died")
        outcomes |= {label: Binary(label) for label in LABELS if label in table and table[label].nunique() == 2}
        known = self.predictors(kept)
        if not len(known.columns):
            raise Refused(
                f"{self.path()}: {len(kept)} rows with the same value in every predictor. Import more patients."
            )
        outcomes |= {name: Categorical(name) for name in CLASSES if name in known and known[name].nunique() >= 2}
        if not outcomes:
            raise Refused(
                f"{self.path()}: none of {len(kept)} patients died, and no label has both answers. Import more "
                "patients."
            )
        places = kept[["state", "city", "county"]].assign(dx_year=kept["dx_date"].dt.year).dropna(axis=1, how="all")
        table = pd.concat([table, known, places], axis=1)
        return Cohort(
            name=self.name,
            table=table,
            outcomes=outcomes,
            predictors={
                outcome: tuple(made for made in map(str, known) if made not in leaking_columns(outcome))
                for outcome in outcomes
            },
            notes={
                "source": ", ".join(sorted(kept["source"].astype(str).unique())),
                "cancers": word_counts(kept["cancer_type"].astype(str)),
                "left out": ", ".join(f"{count} {why}" for why, count in left_out.items() if count) or "none",
            },
            unlearnable=unlearnable(
                kept["source"].astype(str).unique(), sorted(kept["cancer_type"].unique()), outcomes
            ),
        )

    @property
    def landmark_days(self) -> float:
        """Days from diagnosis to the landmark."""
        return self.landmark_months * DAYS_PER_YEAR / 12

    def select_rows(self, whole: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
        """Rows of the cohort, and how many are left out by reason; a row counts for its first reason only."""
        cancer = whole["cancer_type"].astype(str)
        for name in self.cancers:
            one_of("cohort.cancers", name, cancer.unique(), f"These are the cancers of {self.path().name}.")
        reasons = {
            "of other cancers": ~cancer.isin(self.cancers or cancer.unique()).to_numpy(),
            f"younger than {self.min_age:g}": (whole["age_at_dx"] < self.min_age).to_numpy(),
        }
        if self.treatments is Treatments.landmark:
            gone = (whole["time_years"] * DAYS_PER_YEAR <= self.landmark_days).to_numpy()
            reasons[f"dead or lost by {self.landmark_months:g} months"] = gone
        left, counted = np.zeros(len(whole), dtype=bool), {}
        for why, wrong in reasons.items():
            counted[why] = int((wrong & ~left).sum())
            left |= wrong
        if left.all():
            listed = ", ".join(f"{count} {why}" for why, count in counted.items() if count)
            raise Refused(
                f"{self.path()}: none of {len(whole)} rows is kept ({listed}). Widen cohort.cancers or min_age."
            )
        return whole[~left].reset_index(drop=True), counted

    def sites(self, rows: pd.DataFrame) -> NDArray[np.str_]:
        """Site of every row, str [R]: that of the patient's first diagnosis, as a patient belongs to one site."""
        if self.site is Site.one:
            return np.full(len(rows), "all")
        column = rows[self.site.value]
        if column.isna().any():
            row = int(np.argmax(column.isna()))
            others = ", ".join(f"cohort.site={other.name}" for other in Site if other is not self.site)
            raise Refused(
                f"{self.path()}: patient {rows['patient_id'].iloc[row]!r} has no {self.site.value} "
                f"({int(column.isna().sum())} of {len(rows)} rows). Choose {others}."
            )
        first = rows.sort_values("age_at_dx", kind="stable").groupby("patient_id")[self.site.value].first()
        return rows["patient_id"].map(first).to_numpy(dtype=str)

    def predictors(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Columns known at diagnosis (or at the landmark) that differ between patients; [R, D]."""
        made: dict[str, pd.Series] = {}
        for name in columns_with_role("baseline"):
            series, kind = rows[name], columns()[name].kind
            if name == "stage":
                codes = series.fillna(0).to_numpy(dtype=np.int64) - 1
                made[name] = pd.Series(pd.Categorical.from_codes(codes, pd.Index(STAGES)))
            elif kind == "choice":
                made[name] = series.cat.remove_unused_categories()
            elif kind == "flag" and series.notna().all():
                made[name] = series.astype(bool)
            else:
                made["age_years" if name == "age_at_dx" else name] = series.astype("Float64").astype("float64")
        if self.treatments is Treatments.landmark:
            for name in TREATMENTS:
                begun = (rows[f"tx_{name}_days"] <= self.landmark_days).astype("float64")
                made[f"tx_{name}"] = begun.where(rows[f"tx_{name}"].notna())
        # A column that is the same in all rows, gaps counted as a value, carries no information.
        return pd.DataFrame({name: series for name, series in made.items() if len(series.unique()) > 1})


def word_counts(words: pd.Series) -> str:
    """`word count` of every word, in alphabetical order."""
    return ", ".join(f"{word} {count}" for word, count in sorted(Counter(words).items()))
