"""Published numbers of the calibrated cohort: `datasets/calibrated/*.yaml` as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy
import yaml
from numpy.typing import NDArray

from sim import assets
from sim.arrays import Floats

STAGES = ("local", "regional", "distant")
RACES = ("white", "black", "asian", "hispanic", "other")
INSURANCES = ("private", "medicare", "public", "dual")  # public: Medicaid, or no insurance
TABLES = ("cancers.yaml", "population.yaml", "centres.yaml")  # with numbers; sources.yaml only cites their sources
YOUNGEST, OLDEST = 18.0, 95.0  # years; ages at diagnosis are truncated to adults
MAX_SURVIVAL = 0.999  # highest 5-year survival; above it the baseline hazard cannot be solved for


@dataclass(frozen=True)
class Figure:
    """One or more published numbers and their source."""

    value: Floats  # [n]
    mark: str  # R read, D derived, M from memory or design; one letter, or one for each value
    source: str  # key of sources.yaml

    @property
    def number(self) -> float:
        """The value of a figure with one value."""
        (only,) = self.value
        return float(only)


Figures = Mapping[str, Figure]


def figure(entry: Mapping[str, object]) -> Figure:
    """Figure of a YAML entry {value, mark, source}."""
    mark = entry["mark"]
    letters = "".join(mark) if isinstance(mark, list) else str(mark)
    return Figure(np.atleast_1d(np.asarray(entry["value"], dtype=np.float64)), letters, str(entry["source"]))


@cache
def cancers() -> Mapping[str, Figures]:
    """Figures of every cancer, in the order of the table."""
    table = load("cancers.yaml")
    return {name: {field: figure(entry) for field, entry in fields.items()} for name, fields in table.items()}


@cache
def population() -> Figures:
    """Figures that hold for all cancers."""
    return {field: figure(entry) for field, entry in load("population.yaml").items()}


@cache
def centre_variation() -> Figures:
    """Figures of how far centres differ at het = 1."""
    return {field: figure(entry) for field, entry in load("centres.yaml").items()}


def path(name: str) -> Path:
    """Path of one of the YAML tables."""
    return assets.root() / "datasets" / "calibrated" / name


def load(name: str) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    """One of the YAML tables, unconverted."""
    text = path(name).read_text(encoding="utf-8")
    table: Mapping[str, Mapping[str, Mapping[str, object]]] = yaml.safe_load(text)
    return table


@dataclass(frozen=True)
class Law:
    """Parameters of the distribution of patients of n cancers; the first axis of every array is the cancer."""

    names: tuple[str, ...]
    share: Floats  # [n] of all patients
    age_years: Floats  # [n] published mean
    age_normal: Floats  # [n, 2] location and scale of the normal that has the published moments once truncated
    male: Floats  # [n]
    staged: NDArray[np.bool_]  # [n]
    stage: Floats  # [n, 2] logit of "local" and of "local or regional"
    survival_5y: Floats  # [n, 3] by stage; an unstaged cancer repeats its one number
    shape: Floats  # [n] Weibull k
    log_hazard: Floats  # [n, 6] per 10 years, male, frail, marker_1, marker_2, score_z
    marker: (
        Floats  # [n, 2] logit of the prevalence; where it depends on race or stage, of patients not Black, not distant
    )
    marker_black: Floats  # [n] added to the logit of marker_1 for Black patients
    marker_distant: Floats  # [n] added to the logit of marker_1 in distant stage
    second: NDArray[np.bool_]  # [n] whether the predictive marker is marker_2
    response: Floats  # [n, 3] logit: control, added by the new treatment, added by it if the marker is positive
    trend: Floats  # [n, 2, 2] log annual change of new cases: not young, young; not distant, distant
    marker_by_stage: Floats  # [n, 3] log hazard ratio of marker_1 by stage; equal where it does not depend on it
    rare: NDArray[np.bool_]  # [n]


@cache
def law(names: tuple[str, ...]) -> Law:
    """The parameters of some cancers of the table."""
    rows = [cancers()[name] for name in names]
    black = np.array([np.log(population()["triple_negative_black"].number) * (name == "breast") for name in names])
    cases = np.array([row["cases"].number for row in rows])
    prevalence = np.array([[row["marker_1"].value[0], row["marker_2"].value[0]] for row in rows])
    share_black = float(population()["race"].value[RACES.index("black")])
    near, distant = np.array([carrier_shares(name) for name in names]).T
    marker = scipy.special.logit(prevalence)
    marker[:, 0] = [intercept(p, share_black, odds) for p, odds in zip(near, black, strict=True)]
    control, with_marker, without = scipy.special.logit(np.array([row["response"].value for row in rows])).T
    return Law(
        names=names,
        share=cases / cases.sum(),
        age_years=np.array([row["age_years"].value[0] for row in rows]),
        age_normal=np.array([parent_normal(*row["age_years"].value) for row in rows]),
        male=np.array([row["male"].number for row in rows]),
        staged=np.array(["stage" in row for row in rows]),
        stage=np.array([scipy.special.logit(np.cumsum(stage_shares(name))[:2]) for name in names]),
        survival_5y=np.array([np.broadcast_to(row["survival_5y"].value, 3) for row in rows]),
        shape=np.array([row["shape"].number for row in rows]),
        log_hazard=np.array([effects(row) for row in rows]),
        marker=marker,
        marker_black=black,
        marker_distant=scipy.special.logit(distant) - scipy.special.logit(near),
        second=np.array([row["predictive"].number == 2 for row in rows]),
        response=np.stack([control, without - control, with_marker - without], axis=1),
        trend=np.array([log_annual_change(row) for row in rows]).reshape(-1, 2, 2),
        marker_by_stage=np.array([np.broadcast_to(np.log(by_stage(row)), 3) for row in rows]),
        rare=cases < population()["rare"].number,
    )


def log_annual_change(row: Figures) -> Floats:
    """Log annual change of new cases: not young, young; not distant, distant; [2, 2]."""
    table = np.full((2, 2), row["trend"].number)
    if "trend_young" in row:
        table[1] = row["trend_young"].number
    if "trend_distant" in row:
        table[:, 1] = row["trend_distant"].number
    return np.log1p(table / 100)


def by_stage(row: Figures) -> Floats:
    """Hazard ratio of marker_1 by stage, [3], or the same for all, [1]."""
    return row["marker_1_by_stage"].value if "marker_1_by_stage" in row else row["marker_1"].value[1:]


def carrier_shares(name: str) -> tuple[float, float]:
    """Prevalence of marker_1 among patients not in distant stage, and among those in it."""
    row, distant = cancers()[name], stage_shares(name)[2]
    every = float(row["marker_1"].value[0])
    if "marker_1_distant" not in row:
        return every, every
    there = row["marker_1_distant"].number
    return float((every - distant * there) / (1 - distant)), there


def stage_shares(name: str) -> Floats:
    """Shares of local, regional, distant among staged patients, [3]; a cancer without stages counts as distant."""
    row = cancers()[name]
    shares = row["stage"].value if "stage" in row else np.array([0.0, 0.0, 1.0])
    return np.asarray(shares / shares.sum())


def effects(row: Figures) -> Floats:
    """Log hazard ratios per 10 years, male, frail, marker_1, marker_2, score_z; [6]."""
    age, male, frail, score = row["log_hazard"].value
    return np.array([age, male, frail, np.log(row["marker_1"].value[1]), np.log(row["marker_2"].value[1]), score])


def intercept(prevalence: float, share: float, log_odds: float) -> float:
    """Logit of the prevalence outside a group of share `share`, such that the overall prevalence is as given."""

    def excess(at: float) -> float:
        return float((1 - share) * scipy.special.expit(at) + share * scipy.special.expit(at + log_odds) - prevalence)

    middle = float(scipy.special.logit(prevalence))
    return float(scipy.optimize.brentq(excess, middle - abs(log_odds) - 1e-9, middle + abs(log_odds) + 1e-9))


def parent_normal(mean: float, sd: float) -> tuple[float, float]:
    """Location and scale of the normal that has this mean and sd once truncated to YOUNGEST..OLDEST."""

    def excess(guess: Floats) -> Floats:
        location, scale = guess[0], np.exp(guess[1])
        ends = (np.array([YOUNGEST, OLDEST]) - location) / scale
        density = np.exp(-0.5 * ends**2) / np.sqrt(2 * np.pi)
        mass = scipy.special.ndtr(ends[1]) - scipy.special.ndtr(ends[0])
        drift = (density[0] - density[1]) / mass
        variance = 1 + (ends[0] * density[0] - ends[1] * density[1]) / mass - drift**2
        return np.array([location + scale * drift - mean, scale * np.sqrt(variance) - sd])

    found = scipy.optimize.root(excess, np.array([mean, np.log(sd)]), tol=1e-10)
    if not found.success:
        raise ArithmeticError(f"no truncated normal on [{YOUNGEST:g}, {OLDEST:g}] has mean {mean:g} and sd {sd:g}")
    return float(found.x[0]), float(np.exp(found.x[1]))
