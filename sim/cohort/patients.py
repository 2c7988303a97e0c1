"""Patients as they are: a fixed number of uniforms in, everything about each of them out.

Row j of a centre owns words [32 j, 32 (j + 1)) of the centre's stream, one slot a question, whatever the settings are.
So a patient does not change when the cohort grows, when centres join, or when a new question takes a free slot.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from sim.cohort.centres import TINY, Centre
from sim.cohort.published import OLDEST, RACES, YOUNGEST, Floats, Law, population

Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]

WORDS = 32  # slots a patient; those that no question uses are reserved
BLACK = RACES.index("black")
PUBLIC = 2  # insurance codes from here on are Medicaid or none


class Slot(IntEnum):
    """Which of a patient's uniforms answers which question; a number is never given to another question."""

    CANCER = 0
    AGE = 1
    MALE = 2
    RACE = 3
    INSURANCE = 4
    STAGE = 5
    FRAIL = 6
    MARKER_1 = 7
    MARKER_2 = 8
    SCORE = 9
    TREATED = 10
    RESPONSE = 11
    CANCER_DEATH = 12
    OTHER_DEATH = 13
    ENTRY = 14
    LOSS = 15
    UPSTAGE = 16
    ASSAY_1 = 17
    ASSAY_2 = 18
    ASSAY_SCORE = 19
    MISSING = 20


@dataclass(frozen=True)
class People:
    """Patients before anything is recorded about them; every field [n]."""

    cancer: Codes  # index in Law.names
    age_years: Floats
    male: Flags
    race: Codes
    insurance: Codes
    stage: Codes
    frail: Flags
    marker_1: Flags
    marker_2: Flags
    score_z: Floats
    treated: Flags
    response_control: Floats  # chance of response without the new treatment
    response_treated: Floats  # and with it
    log_hazard: Floats  # of death from cancer, without the effect of response and without the baseline

    @property
    def response(self) -> Floats:
        """Chance of response under the treatment that was given."""
        return np.where(self.treated, self.response_treated, self.response_control)


def uniforms(rng: np.random.Generator, rows: int) -> Floats:
    """Uniforms in (0, 1) of the next rows of a stream, contiguous by slot; [32, n]."""
    return np.maximum(np.ascontiguousarray(rng.random((rows, WORDS)).T), TINY)


def people(u: Floats, law: Law, at: Centre, randomised: bool) -> People:
    """Patients of one centre; u [32, n]."""
    base = population()
    tilted = np.cumsum(law.share * np.exp(at.case_mix))
    cancer = np.searchsorted(tilted[:-1] / tilted[-1], u[Slot.CANCER], side="right")
    age = ages(u[Slot.AGE], cancer, law, at)
    male = u[Slot.MALE] < law.male[cancer]
    race = np.searchsorted(np.cumsum(at.race)[:-1], u[Slot.RACE], side="right")
    black = race == BLACK
    chance = np.array([base["public_others"].number, base["public_black"].number])
    public = u[Slot.INSURANCE] < chance[black.astype(np.intp)]

    # Less its mean over the population, so that centres without effects have the published mix of stages.
    share_black = base["race"].value[BLACK]
    if_public, if_black = base["stage_public"].number, base["stage_black"].number
    mean = if_public * (chance @ [1 - share_black, share_black]) + if_black * share_black
    later = at.stage + if_public * public + if_black * black - mean
    beyond_local, distant = (u[Slot.STAGE] > expit(logit[cancer] - later) for logit in law.stage.T)

    at_65, per_year, if_public = base["frail"].value
    frail = u[Slot.FRAIL] < expit(at_65 + per_year * (age - 65) + if_public * public)
    marker_1 = u[Slot.MARKER_1] < expit(law.marker[:, 0][cancer] + law.marker_black[cancer] * black)
    marker_2 = u[Slot.MARKER_2] < expit(law.marker[:, 1])[cancer]
    score = ndtri(u[Slot.SCORE])

    per_year, if_frail, if_public = base["treated"].value
    practice = expit(at.practice + per_year * (age - 65) + if_frail * frail + if_public * public)
    treated = u[Slot.TREATED] < (0.5 if randomised else practice)

    if_frail, per_year, per_score = base["response"].value
    on_treated, on_score, on_both, on_hazard = at.concept
    years = age - law.age_years[cancer]
    marker = np.where(law.second[cancer], marker_2, marker_1)
    control = law.response[:, 0][cancer] + at.response + if_frail * frail + per_year * years
    control = control + (per_score + on_score) * score
    gain = law.response[:, 1][cancer] + on_treated + (law.response[:, 2][cancer] + on_both) * marker

    hazard = at.hazard + on_hazard * score
    known = (years / 10, male - law.male[cancer], frail - base["frail_mean"].number, marker_1, marker_2, score)
    for column, value in enumerate(known):
        hazard = hazard + law.log_hazard[:, column][cancer] * value
    return People(
        cancer=cancer.astype(np.int8),
        age_years=age,
        male=male,
        race=race.astype(np.int8),
        insurance=((age >= 65) + PUBLIC * public).astype(np.int8),
        stage=beyond_local.astype(np.int8) + distant,
        frail=frail,
        marker_1=marker_1,
        marker_2=marker_2,
        score_z=score,
        treated=treated,
        response_control=expit(control),
        response_treated=expit(control + gain),
        log_hazard=hazard,
    )


def ages(u: Floats, cancer: NDArray[np.intp], law: Law, at: Centre) -> Floats:
    """Ages at diagnosis in years: truncated normal, by its inverse law; [n]."""
    location, scale = law.age_normal[:, 0] + at.age_years, law.age_normal[:, 1]
    low, high = ndtr((YOUNGEST - location) / scale), ndtr((OLDEST - location) / scale)
    return np.asarray(location[cancer] + scale[cancer] * ndtri(low[cancer] + u * (high - low)[cancer]))
