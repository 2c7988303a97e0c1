"""Patients before anything is recorded: uniforms in, true characteristics out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.cohort.calibrated.centres import Centres
from sim.cohort.calibrated.draws import Ask, Uniforms
from sim.cohort.calibrated.published import OLDEST, RACES, YOUNGEST, Law, population
from sim.cohort.calibrated.world import Hard, World

Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

BLACK = RACES.index("black")
MARKER_1 = 3  # column of Law.log_hazard
FADING = (2, 5)  # frail and score_z
PUBLIC = 2  # insurance codes from here on are Medicaid or none


@dataclass(frozen=True)
class TruePatients:
    """True characteristics of n patients, before a centre records them; every field [n]."""

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
    response_control: Floats  # probability of response without the new treatment
    response_treated: Floats  # and with it
    log_hazard: Floats  # of death from cancer, without the effect of response and without the baseline
    fading: Floats | None  # part of the log hazard that acts more early than late; None = no such part

    @property
    def response(self) -> Floats:
        """Probability of response under the treatment that was given, [n]."""
        return np.where(self.treated, self.response_treated, self.response_control)


def draw_patients(
    u: Uniforms, centre: Indices, world: World, at: Centres, genes: Callable[[Indices], Floats]
) -> TruePatients:
    """True characteristics of patients.

    centre  int [n]: row of `at`
    genes   function of the cancer [n] that gives the genetic log hazard [n], which is also subtracted from the logit
            of response
    """
    law, base = world.law, population()
    cancer = draw_category(u(Ask.CANCER), law.share * np.exp(at.case_mix), centre)
    genetic = genes(cancer)
    age = draw_age(u(Ask.AGE), cancer, centre, law, at)
    male = u(Ask.MALE) < law.male[cancer]
    race = draw_category(u(Ask.RACE), at.race, centre)
    black = race == BLACK
    chance = np.array([base["public_others"].number, base["public_black"].number])
    public = u(Ask.INSURANCE) < chance[black.astype(np.intp)]

    # Centred at its population mean, so that centres without effects have the published mix of stages.
    share_black = base["race"].value[BLACK]
    if_public, if_black = base["stage_public"].number, base["stage_black"].number
    mean = if_public * (chance @ [1 - share_black, share_black]) + if_black * share_black
    later = at.stage[centre] + if_public * public + if_black * black - mean
    asked = u(Ask.STAGE)
    beyond_local, distant = (asked > scipy.special.expit(logit[cancer] - later) for logit in law.stage.T)

    at_65, per_year, if_public = base["frail"].value
    frail = u(Ask.FRAIL) < scipy.special.expit(at_65 + per_year * (age - 65) + if_public * public)
    carries = law.marker[:, 0][cancer] + law.marker_black[cancer] * black + law.marker_distant[cancer] * distant
    marker_1 = u(Ask.MARKER_1) < scipy.special.expit(carries)
    marker_2 = u(Ask.MARKER_2) < scipy.special.expit(law.marker[:, 1])[cancer]
    score = scipy.special.ndtri(u(Ask.SCORE))

    per_year, if_frail, if_public = base["treated"].value
    practice = scipy.special.expit(at.practice[centre] + per_year * (age - 65) + if_frail * frail + if_public * public)
    treated = u(Ask.TREATED) < (0.5 if world.randomised else practice)

    if_frail, per_year, per_score = base["response"].value
    on_treated, on_score, on_both, on_hazard = at.concept[centre].T
    years = age - law.age_years[cancer]
    marker = np.where(law.second[cancer], marker_2, marker_1)
    control = law.response[:, 0][cancer] + at.response[centre] + if_frail * frail + per_year * years
    control = control + (per_score + on_score) * score - genetic
    gain = law.response[:, 1][cancer] + on_treated + (law.response[:, 2][cancer] + on_both) * marker

    stage = beyond_local.astype(np.int64) + distant
    known = (years / 10, male - law.male[cancer], frail - base["frail_mean"].number, marker_1, marker_2, score)
    effects = [law.log_hazard[:, column][cancer] for column in range(len(known))]
    if Hard.stage_effects in world.hard:
        effects[MARKER_1] = law.marker_by_stage[cancer, stage]
    hazard = at.hazard[centre] + on_hazard * score + genetic
    if Hard.site_effects in world.hard:
        effects = [effect * at.scale[centre, column] for column, effect in enumerate(effects)]
        hazard = hazard + at.per_stage[centre] * (stage - 1) * law.staged[cancer]
    for effect, value in zip(effects, known, strict=True):
        hazard = hazard + effect * value
    fading = np.sum([effects[column] * known[column] for column in FADING], axis=0)
    return TruePatients(
        cancer=cancer.astype(np.int8),
        age_years=age,
        male=male,
        race=race.astype(np.int8),
        insurance=((age >= 65) + PUBLIC * public).astype(np.int8),
        stage=stage.astype(np.int8),
        frail=frail,
        marker_1=marker_1,
        marker_2=marker_2,
        score_z=score,
        treated=treated,
        response_control=scipy.special.expit(control),
        response_treated=scipy.special.expit(control + gain),
        log_hazard=hazard,
        fading=fading if Hard.time_varying in world.hard else None,
    )


def draw_category(u: Floats, weights: Floats, centre: Indices) -> Indices:
    """Category 0..L-1 of each patient, int [n], from uniforms u [n] and the weights [S, L] of the centres."""
    ends = np.cumsum(weights, axis=1)
    ends /= ends[:, -1:]
    place = np.zeros(len(u), dtype=np.int64)
    for end in ends.T[:-1]:
        place += u >= end[centre]
    return place


def draw_age(u: Floats, cancer: Indices, centre: Indices, law: Law, at: Centres) -> Floats:
    """Ages at diagnosis in years: truncated normal, by its quantile function; [n]."""
    location, scale = law.age_normal[:, 0] + at.age_years[:, None], law.age_normal[:, 1]  # [S, cancers], [cancers]
    low, high = scipy.special.ndtr((YOUNGEST - location) / scale), scipy.special.ndtr((OLDEST - location) / scale)
    inside = low[centre, cancer] + u * (high - low)[centre, cancer]
    return np.asarray(location[centre, cancer] + scale[cancer] * scipy.special.ndtri(inside))
