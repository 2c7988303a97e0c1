"""What happens, not how it is recorded: treatment by the custom of the site, and effects that differ between sites.

A change of what happens needs the law of the outcome. For a yes-or-no outcome the truth of a synthetic cohort is that
law: it holds every patient's probability, and a label is redrawn so that it stays unless its probability moved across
the patient's own chance. A survival outcome is refused: truth is a log-risk there, not a law of times, so that
only the generator can do it (cohort.het, cohort.tau). Truth moves with what happens: it stays the best score there is.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from sim.arrays import Floats
from sim.checks import Refused, within
from sim.cohort.outcomes import Binary
from sim.cohort.table import Cohort
from sim.shift.base import Where, flags, moments, named, numbers

GAIN, GAINED = "cate", "response"  # column of truth: what the treatment adds to the probability of this outcome


@dataclass
class Practice:
    """Odds of treatment times exp(a) at a site, a ~ N(0, spread^2): some patients are treated, or not, who were not.

    Who of those switches is random: practice changes, indication stays. Reference: odds ratio 3.2 between high- and
    low-volume centres (metastatic Merkel cell carcinoma) makes a spread of about 0.8.
    """

    spread: float = 0.0  # 0..5; sd between sites of the log odds ratio
    treatment: str = "treated"  # yes-or-no column

    def __post_init__(self) -> None:
        within("shift.practice.spread", self.spread, 0, 5)

    def apply(self, cohort: Cohort, outcome: str, where: Where) -> Cohort:
        """Treatment by the new custom, and the outcome under it."""
        truth = law(cohort, outcome, "shift.practice")
        if outcome != GAINED:
            raise Refused(
                f"shift.practice: what treatment does is known of outcome {GAINED!r}, not of {outcome!r}. Set spread "
                "to 0 and use cohort.het of cohort=calibrated, whose centres differ in practice; or use task=response."
            )
        if GAIN not in truth:
            raise Refused(f"shift.practice: truth of cohort {cohort.name!r} has no column {GAIN!r}. Set spread to 0.")
        treated = flags(cohort.table, self.treatment, "shift.practice.treatment") == 1
        sites = len(where.names)
        share = np.bincount(where.site, weights=treated, minlength=sites) / np.bincount(where.site, minlength=sites)
        with np.errstate(divide="ignore"):
            wanted = expit(logit(share) + self.spread * where.normals("practice"))
        more = np.where(share < 1, (wanted - share) / np.maximum(1 - share, 1e-300), 0.0)
        less = np.where(share > 0, (share - wanted) / np.maximum(share, 1e-300), 0.0)
        u = where.rows("practice")
        now = np.where(treated, u >= less[where.site], u < more[where.site])
        gain = truth[GAIN].to_numpy(dtype=np.float64)
        before = truth[outcome].to_numpy(dtype=np.float64)
        after = np.clip(before + gain * (now.astype(np.float64) - treated), 0, 1)
        table = cohort.table.assign(**{self.treatment: now})
        return happened(cohort, outcome, table, truth.assign(**{outcome: after}), before, where)


@dataclass
class Concept:
    """Effects of a site's own: logit P(event) + b + sum of d_j x_j, with d_j ~ N(0, tau^2), b ~ N(0, intercept^2).

    x_j are columns about their mean, numbers in standard deviations. References: 0.3 makes an incentive problem, 0.6
    calls for personal models; in Dutch and Taiwanese registries five factors had different effects. Intercept: 0.25
    (design).
    """

    tau: float = 0.0  # 0..5; sd between sites of every effect
    intercept: float = 0.0  # 0..5; sd between sites of the level
    columns: list[str] = field(default_factory=lambda: ["treated", "score_z", "treated_marker"])  # numbers, flags

    def __post_init__(self) -> None:
        within("shift.concept.tau", self.tau, 0, 5)
        within("shift.concept.intercept", self.intercept, 0, 5)
        named(self.columns, "shift.concept.columns")

    def apply(self, cohort: Cohort, outcome: str, where: Where) -> Cohort:
        """The outcome under the sites' own effects; what the treatment would have added is not known any more."""
        truth = law(cohort, outcome, "shift.concept")
        add = self.intercept * where.normals("concept", "intercept")[where.site]
        for name in self.columns if self.tau else []:
            effect = self.tau * where.normals("concept", name)
            add += effect[where.site] * self.facts(cohort.table, name)
        before = truth[outcome].to_numpy(dtype=np.float64)
        with np.errstate(divide="ignore"):
            after = expit(logit(before) + add)
        left = truth.drop(columns=GAIN, errors="ignore").assign(**{outcome: after})
        return happened(cohort, outcome, cohort.table, left, before, where)

    def facts(self, table: pd.DataFrame, name: str) -> Floats:
        """A column about its mean, gaps 0; [R]."""
        value = numbers(table, name, "shift.concept.columns")
        mean, sd = moments(value)
        unit = 1.0 if pd.api.types.is_bool_dtype(table[name]) else sd or 1.0
        return np.asarray(np.nan_to_num((value - mean) / unit, nan=0.0))


def law(cohort: Cohort, outcome: str, setting: str) -> pd.DataFrame:
    """Truth that holds the probability of a yes-or-no outcome, or a refusal."""
    if cohort.truth is None:
        raise Refused(
            f"{setting}: needs a cohort that knows its truth, and {cohort.name!r} does not. Set its dials to 0."
        )
    if not isinstance(cohort.outcome(outcome), Binary):
        raise Refused(
            f"{setting}: outcome {outcome!r} is a survival; what would have happened, only the generator knows. "
            "Use cohort.het and cohort.tau of cohort=calibrated, or a yes-or-no outcome."
        )
    return cohort.truth


def happened(
    cohort: Cohort, outcome: str, table: pd.DataFrame, truth: pd.DataFrame, before: Floats, where: Where
) -> Cohort:
    """The cohort with its label redrawn from P = `before` to P = truth; other outcomes may depend on it and go.

    A patient's own chance u, given the label, is uniform on [0, before) if it was true and on [before, 1) if not; the
    new label is u < after. So a probability that does not move leaves the label as it was.
    """
    kind = cohort.outcome(outcome)
    assert isinstance(kind, Binary)
    label = table[kind.label].to_numpy(dtype=bool)
    v = where.rows("happened")
    u = np.where(label, v * before, before + v * (1 - before))
    now = u < truth[outcome].to_numpy(dtype=np.float64)
    # Where the probability is the same, rounding must not speak.
    now = np.where(truth[outcome].to_numpy(dtype=np.float64) == before, label, now)
    changed = cohort.derive(table.assign(**{kind.label: now}))
    return replace(
        cohort,
        table=changed,
        truth=truth,
        outcomes={outcome: kind},
        predictors={outcome: cohort.predictors[outcome]},
    )
