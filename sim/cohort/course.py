"""The course of the disease after diagnosis, and what the centre writes down about it."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtri

from sim.cohort.centres import Centres
from sim.cohort.draws import Ask, Uniforms
from sim.cohort.patients import Codes, Flags, People, Places
from sim.cohort.published import Floats, Law, population, spread

DAYS = 365.25  # a year
DISTANT = 2  # code of the last stage
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


@dataclass(frozen=True)
class Record:
    """What the centre wrote down; every field [n]."""

    stage: Codes
    marker_1: Flags
    marker_2: Flags
    score_z: Floats  # NaN = not recorded


def fate(
    u: Uniforms, people: People, centre: Places, law: Law, baseline: Floats, at: Centres, mature_years: float = 0.0
) -> Fate:
    """Response, death and censoring; centre [n] is the row of `at`, baseline [cancers, 3] that of `calibration`.

    The data end `mature_years` after the last patient entered.

    Death from cancer: Weibull, cumulative hazard exp(log_risk) (t / 5)^k, t in years. Other causes: Gompertz in age.
    """
    base = population()
    response = u(Ask.RESPONSE) < people.response
    log_risk = people.log_hazard + np.log(base["responder_hazard"].number) * response
    log_risk += np.log(baseline)[people.cancer, people.stage]
    threshold = np.log(-np.log(u(Ask.CANCER_DEATH)))  # log of a unit exponential
    cancer_years = 5 * np.exp((threshold - log_risk) / law.shape[people.cancer])

    at_65, per_year, if_male, if_frail = base["other_death"].value
    rate = at_65 * np.exp(per_year * (people.age_years - 65) + if_male * (people.male - 0.5) + if_frail * people.frail)
    other_years = np.log1p(-np.log(u(Ask.OTHER_DEATH)) * per_year / rate) / per_year

    followed = at.cutoff_years[centre] * u(Ask.ENTRY) + FIRST_VISIT_YEARS + mature_years
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
    )


def record(u: Uniforms, people: People, centre: Places, law: Law, at: Centres) -> Record:
    """Stage, markers and score as each centre measures and keeps them; centre [n] is the row of `at`."""
    upstaged = (u(Ask.UPSTAGE) < at.upstage[centre]) & (people.stage < DISTANT)
    with np.errstate(divide="ignore"):
        rate = logit(at.missing)[centre]  # minus infinity where nothing is missing
    logit_missing = rate + spread()["missing_frail"].number * people.frail
    logit_missing += spread()["missing_distant"].number * (people.stage == DISTANT) * law.staged[people.cancer]
    measured = at.offset[centre] + at.gain[centre] * people.score_z
    if at.noise.any():
        measured += at.noise[centre] * ndtri(u(Ask.ASSAY_SCORE))
    return Record(
        stage=(people.stage + upstaged).astype(np.int8),
        marker_1=assay(u(Ask.ASSAY_1), people.marker_1, centre, at),
        marker_2=assay(u(Ask.ASSAY_2), people.marker_2, centre, at),
        score_z=np.where(u(Ask.MISSING) < expit(logit_missing), np.nan, measured),
    )


def assay(u: Floats, marker: Flags, centre: Places, at: Centres) -> Flags:
    """Result of a test with the centre's sensitivity and specificity, [n]."""
    return np.where(marker, u < at.sensitivity[centre], u >= at.specificity[centre])
