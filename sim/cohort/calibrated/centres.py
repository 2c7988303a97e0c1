"""Centres: how hospitals differ.

Every effect of a centre has its own random number, keyed by (consortium, effect, centre). It depends neither on the
number of centres, nor on the patients, nor on the seed of the run; `het` and `tau` scale it without a new draw.
"""

from dataclasses import dataclass, fields

import numpy as np
import scipy
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.cohort.calibrated.published import RACES, Law, centre_variation, population
from sim.cohort.calibrated.world import Hard
from sim.random import inside, key, scatter, uniform

SCALED = {0: "age", 2: "frail", 3: "marker_1", 4: "marker_2"}  # columns of Law.log_hazard that hard=site_effects moves
MOST_MISSING = 0.8  # share of patients; a consortium would not collect a marker that is missing more often


@dataclass(frozen=True)
class Centres:
    """Effects of S centres, one row each; at het = 0 and tau = 0 all are equal and record without error."""

    case_mix: Floats  # [S, cancers] log tilt of the shares
    race: Floats  # [S, 5] shares
    age_years: Floats  # [S] shift of the location
    stage: Floats  # [S] shift of the logit towards a later true stage
    upstage: Floats  # [S] probability that a stage is recorded one too high
    sensitivity: Floats  # [S] of the tests for both markers
    specificity: Floats  # [S]
    gain: Floats  # [S] score_z recorded = offset + gain * score_z + noise * N(0, 1)
    offset: Floats  # [S]
    noise: Floats  # [S]
    missing: Floats  # [S, 3] share missing of score_z, marker_1, marker_2 among patients neither frail nor distant
    panels: NDArray[np.bool_]  # [S, 1 + gene panels] whether the centre lacks the biomarkers; each panel of genes
    practice: Floats  # [S] shift of the logit of being treated
    cutoff_years: Floats  # [S] accrual: patients enter over this time, up to the cut-off
    loss_per_year: Floats  # [S] rate of loss to follow-up
    hazard: Floats  # [S] added to the log hazard of death from cancer
    response: Floats  # [S] added to the logit of response
    scale: Floats  # [S, 6] factors on the log hazard ratios of Law.log_hazard
    per_stage: Floats  # [S] log hazard per stage, relative to regional
    concept: Floats  # [S, 4] shift of: treated, score_z, treated * marker (logit of response); score_z (log hazard)

    def slice(self, first: int, last: int) -> "Centres":
        """Centres `first` to `last`, both included, as views."""
        return Centres(*(getattr(self, effect.name)[first : last + 1] for effect in fields(self)))


