"""The course of the disease after diagnosis, and what the centre measures of it."""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.cohort.calibrated.centres import Centres
from sim.cohort.calibrated.draws import Ask, Uniforms
from sim.cohort.calibrated.patients import Codes, Flags, Indices, TruePatients
from sim.cohort.calibrated.published import centre_variation, population
from sim.cohort.calibrated.world import World
from sim.cohort.outcomes import DAYS_PER_YEAR

DISTANT = 2  # code of the last stage
END = 2026.0  # end of the data: the close of 2025, the year of the case counts
FIRST_VISIT_YEARS = 0.05  # shortest follow-up at the cut-off


@dataclass(frozen=True)
class DiseaseCourse:
    """Response, death and follow-up of n patients; every field [n]."""

    response: Flags
    log_risk: Floats  # log cumulative hazard of death from cancer at five years
    other_risk: Floats  # cumulative hazard of death from other causes at five years
    cancer_days: Floats  # to death from cancer, had there been no other cause of death and no censoring
    by_cancer: Flags  # death from cancer comes before death from other causes
    time_days: Floats  # to death or censoring
    died: Flags
    diagnosis_year: NDArray[np.int16]


@dataclass(frozen=True)
class Measurements:
    """Stage, markers and score as the centre recorded them; every field [n]."""

    stage: Codes
    marker_1: Flags | Floats  # float where some are missing: NaN = not recorded
    marker_2: Flags | Floats
    score_z: Floats  # NaN = not recorded


def disease_course(
    u: Uniforms, people: TruePatients, centre: Indices, world: World, baseline: Floats, at: Centres
) -> DiseaseCourse:
    """Response, death and censoring of patients.

    centre    int [n]: row of `at`
    baseline  [cancers, 3]: cumulative hazard at five years, of `baseline_hazards`

    Death from cancer is Weibull with cumulative hazard `exp(log_risk) (t / 5)^k`, t in years; death from other causes
    is Gompertz in age. Patients enter until `mature_years` before END, where the data end.
    """
    base, law = population(), world.law
    response = u(Ask.RESPONSE) < people.response
    log_hazard = people.log_hazard + np.log(base["responder_hazard"].number) * response
    log_hazard += np.log(baseline)[people.cancer, people.stage]
    log_risk, cancer_years = cancer_death(u(Ask.CANCER_DEATH), log_hazard, people.fading, law.shape[people.cancer])

    at_65, per_year, if_male, if_frail = base["other_death"].value
    rate = at_65 * np.exp(per_year * (people.age_years - 65) + if_male * (people.male - 0.5) + if_frail * people.frail)
    other_years = np.log1p(-np.log(u(Ask.OTHER_DEATH)) * per_year / rate) / per_year

    young, distant = people.age_years < base["young"].number, people.stage == DISTANT
    change = law.trend[people.cancer, young.astype(np.intp), distant.astype(np.intp)]
    before = years_since_entry(u(Ask.ENTRY), at.cutoff_years[centre], change)
    followed = before + FIRST_VISIT_YEARS + world.mature_years
    lost = -np.log(u(Ask.LOSS)) / at.loss_per_year[centre]
    seen, death = np.minimum(followed, lost), np.minimum(cancer_years, other_years)
    return DiseaseCourse(
        response=response,
        log_risk=log_risk,
        other_risk=rate * np.expm1(5 * per_year) / per_year,
        cancer_days=DAYS_PER_YEAR * cancer_years,
        by_cancer=cancer_years < other_years,
        time_days=DAYS_PER_YEAR * np.minimum(death, seen),
        died=death <= seen,
        diagnosis_year=(np.ceil(END - world.mature_years - before) - 1).astype(np.int16),
    )


def cancer_death(u: Floats, log_hazard: Floats, fading: Floats | None, shape: Floats) -> tuple[Floats, Floats]:
    """Log cumulative hazard at five years, and years to death from cancer; each [n].

    `fading` [n] is the part of the log hazard that acts more in an early phase and less afterwards; None = none.
    """
    threshold = -np.log(u)  # a unit exponential
    if fading is None:
        return log_hazard, 5 * np.exp((np.log(threshold) - log_hazard) / shape)
    early, late, passed = phases(log_hazard, fading, shape)
    spent = early * passed
    time = np.where(
        threshold < spent, threshold / early, passed + (threshold - spent) / late
    )  # the value of (t / 5)^k at death
    return np.log(spent + late * (1 - passed)), 5 * time ** (1 / shape)


def phases(log_hazard: Floats, fading: Floats, shape: Floats) -> tuple[Floats, Floats, Floats]:
    """Hazards of the early and the late phase, and `(t / 5)^k` at the time t between them; each [n]."""
    until, more, less = population()["fading"].value
    return np.exp(log_hazard + (more - 1) * fading), np.exp(log_hazard + (less - 1) * fading), (until / 5) ** shape


def years_since_entry(u: Floats, accrual_years: Floats, change: Floats) -> Floats:
    """Years from diagnosis to the end of accrual, where new cases grow by `exp(change)` per year; [n]."""
    growing = np.where(change == 0, 1.0, change)
    past = -np.log1p(u * np.expm1(-growing * accrual_years)) / growing
    return np.where(change == 0, u * accrual_years, past)


def measure(u: Uniforms, people: TruePatients, centre: Indices, world: World, at: Centres) -> Measurements:
    """Stage, markers and score as each centre records them; centre [n] is the row of `at`."""
    upstaged = (u(Ask.UPSTAGE) < at.upstage[centre]) & (people.stage < DISTANT)
    with np.errstate(divide="ignore"):
        rate = scipy.special.logit(at.missing)  # minus infinity where nothing is missing; [S, 3]
    more = centre_variation()["missing_frail"].number * people.frail
    more += centre_variation()["missing_distant"].number * (people.stage == DISTANT) * world.law.staged[people.cancer]

    def gap(ask: Ask, column: int) -> Flags:
        missing: Flags = u(ask) < scipy.special.expit(rate[centre, column] + more)
        return missing | at.panels[centre, 0] if world.marker_gaps else missing

    measured = at.offset[centre] + at.gain[centre] * people.score_z
    if at.noise.any():
        measured += at.noise[centre] * scipy.special.ndtri(u(Ask.ASSAY_SCORE))
    marker_1, marker_2 = (
        assay(u(ask), marker, centre, at)
        for ask, marker in ((Ask.ASSAY_1, people.marker_1), (Ask.ASSAY_2, people.marker_2))
    )
    return Measurements(
        stage=(people.stage + upstaged).astype(np.int8),
        marker_1=np.where(gap(Ask.MISSING_1, 1), np.nan, marker_1) if world.marker_gaps else marker_1,
        marker_2=np.where(gap(Ask.MISSING_2, 2), np.nan, marker_2) if world.marker_gaps else marker_2,
        score_z=np.where(gap(Ask.MISSING, 0), np.nan, measured),
    )


def assay(u: Floats, marker: Flags, centre: Indices, at: Centres) -> Flags:
    """Result of a test with the centre's sensitivity and specificity, bool [n]."""
    return np.where(marker, u < at.sensitivity[centre], u >= at.specificity[centre])
