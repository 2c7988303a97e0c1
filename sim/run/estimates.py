"""Coefficients of an exact analysis for the records: in the units of the recorded columns, with intervals."""

from typing import Any

import numpy as np
import scipy

from sim.arrays import Floats
from sim.config.experiment import Json
from sim.engine.simulation import Estimates
from sim.federation.federation import Federation
from sim.federation.standardise import Scaling
from sim.stats.intervals import LEVEL


def in_recorded_units(found: Estimates, federation: Federation, ratio: str | None) -> Json:
    """One entry per coefficient: estimate, standard errors, `exp` of it with its interval, p of the Wald test.

    The exp is a `ratio` of odds, hazards or rates; if there is none, the interval is that of the coefficient itself.
    None stands for infinity, or for a value that cannot be computed. A feature that every site scaled by itself has no
    common unit, and its coefficient is per standard deviation.
    """
    recipe = federation.recipe
    known = {name: at for at, name in enumerate(federation.features)}
    columns = [known[name] for name in found.names if name in known]
    size = len(columns)
    way = np.eye(len(found.beta))
    common = recipe is not None and recipe.scaling is not Scaling.site
    if recipe is not None and common:
        way[:size, :size] = np.diag(1 / recipe.scale[0, columns])
        way[size:, :size] = -recipe.mean[0, columns] / recipe.scale[0, columns]
    beta = way @ found.beta
    se = spread(way, found.covariance)
    robust = None if found.robust is None else spread(way, found.robust)
    trusted = robust if robust is not None and found.trusts_robust else se
    half = scipy.stats.norm.ppf((1 + LEVEL) / 2) * trusted
    bounds = np.stack([beta, beta - half, beta + half])
    if ratio is not None:
        with np.errstate(over="ignore"):
            bounds = np.exp(bounds)
    rows = [
        {
            "name": name,
            "coefficient": beta[at],
            "se": se[at],
            "robust_se": None if robust is None else robust[at],
            **dict(zip(("exp", "low", "high"), bounds[:, at], strict=True)),
            "p": 2 * scipy.stats.norm.sf(abs(beta[at] / trusted[at])),
            **{key: part[at] for key, part in found.beside.items()},
        }
        for at, name in enumerate(found.names)
    ]
    plain = [{key: plain_number(part) for key, part in row.items()} for row in rows]
    if ratio is None:
        plain = [row | {"exp": None} for row in plain]
    return {
        "level": LEVEL,
        "ratio": ratio,
        "unit": "recorded" if common else "site's standard deviation",
        "interval_from": "robust_se" if found.trusts_robust else "se",
        "rows": plain,
        "left_out": list(found.left_out),
        "notes": list(found.notes),
    }


def plain_number(value: Any) -> Any:
    """A number as JSON allows it, None if infinite; other values unchanged."""
    if not isinstance(value, np.floating):
        return value
    return float(value) if np.isfinite(value) else None


def spread(way: Floats, covariance: Floats) -> Floats:
    """Standard errors after a linear map; [P, P], [P, P] -> [P]."""
    return np.asarray(np.sqrt(np.einsum("pi,ij,pj->p", way, covariance, way)))