def centres(
    consortium: int,
    count: int,
    het: float,
    tau: float,
    cancers: tuple[str, ...],
    hard: frozenset[Hard] = frozenset(),
    panels: int = 0,
) -> Centres:
    """The first `count` centres of a consortium; `panels` is the number of gene panels."""
    numbers = np.arange(count)

    def draw(*effect: str | int) -> Floats:
        return inside(scatter(key(consortium, "centre", *effect), numbers))

    def normal(*effect: str | int) -> Floats:
        return np.asarray(scipy.special.ndtri(draw(*effect)))

    vendor = np.floor(centre_variation()["vendors"].number * draw("vendor")).astype(np.int64)

    def lacks(panel: int) -> NDArray[np.bool_]:
        of_vendor = scipy.special.ndtri(inside(scatter(key(consortium, "vendor", "panel", panel), vendor)))
        common = centre_variation()["vendor_share"].number
        both = np.sqrt(common) * of_vendor + np.sqrt(1 - common) * normal("panel", panel)
        return np.asarray(scipy.special.ndtr(both) < het * centre_variation()["panel"].number)

    def sd(effect: str) -> Floats:
        return het * centre_variation()[effect].number * normal(effect)

    def beta(effect: str, *of: str) -> Floats:
        return np.asarray(het * scipy.special.betaincinv(*centre_variation()[effect].value, draw(effect, *of)))

    accrual, width = centre_variation()["cutoff_years"].value
    lost, excess = centre_variation()["loss_per_year"].value
    tilts = [normal("case_mix", name) for name in cancers]
    upstage = centre_variation()["upstage_hard" if Hard.stage_migration in hard else "upstage"].number
    gaps = [beta("missing"), beta("missing", "marker_1"), beta("missing", "marker_2")]
    scale, own = np.ones((count, 6)), Hard.site_effects in hard
    for column, name in SCALED.items() if own else ():
        scale[:, column] += tau * normal("effect", name)
    return Centres(
        case_mix=het * centre_variation()["case_mix"].number * np.reshape(tilts, (len(cancers), count)).T,
        race=race_shares(het, np.stack([draw("race", race) for race in RACES], axis=1)),
        age_years=sd("age_years"),
        stage=sd("stage"),
        upstage=het * upstage * draw("upstage"),
        sensitivity=np.maximum(0.0, 1 - beta("insensitivity")),
        specificity=np.maximum(0.0, 1 - beta("unspecificity")),
        gain=np.exp(sd("gain")),
        offset=sd("offset"),
        noise=np.full(count, het * centre_variation()["noise"].number),
        missing=np.minimum(np.stack(gaps, axis=1), MOST_MISSING),
        panels=np.stack([lacks(panel) for panel in range(1 + panels)], axis=1),
        practice=sd("practice"),
        cutoff_years=accrual + het * width * (draw("cutoff_years") - 0.5),
        loss_per_year=lost + het * excess * draw("loss_per_year"),
        hazard=sd("hazard"),
        response=sd("response"),
        scale=scale,
        per_stage=tau * normal("effect", "stage") if own else np.zeros(count),
        concept=tau * np.stack([normal("concept", str(effect)) for effect in range(4)], axis=1),
    )


def race_shares(het: float, u: Floats) -> Floats:
    """Dirichlet shares from uniforms u [S, 5] by gamma quantiles, so that they change smoothly with `het`; [S, 5]."""
    mean = population()["race"].value
    if het == 0:
        return np.tile(mean, (len(u), 1))
    drawn = scipy.special.gammaincinv(centre_variation()["race_concentration"].number / het**2 * mean, u)
    return np.asarray(drawn / drawn.sum(1, keepdims=True))


def relative_sizes(consortium: int, sites: int, het: float) -> Floats:
    """Log-normal relative sizes of the centres, [S]."""
    u = inside(scatter(key(consortium, "centre", "size"), np.arange(sites)))
    return np.asarray(np.exp(het * centre_variation()["size"].number * scipy.special.ndtri(u)))


def referral_factors(consortium: int, sites: int, boost: float, law: Law) -> tuple[Floats, Floats]:
    """Factors on the number of patients of each centre because rare cancers are referred: by cancer, and in total.

    [S, cancers] and [S]; `boost` for rare cancers at a referral centre, 1 elsewhere.
    """
    u = uniform(scatter(key(consortium, "centre", "referral"), np.arange(sites)))
    here = (u < centre_variation()["referral"].number)[:, None] & law.rare
    times = np.where(here, boost, 1.0)
    return times, times @ law.share


def apportion(patients: int, weights: Floats) -> NDArray[np.int64]:
    """Patients per centre, int [S], at least one each, in proportion to `weights`: Jefferson's divisor method.

    A divisor method, unlike the largest remainder, never takes a patient from a centre when the total grows.
    """
    share = weights / weights.sum()

    def whole(times: float) -> NDArray[np.int64]:
        return np.asarray(np.maximum(1, np.floor(share * times).astype(np.int64)))

    # The largest multiplier that does not exceed the total; ties are then settled one by one.
    low, high = float(patients - len(share)), 2.0 * patients
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if whole(middle).sum() <= patients else (low, middle)
    count = whole(low)
    while count.sum() < patients:
        count[np.argmax(share / (count + 1))] += 1
    return count
