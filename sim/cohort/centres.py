"""Centres: what makes one hospital differ from the next.

Every effect of a centre has its own random stream, keyed by (consortium, centre, effect). It depends neither on how
many centres there are, nor on the patients, nor on the seed of the run; `het` and `tau` scale it without a new draw.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, gammaincinv, ndtri

from sim.cohort.published import RACES, Floats, population, spread
from sim.random import stream

MOST_MISSING = 0.8  # share of patients; a marker recorded less often would not be in a consortium's form
TINY = 2.0**-54  # stands for a uniform of exactly zero, of which no quantile exists


@dataclass(frozen=True)
class Centre:
    """The effects of one centre; at het = 0 and tau = 0 all centres are equal and record without error."""

    case_mix: Floats  # [cancers] log tilt of the shares
    race: Floats  # [5] shares
    age_years: float  # shift of the location
    stage: float  # logit towards a later true stage
    upstage: float  # chance that a stage is recorded one too high
    sensitivity: float  # of the tests of both markers
    specificity: float
    gain: float  # score_z recorded = offset + gain * score_z + noise * N(0, 1)
    offset: float
    noise: float
    missing: float  # share without score_z among patients neither frail nor distant
    practice: float  # logit of treating
    cutoff_years: float  # patients enter evenly over this time, and it ends with the cut-off
    loss_per_year: float  # rate of loss to follow-up
    hazard: float  # log hazard of death from cancer
    response: float  # logit of response
    concept: Floats  # [4] shift of: treated, score_z, treated * marker (logit of response); score_z (log hazard)


def centre(consortium: int, number: int, het: float, tau: float, cancers: tuple[str, ...]) -> Centre:
    """Centre `number` (0, 1, ...) of a consortium."""

    def uniform(*effect: str) -> float:
        return max(float(stream(consortium, "centre", number, *effect).random()), TINY)

    def normal(*effect: str) -> float:
        return float(ndtri(uniform(*effect)))

    def sd(effect: str) -> float:
        return het * spread()[effect].number * normal(effect)

    def beta(effect: str) -> float:
        return het * float(betaincinv(*spread()[effect].value, uniform(effect)))

    accrual, width = spread()["cutoff_years"].value
    lost, excess = spread()["loss_per_year"].value
    return Centre(
        case_mix=het * spread()["case_mix"].number * np.array([normal("case_mix", name) for name in cancers]),
        race=race_shares(het, np.array([uniform("race", race) for race in RACES])),
        age_years=sd("age_years"),
        stage=sd("stage"),
        upstage=het * spread()["upstage"].number * uniform("upstage"),
        sensitivity=max(0.0, 1 - beta("insensitivity")),
        specificity=max(0.0, 1 - beta("unspecificity")),
        gain=float(np.exp(sd("gain"))),
        offset=sd("offset"),
        noise=het * spread()["noise"].number,
        missing=min(beta("missing"), MOST_MISSING),
        practice=sd("practice"),
        cutoff_years=float(accrual + het * width * (uniform("cutoff_years") - 0.5)),
        loss_per_year=float(lost + het * excess * uniform("loss_per_year")),
        hazard=sd("hazard"),
        response=sd("response"),
        concept=tau * np.array([normal("concept", str(effect)) for effect in range(4)]),
    )


def race_shares(het: float, u: Floats) -> Floats:
    """Dirichlet shares by the inverse laws of their gamma variables, so that they move smoothly with `het`; [5]."""
    mean = population()["race"].value
    if het == 0:
        return mean
    drawn = gammaincinv(spread()["race_concentration"].number / het**2 * mean, u)
    return np.asarray(drawn / drawn.sum())


def relative_sizes(consortium: int, sites: int, het: float) -> Floats:
    """Log-normal weights of the centres, [S]."""
    u = np.array([stream(consortium, "centre", number, "size").random() for number in range(sites)])
    return np.asarray(np.exp(het * spread()["size"].number * ndtri(np.maximum(u, TINY))))


def deal(patients: int, weights: Floats) -> NDArray[np.int64]:
    """Patients of each centre, int [S], at least one each: Jefferson's divisor rule.

    A divisor rule, unlike the largest remainder, never takes a patient from a centre when the total grows.
    """
    share = weights / weights.sum()
    count: NDArray[np.int64] = np.maximum(1, np.floor(share * (patients - len(share))).astype(np.int64))
    while count.sum() < patients:
        count[np.argmax(share / (count + 1))] += 1
    return count
