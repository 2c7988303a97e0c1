"""The candidate features of a biomarker search: which columns they are, and which have an effect."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim.analyses.design_matrix import labels
from sim.analyses.selection import Flags
from sim.analyses.sites import CANCER, CohortBySite, covariates, standardised
from sim.arrays import Floats
from sim.checks import Refused
from sim.exact.sums import Rows, Traffic

TRUE_FEATURES = "true_features"  # key of a cohort's notes: names of the features with an effect, separated by commas


class Scope(NamedTuple):
    """How many features are searched, and how many of them can be found."""

    features: int  # that differ between patients of some site
    absent: float  # share of the pairs of a site and such a feature in which the site does not measure it
    true: int | None  # of these features, how many have an effect; None where the truth is not known
    mixed: bool  # whether there are several cancers, each of which may have true features of its own
    left_out: tuple[str, ...]  # features that no site measures, or that are the same in all patients of each


@dataclass(frozen=True)
class Panel:
    """Covariates "x" [n, P], features "g" [n, p] and the outcome "y" of every site, standardised over all sites."""

    covariates: tuple[str, ...]
    features: tuple[str, ...]  # [p]
    sites: list[Rows]
    true: Flags | None  # [p]; None where the truth is not known
    scope: Scope
    traffic: Traffic  # of the standardisation


def panel(data: CohortBySite, outcome: str, prefix: str) -> Panel:
    """Panel of the columns that start with `prefix`; refuses a cohort without such columns that vary within a site."""
    names = [str(name) for name in data.table.columns]
    features = [name for name in names if name.startswith(prefix)]
    if not features or not prefix:
        raise Refused(
            f"Cohort {data.cohort.name!r} has no columns that start with {prefix!r} to search for biomarkers; it has "
            f"{', '.join(names)}. Set cohort.discovery=500 (cohort=calibrated), or name their prefix with --features."
        )
    y = data.split(labels(data, outcome))
    searched = set(features)
    others = [name for name in data.cohort.predictors[outcome] if name not in searched]
    beside, x, covariate_traffic = covariates(data, others)
    raw = data.split(data.table[features].to_numpy(dtype=np.float64, na_value=np.nan))
    lacks = np.array([np.isnan(part).all(axis=0) for part in raw])
    g, varies, feature_traffic = standardised(raw)
    if not varies.any():
        raise Refused(
            f"Cohort {data.cohort.name!r}: every column that starts with {prefix!r} is empty or constant. Name another "
            "prefix with --features."
        )
    kept = [name for name, here in zip(features, varies, strict=True) if here]
    true = true_features(data, kept)
    left_out = tuple(name for name, here in zip(features, varies, strict=True) if not here)
    mixed = any(data.table[name].nunique() > 1 for name in CANCER if name in names)
    hits = None if true is None else int(true.sum())
    scope = Scope(len(kept), float(lacks[:, varies].mean()), hits, mixed, left_out)
    sites: list[Rows] = [{"x": a, "g": b, "y": c} for a, b, c in zip(x, g, y, strict=True)]
    return Panel(beside, tuple(kept), sites, true, scope, covariate_traffic.then(feature_traffic))


def true_features(data: CohortBySite, features: list[str]) -> Flags | None:
    """Which features have an effect, bool [p]; None where it is not known. Refuses notes that name none of them."""
    if TRUE_FEATURES not in data.cohort.notes:
        return None
    named = [name for name in re.split(r"[,\s]+", data.cohort.notes[TRUE_FEATURES]) if name]
    true = np.isin(features, named)
    if not true.any():
        raise Refused(f"Cohort {data.cohort.name!r}: none of the true features {', '.join(named)} is a column.")
    return true


def correlated(sites: list[Rows], true: Flags, least: float) -> Flags:
    """Features whose absolute correlation with some true feature is at least `least`; bool [p], true ones included."""
    moments = sum((rows["g"][:, true].T @ rows["g"] for rows in sites), np.zeros((int(true.sum()), len(true))))
    length = np.sqrt(sum(((rows["g"] ** 2).sum(0) for rows in sites), np.zeros(len(true))))
    correlation: Floats = moments / np.outer(length[true], length)
    return np.asarray((np.abs(correlation) >= least).any(axis=0))
