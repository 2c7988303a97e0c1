"""The interaction of marker and treatment at every site: the site's own estimate, and the truth where it is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit

from sim.analyses.design_matrix import CORE, Design
from sim.analyses.sites import CohortBySite
from sim.arrays import Floats
from sim.checks import Refused
from sim.exact.newton import fit, varying
from sim.exact.sums import Rows

INTERACTION = CORE[2]
MAX_STANDARD_ERROR = 10.0  # of a log odds ratio; a site with a larger one has an empty cell, and no estimate


@dataclass(frozen=True)
class Truth:
    """True chances and marker of the patients of a synthetic cohort; every field [R]."""

    control: Floats  # chance of response untreated
    new: Floats  # chance of response treated
    marker: Floats  # the true one, which tests may have recorded wrongly


def true_chances(data: CohortBySite, outcome: str, given: Floats, marker: str) -> Truth | None:
    """True chances with and without treatment, from the true chance as treated and the true gain; None if unknown."""
    known = data.truth
    if known is None or "cate" not in known.columns:
        return None
    chance, gain = (known[name].to_numpy(dtype=np.float64) for name in (outcome, "cate"))
    control = np.where(given > 0, chance - gain, chance)
    real = known[marker] if marker in known.columns else data.table[marker]
    return Truth(control, control + gain, real.to_numpy(dtype=np.float64))


def site_estimates(data: CohortBySite, made: Design, known: Truth | None) -> pd.DataFrame:
    """Every site's own interaction, its standard error, and the truth by the true and by the recorded marker."""
    rows = []
    for number, site in enumerate(made.sites):
        estimate, se = site_interaction(site, made.names)
        rows.append((data.sites[number], len(site["y"]), int(site["x"][:, 1].sum()), estimate, se))
    frame = pd.DataFrame(rows, columns=["site", "patients", "carriers", "estimate", "se"])
    frame["truth"], frame["findable"] = np.nan, np.nan
    if known is not None:
        effect = data.split(logit(known.new) - logit(known.control))  # log odds ratio of treatment for a patient
        frame["truth"] = difference_by_marker(effect, data.split(known.marker))
        frame["findable"] = difference_by_marker(effect, [rows["x"][:, 1] for rows in made.sites])
    return frame


def difference_by_marker(effect: Sequence[Floats], marker: Sequence[Floats]) -> list[float]:
    """Mean effect [n] with the marker [n] less that without, at every site; NaN where all patients have it, or none."""
    return [
        float(here[has == 1].mean() - here[has == 0].mean()) if 0 < has.sum() < len(has) else float("nan")
        for here, has in zip(effect, marker, strict=True)
    ]


def site_interaction(rows: Rows, names: tuple[str, ...]) -> tuple[float, float]:
    """A site's own interaction and standard error, adjusted for the columns that vary there; NaN if not estimable."""
    keep = varying(rows["x"])
    if INTERACTION not in (names[at] for at in keep) or 0 not in keep or 1 not in keep:
        return float("nan"), float("nan")
    try:
        own = fit(tuple(names[at] for at in keep), [{"x": rows["x"][:, keep], "y": rows["y"]}])
    except Refused:
        return float("nan"), float("nan")
    estimate, se = own.of(INTERACTION)
    return (estimate, se) if se < MAX_STANDARD_ERROR else (float("nan"), float("nan"))
