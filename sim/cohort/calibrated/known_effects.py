"""True effects, prognostic features and trends of a calibrated cohort: truths that are not per patient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy

from sim.cohort.calibrated import genes
from sim.cohort.calibrated.published import OLDEST, STAGES, YOUNGEST, Law, population, stage_shares
from sim.cohort.calibrated.world import Hard, World
from sim.lazy import pd

Term = tuple[str, str, float, float]


def effects(world: World) -> pd.DataFrame:
    """True effects at a centre without effects of its own, one row per (cancer, term).

    term        a column of the table, or a level of it as `column=level`
    log_hazard  log hazard ratio of death from the cancer per unit; 0 = no effect
    log_odds    log odds ratio of response per unit

    Treatment acts on survival through response alone. A gene without a row has no effect.
    """
    rows = [row for at in range(len(world.law.names)) for row in terms(world, at)]
    return pd.DataFrame(rows, columns=["cancer", "term", "log_hazard", "log_odds"])


def terms(world: World, at: int) -> Iterator[Term]:
    """Rows of `effects` for cancer number `at`."""
    law, base = world.law, population()
    name, hazard = law.names[at], law.log_hazard[at]
    on_frail, on_age, on_score = base["response"].value
    _, new, with_marker = law.response[at]
    yield name, "age_years", hazard[0] / 10, on_age
    yield name, "male", hazard[1], 0.0
    yield name, "frail", hazard[2], on_frail
    if Hard.stage_effects in world.hard and np.ptp(law.marker_by_stage[at]):
        for stage, effect in zip(STAGES, law.marker_by_stage[at], strict=True):
            yield name, f"marker_1, stage={stage}", effect, 0.0
    else:
        yield name, "marker_1", hazard[3], 0.0
    yield name, "marker_2", hazard[4], 0.0
    yield name, "score_z", hazard[5], on_score
    yield name, "treated", 0.0, new
    yield name, "treated_marker", 0.0, with_marker
    yield name, "response", float(np.log(base["responder_hazard"].number)), 0.0
    for place in np.flatnonzero(world.genes[at]):
        yield name, genes.names(int(place) + 1)[-1], world.genes[at, place], -world.genes[at, place]


def true_features(world: World) -> str:
    """Names of the genes with an effect in some cancer, separated by commas."""
    named = genes.names(world.genes.shape[1])
    return ", ".join(named[place] for place in np.flatnonzero(world.genes.any(axis=0)))


def annual_changes(law: Law) -> str:
    """True annual percent change per cancer, `merkel=3, lung=-2`; the mean where ages or stages differ."""
    pairs = zip(law.names, mean_change(law), strict=True)
    return ", ".join(f"{name}={100 * np.expm1(change):.3g}" for name, change in pairs)


def mean_change(law: Law) -> list[float]:
    """Log annual change of all new cases of every cancer."""
    location, scale = law.age_normal.T
    youngest, young, oldest = (
        scipy.special.ndtr((age - location) / scale) for age in (YOUNGEST, population()["young"].number, OLDEST)
    )
    share = (young - youngest) / (oldest - youngest)
    distant = np.array([stage_shares(name)[2] for name in law.names])
    by_age = np.stack([1 - share, share], axis=1)
    by_stage = np.stack([1 - distant, distant], axis=1)
    return [float(change) for change in np.einsum("cys,cy,cs->c", law.trend, by_age, by_stage)]
