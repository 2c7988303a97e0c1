"""The calibrated cohort: synthetic patients whose margins are the published ones and whose truth is known.

How it is made stands in `datasets/calibrated/card.md`; `published` holds the numbers, `centres` what differs between
hospitals, `patients` and `course` the law of a patient, `calibration` the baseline hazards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused, one_of, within
from sim.cohort import published
from sim.cohort.calibration import baselines
from sim.cohort.centres import centre, deal, relative_sizes
from sim.cohort.course import Fate, Record, fate, record
from sim.cohort.patients import People, people, uniforms
from sim.cohort.published import INSURANCES, RACES, STAGES, Law
from sim.cohort.table import Binary, Cohort, Source, Survival
from sim.random import stream

BLOCK = 8192  # rows drawn at a time: 2 MB of uniforms
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

    def load(self, seed: int) -> Cohort:
        """Patients of this consortium; see `observed` and `truth` for the columns.

        Truth of "survival" is the cause-specific log-risk: the log cumulative hazard of death from cancer at 5 years.
        `died` counts other causes too, so it is the best score for death from cancer and not quite the best for `died`.
        """
        names = tuple(published.cancers()) if self.cancers == ["all"] else tuple(self.cancers)
        law = published.law(names)
        weights = np.array(self.sizes) if self.sizes else relative_sizes(self.consortium, self.sites, self.het)
        sizes = deal(self.patients, weights)
        blocks = [block for number in range(self.sites) for block in self.draw(law, number, int(sizes[number]), seed)]
        levels = {"cancer": names, "race": RACES, "insurance": INSURANCES, "stage": STAGES, "cause": CAUSES}
        table = frame([seen for seen, _ in blocks], levels)
        table.insert(1, "site", np.repeat([f"centre-{number + 1}" for number in range(self.sites)], sizes))
        known = predictors(law)
        return Cohort(
            name="calibrated",
            table=table,
            outcomes={"response": Binary("response"), "survival": Survival("time_days", "died")},
            predictors={"response": known, "survival": known},
            truth=frame([hidden for _, hidden in blocks], levels),
            notes={
                "source": "synthetic patients, calibrated to datasets/calibrated; no real person",
                "settings": ", ".join(f"{name}={value}" for name, value in asdict(self).items()),
                "seed": str(seed),
            },
            derived=products,
        )

    def draw(self, law: Law, number: int, rows: int, seed: int) -> Iterator[tuple[Columns, Columns]]:
        """Observed and true columns of the first rows of a centre, block by block."""
        at = centre(self.consortium, number, self.het, self.tau, law.names)
        baseline = baselines(law.names)
        rng = stream(seed, "calibrated", number)
        for first in range(0, rows, BLOCK):
            u = uniforms(rng, min(BLOCK, rows - first))
            who = people(u, law, at, self.randomised)
            fated = fate(u, who, law, baseline, at)
            patient = np.int64(number) * 2**32 + np.arange(first, first + u.shape[1], dtype=np.int64)
            yield observed(patient, who, fated, record(u, who, law, at), law), truth(who, fated)


def observed(patient: NDArray[np.int64], who: People, fated: Fate, noted: Record, law: Law) -> Columns:
    """What the consortium holds; `treated_marker` is treatment times the predictive marker as it was recorded."""
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
        "survival": fated.log_risk,
        "stage": who.stage,
        "marker_1": who.marker_1,
        "marker_2": who.marker_2,
        "score_z": who.score_z,
        "cate": who.response_treated - who.response_control,
        "cause": fated.by_cancer.astype(np.int8),  # of the first death, whether or not follow-up saw it
        "time_cancer_days": fated.cancer_days,
    }


def frame(blocks: Sequence[Columns], levels: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """One table of all blocks; columns in `levels` hold codes and become categoricals."""
    whole = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    table = pd.DataFrame(whole)
    for name in whole.keys() & levels.keys():
        table[name] = pd.Categorical.from_codes(whole[name].astype(np.int8, copy=False), pd.Index(levels[name]))
    return table


def predictors(law: Law) -> tuple[str, ...]:
    """What is known when treatment starts, without the columns that these cancers leave constant.

    The same for both outcomes: response is seen later, so it must not predict survival.
    """
    constant = {"cancer"} if len(law.names) == 1 else set()
    if np.all(law.male == law.male[0]) and law.male[0] in (0, 1):
        constant.add("male")
    if not law.staged.any():
        constant.add("stage")
    known = ("cancer", "age_years", "male", "race", "insurance", "stage", "frail", "marker_1", "marker_2", "score_z")
    return tuple(name for name in (*known, "treated", "treated_marker") if name not in constant)
