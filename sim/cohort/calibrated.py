"""The calibrated cohort: synthetic patients whose margins are the published ones and whose truth is known.

How it is made stands in `datasets/calibrated/card.md`; `published` holds the numbers, `centres` what differs between
hospitals, `patients` and `course` the law of a patient, `calibration` the baseline hazards.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused, one_of, within
from sim.cohort import published
from sim.cohort.calibration import baselines
from sim.cohort.centres import centres, deal, relative_sizes
from sim.cohort.course import Fate, Record, fate, record
from sim.cohort.draws import Draws, starts
from sim.cohort.patients import People, people
from sim.cohort.published import INSURANCES, RACES, STAGES, Law
from sim.cohort.questions import absent, predictors, questions
from sim.cohort.table import Cohort, Source

BLOCK = 8192  # rows made at a time: what is in hand then fits the cache
CAUSES = ("other", "cancer")

Columns = Mapping[str, NDArray[np.generic]]


@dataclass
class Calibrated(Source):
    """Cancer patients of a consortium, calibrated to registries; truth known.

    The seed of a run draws the patients, `consortium` the centres, so one consortium can be met with fresh patients.
    The dials keep every draw: a patient of `het=0.7` is the patient of `het=0` at a hospital with effects.
    """

    cancers: list[str] = field(default_factory=lambda: ["breast"])  # of datasets/calibrated/cancers.yaml, or [all]
    patients: int = 6000  # >= sites; of all centres together
    sites: int = 4  # >= 1
    sizes: list[float] = field(default_factory=list)  # > 0, relative; empty = log-normal, drawn with the centres
    het: float = 0.7  # 0..1.5; scales how centres differ: 0 not at all, 1 as in centres.yaml
    tau: float = 0.3  # 0..2; sd of a centre's shift of the effects of treatment, score and treatment x marker
    consortium: int = 0  # >= 0; which draw of centres
    randomised: bool = False  # treatment by a fair coin instead of by the practice of the centre
    mature_years: float = 0.0  # 0..20; from the last entry to the end of the data; 5 lets mortality_5y be known

    def __post_init__(self) -> None:
        known = [*published.cancers(), "all"]
        for at, name in enumerate(self.cancers):
            one_of(f"cohort.cancers[{at}]", name, known)
        repeated = len(set(self.cancers)) < len(self.cancers)
        if not self.cancers or repeated or ("all" in self.cancers and len(self.cancers) > 1):
            raise Refused(f"cohort.cancers={self.cancers}: name at least one cancer, each once, or [all] alone.")
        within("cohort.sites", self.sites, 1)
        if self.patients < self.sites:
            raise Refused(
                f"cohort.patients={self.patients}: allowed >= cohort.sites={self.sites}, a patient a centre. "
                "Raise cohort.patients or lower cohort.sites."
            )
        if self.sizes and len(self.sizes) != self.sites:
            raise Refused(
                f"cohort.sizes={self.sizes}: {len(self.sizes)} sizes for cohort.sites={self.sites}. "
                "Give one relative size a centre, or none to draw them."
            )
        for at, size in enumerate(self.sizes):
            within(f"cohort.sizes[{at}]", size, 0, open_low=True)
        within("cohort.het", self.het, 0, 1.5)
        within("cohort.tau", self.tau, 0, 2)
        within("cohort.consortium", self.consortium, 0)
        within("cohort.mature_years", self.mature_years, 0, 20)

    def load(self, seed: int) -> Cohort:
        """Patients of this consortium; see `observed` and `truth` for the columns.

        Truth of "survival" is the log cumulative hazard of death of any cause at 5 years, of "survival_cancer" that of
        death from the cancer, of "mortality_5y" the chance to be dead by then: in all patients, not in those only of
        whom it is known, who are dead more often.
        """
        names = tuple(published.cancers()) if self.cancers == ["all"] else tuple(self.cancers)
        law = published.law(names)
        weights = np.array(self.sizes) if self.sizes else relative_sizes(self.consortium, self.sites, self.het)
        sizes = deal(self.patients, weights)
        levels = {"cancer": names, "race": RACES, "insurance": INSURANCES, "stage": STAGES, "cause": CAUSES}
        table, hidden = self.draw(law, sizes, seed)
        sites = pd.Index([f"centre-{number + 1}" for number in range(self.sites)])
        seen = frame(table, levels)
        seen.insert(1, "site", pd.Series(sites.take(np.repeat(np.arange(self.sites), sizes))))
        whole, outcomes = questions(seen, law, self.mature_years)
        return Cohort(
            name="calibrated",
            table=whole,
            outcomes=outcomes,
            predictors={name: predictors(law, name) for name in outcomes},
            truth=frame(hidden, levels),
            notes={
                "source": "synthetic patients, calibrated to datasets/calibrated; no real person",
                "settings": ", ".join(f"{name}={value}" for name, value in asdict(self).items()),
                "seed": str(seed),
            },
            grounds=absent(law, outcomes),
            derived=products,
        )

    def draw(self, law: Law, sizes: NDArray[np.int64], seed: int) -> tuple[Columns, Columns]:
        """Observed and true columns of all centres [S] end to end; each column [R]."""
        every = centres(self.consortium, len(sizes), self.het, self.tau, law.names)
        baseline, begun = baselines(law.names), starts(seed, len(sizes))
        seen, hidden = Stack(int(sizes.sum())), Stack(int(sizes.sum()))
        for first, centre, row in blocks(sizes):
            u, at = Draws(begun, centre, row), every.only(int(centre[0]), int(centre[-1]))
            here = centre - centre[0]
            who = people(u, here, law, at, self.randomised)
            fated = fate(u, who, here, law, baseline, at, self.mature_years)
            patient = centre * 2**32 + row
            seen.put(first, observed(patient, who, fated, record(u, who, here, law, at), law))
            hidden.put(first, truth(who, fated))
        return seen.columns, hidden.columns


def blocks(sizes: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """Number of the first row of a block, and the centre and the row within it [n] of all its rows."""
    ends = np.cumsum(sizes)
    for first in range(0, int(ends[-1]), BLOCK):
        place = np.arange(first, min(first + BLOCK, int(ends[-1])))
        centre = np.searchsorted(ends, place, side="right")
        yield first, centre, place - (ends - sizes)[centre]


class Stack:
    """Columns of R rows that are filled block by block."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.columns: dict[str, NDArray[np.generic]] = {}

    def put(self, first: int, block: Columns) -> None:
        """Write a block from row `first` on."""
        for name, part in block.items():
            if name not in self.columns:
                self.columns[name] = np.empty(self.rows, dtype=part.dtype)
            self.columns[name][first : first + len(part)] = part


