"""The course of the disease after diagnosis, and what the centre writes down about it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from sim.arrays import Floats
from sim.cohort.calibrated.centres import Centres
from sim.cohort.calibrated.draws import Ask, Uniforms
from sim.cohort.calibrated.patients import Codes, Flags, People, Places
from sim.cohort.calibrated.published import population, spread
from sim.cohort.calibrated.world import World

DAYS = 365.25  # a year
DISTANT = 2  # code of the last stage
END = 2026.0  # the data end with 2025, the year of the case counts
FIRST_VISIT_YEARS = 0.05  # nobody is followed for less than that by the cut-off alone


@dataclass(frozen=True)
class Fate:
    """What became of the patients; every field [n]."""

    response: Flags
    log_risk: Floats  # log cumulative hazard of death from cancer at five years
    other_risk: Floats  # cumulative hazard of death from other causes at five years
    cancer_days: Floats  # to death from cancer, were there no other cause and no end of follow-up
    by_cancer: Flags  # cancer kills before anything else does
    time_days: Floats  # to death or censoring
    died: Flags
    diagnosis_year: NDArray[np.int16]


@dataclass(frozen=True)
class Record:
    """What the centre wrote down; every field [n]."""

    stage: Codes
    marker_1: Flags | Floats  # as numbers where some are missing: NaN = not recorded
    marker_2: Flags | Floats
    score_z: Floats  # NaN = not recorded


def fate(u: Uniforms, people: People, centre: Places, world: World, baseline: Floats, at: Centres) -> Fate:
    """Response, death and censoring; centre [n] is the row of `at`, baseline [cancers, 3] that of `calibration`.

    Patients enter until `mature_years` before the data end, and the data end with END.

    Death from cancer: Weibull, cumulative hazard exp(log_risk) (t / 5)^k, t in years. Other causes: Gompertz in age.
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
    before = entry(u(Ask.ENTRY), at.cutoff_years[centre], change)
    followed = before + FIRST_VISIT_YEARS + world.mature_years
    lost = -np.log(u(Ask.LOSS)) / at.loss_per_year[centre]
    seen, death = np.minimum(followed, lost), np.minimum(cancer_years, other_years)
    return Fate(
        response=response,
        log_risk=log_risk,
        other_risk=rate * np.expm1(5 * per_year) / per_year,
        cancer_days=DAYS * cancer_years,
        by_cancer=cancer_years < other_years,
        time_days=DAYS * np.minimum(death, seen),
        died=death <= seen,
        diagnosis_year=(np.ceil(END - world.mature_years - before) - 1).astype(np.int16),
    )


def cancer_death(u: Floats, log_hazard: Floats, fading: Floats | None, shape: Floats) -> tuple[Floats, Floats]:
    """Log cumulative hazard at five years, and years to death from cancer; each [n].

    Where a part of the log hazard fades, it acts more up to some year and less from then on.
    """
    threshold = -np.log(u)  # a unit exponential
    if fading is None:
        return log_hazard, 5 * np.exp((np.log(threshold) - log_hazard) / shape)
    early, late, passed = phases(log_hazard, fading, shape)
    spent = early * passed
    time = np.where(threshold < spent, threshold / early, passed + (threshold - spent) / late)  # (t / 5)^k
    return np.log(spent + late * (1 - passed)), 5 * time ** (1 / shape)


def phases(log_hazard: Floats, fading: Floats, shape: Floats) -> tuple[Floats, Floats, Floats]:
    """Hazards of the early and the late phase, and the share of (t / 5)^k of five years that is early; each [n]."""
    until, more, less = population()["fading"].value
    return np.exp(log_hazard + (more - 1) * fading), np.exp(log_hazard + (less - 1) * fading), (until / 5) ** shape


def entry(u: Floats, accrual_years: Floats, change: Floats) -> Floats:
    """Years from diagnosis to the end of accrual, where new cases grow by e^change a year; [n]."""
    growing = np.where(change == 0, 1.0, change)
    past = -np.log1p(u * np.expm1(-growing * accrual_years)) / growing
    return np.where(change == 0, u * accrual_years, past)


def record(u: Uniforms, people: People, centre: Places, world: World, at: Centres) -> Record:
    """Stage, markers and score as each centre measures and keeps them; centre [n] is the row of `at`."""
    upstaged = (u(Ask.UPSTAGE) < at.upstage[centre]) & (people.stage < DISTANT)
    with np.errstate(divide="ignore"):
        rate = logit(at.missing)  # minus infinity where nothing is missing; [S, 3]
    more = spread()["missing_frail"].number * people.frail
    more += spread()["missing_distant"].number * (people.stage == DISTANT) * world.law.staged[people.cancer]

    def gap(ask: Ask, column: int) -> Flags:
        missing: Flags = u(ask) < expit(rate[centre, column] + more)
        return missing | at.panels[centre, 0] if world.marker_gaps else missing

    measured = at.offset[centre] + at.gain[centre] * people.score_z
    if at.noise.any():
        measured += at.noise[centre] * ndtri(u(Ask.ASSAY_SCORE))
    marker_1, marker_2 = (
        assay(u(ask), marker, centre, at)
        for ask, marker in ((Ask.ASSAY_1, people.marker_1), (Ask.ASSAY_2, people.marker_2))
    )
    return Record(
        stage=(people.stage + upstaged).astype(np.int8),
        marker_1=np.where(gap(Ask.MISSING_1, 1), np.nan, marker_1) if world.marker_gaps else marker_1,
        marker_2=np.where(gap(Ask.MISSING_2, 2), np.nan, marker_2) if world.marker_gaps else marker_2,
        score_z=np.where(gap(Ask.MISSING, 0), np.nan, measured),
    )


def assay(u: Floats, marker: Flags, centre: Places, at: Centres) -> Flags:
    """Result of a test with the centre's sensitivity and specificity, [n]."""
    return np.where(marker, u < at.sensitivity[centre], u >= at.specificity[centre])