def observed(patient: NDArray[np.int64], who: People, fated: Fate, noted: Record, law: Law) -> Columns:
    """What the consortium holds; `treated_marker` is treatment times the predictive marker as it was recorded.

    But for `hidden_cause_cancer`, the event of the outcome "survival_cancer": the cause that no registry knows so well.
    """
    return {
        "patient": patient,
        "cancer": who.cancer,
        "age_years": who.age_years,
        "male": who.male,
        "race": who.race,
        "insurance": who.insurance,
        "stage": noted.stage,
        "frail": who.frail,
        "marker_1": noted.marker_1,
        "marker_2": noted.marker_2,
        "score_z": noted.score_z,
        "treated": who.treated,
        "treated_marker": who.treated & np.where(law.second[who.cancer], noted.marker_2, noted.marker_1),
        "response": fated.response,
        "time_days": fated.time_days,
        "died": fated.died,
        "hidden_cause_cancer": fated.died & fated.by_cancer,
    }


def products(table: pd.DataFrame) -> dict[str, pd.Series]:
    """The derived column: treatment times the predictive marker as recorded, not recorded if the marker is not."""
    second = published.law(tuple(table["cancer"].cat.categories)).second[table["cancer"].cat.codes]
    marker = table["marker_1"].where(~second, table["marker_2"])
    if marker.dtype == bool and table["treated"].dtype == bool:
        return {"treated_marker": table["treated"] & marker}
    return {"treated_marker": table["treated"].astype(np.float64) * marker.astype(np.float64)}


def truth(who: People, fated: Fate) -> Columns:
    """What only the simulator knows; `cate` is what the new treatment adds to the chance of response, here."""
    return {
        "response": who.response,
        "survival": np.logaddexp(fated.log_risk, np.log(fated.other_risk)),
        "survival_cancer": fated.log_risk,
        "mortality_5y": -np.expm1(-np.exp(fated.log_risk) - fated.other_risk),
        "stage": who.stage,
        "marker_1": who.marker_1,
        "marker_2": who.marker_2,
        "score_z": who.score_z,
        "cate": who.response_treated - who.response_control,
        "cause": fated.by_cancer.astype(np.int8),  # of the first death, whether or not follow-up saw it
        "time_cancer_days": fated.cancer_days,
    }


def frame(columns: Columns, levels: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """Columns as a table; those in `levels` hold codes and become categoricals."""
    made = {
        name: pd.Categorical.from_codes(column.astype(np.int8, copy=False), pd.Index(levels[name]))
        if name in levels
        else column
        for name, column in columns.items()
    }
    return pd.DataFrame(made, copy=False)
