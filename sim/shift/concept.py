"""Concept shift: what happens to patients differs between sites, by treatment practice or by effects of their own.

This needs the distribution of the outcome. The truth of a synthetic cohort holds every patient's probability of a
binary outcome; the label is redrawn with a uniform that belongs to the patient, so it changes only where the
probability moves across that uniform. A survival outcome is refused: its truth is a log-risk and no distribution of
times, so only the generator can shift it (cohort.het, cohort.tau). Truth is shifted with the outcome and so remains the
best possible score.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import scipy

from sim.arrays import Floats
from sim.checks import Refused, within
from sim.cohort.outcomes import Binary
from sim.cohort.table import Cohort
from sim.lazy import pd
from sim.shift.base import SiteDraws, flags, moments, numbers, refuse_repeats

GAIN, GAINED = "cate", "response"  # column of truth: what treatment adds to the probability of this outcome


@dataclass
class Practice:
    """Treatment practice: the odds of treatment at a site are multiplied by `exp(a)`, `a ~ N(0, spread^2)`.

    The patients who switch are drawn at random: practice changes, indications stay. An odds ratio of 3.2 between high-
    and low-volume centres (metastatic Merkel cell carcinoma) corresponds to a spread of about 0.8.
    """

    spread: float = 0.0  # 0..5; sd between sites of the log odds ratio
    treatment: str = "treated"  # yes-or-no column

    def __post_init__(self) -> None:
        within("shift.practice.spread", self.spread, 0, 5)

    def apply(self, cohort: Cohort, outcome: str, draws: SiteDraws) -> Cohort:
        """The cohort treated by the practice of its sites, with the outcome under that treatment."""
        truth = known_truth(cohort, outcome, "shift.practice")
        if outcome != GAINED:
            raise Refused(
                f"shift.practice: what treatment does is known of outcome {GAINED!r}, not of {outcome!r}. Set spread "
                "to 0 and use cohort.het of cohort=calibrated, whose centres differ in practice; or use task=response."
            )
        if GAIN not in truth:
            raise Refused(f"shift.practice: truth of cohort {cohort.name!r} has no column {GAIN!r}. Set spread to 0.")
        treated = flags(cohort.table, self.treatment, "shift.practice.treatment") == 1
        sites = len(draws.names)
        share = np.bincount(draws.site, weights=treated, minlength=sites) / np.bincount(draws.site, minlength=sites)
        with np.errstate(divide="ignore"):
            wanted = scipy.special.expit(scipy.special.logit(share) + self.spread * draws.site_normals("practice"))
        more = np.where(share < 1, (wanted - share) / np.maximum(1 - share, 1e-300), 0.0)
        less = np.where(share > 0, (share - wanted) / np.maximum(share, 1e-300), 0.0)
        u = draws.row_uniforms("practice")
        now = np.where(treated, u >= less[draws.site], u < more[draws.site])
        gain = truth[GAIN].to_numpy(dtype=np.float64)
        before = truth[outcome].to_numpy(dtype=np.float64)
        after = np.clip(before + gain * (now.astype(np.float64) - treated), 0, 1)
        table = cohort.table.assign(**{self.treatment: now})
        return redraw_label(cohort, outcome, table, truth.assign(**{outcome: after}), before, draws)


@dataclass
class Concept:
    """A site's own effects: `logit P(event) + b + sum_j d_j x_j` with `d_j ~ N(0, tau^2)` and `b ~ N(0, intercept^2)`.

    x_j are columns about their mean, numbers in standard deviations. With tau = 0.3 some sites gain little by joining,
    with 0.6 personal models are needed; five factors had different effects in Dutch and Taiwanese registries. An
    intercept of 0.25 is a choice of ours.
    """

    tau: float = 0.0  # 0..5; sd between sites of every effect, log odds
    intercept: float = 0.0  # 0..5; sd between sites of the intercept, log odds
    columns: list[str] = field(default_factory=lambda: ["treated", "score_z", "treated_marker"])  # numbers, flags

    def __post_init__(self) -> None:
        within("shift.concept.tau", self.tau, 0, 5)
        within("shift.concept.intercept", self.intercept, 0, 5)
        refuse_repeats(self.columns, "shift.concept.columns")

    def apply(self, cohort: Cohort, outcome: str, draws: SiteDraws) -> Cohort:
        """The cohort with the outcome under the sites' own effects; truth no longer knows what treatment adds."""
        truth = known_truth(cohort, outcome, "shift.concept")
        add = self.intercept * draws.site_normals("concept", "intercept")[draws.site]
        for name in self.columns if self.tau else []:
            effect = self.tau * draws.site_normals("concept", name)
            add += effect[draws.site] * self.facts(cohort.table, name)
        before = truth[outcome].to_numpy(dtype=np.float64)
        with np.errstate(divide="ignore"):
            after = scipy.special.expit(scipy.special.logit(before) + add)
        left = truth.drop(columns=GAIN, errors="ignore").assign(**{outcome: after})
        return redraw_label(cohort, outcome, cohort.table, left, before, draws)

    def facts(self, table: pd.DataFrame, name: str) -> Floats:
        """Column in standard deviations from its mean (flags: about their mean), 0 where not recorded; [R]."""
        value = numbers(table, name, "shift.concept.columns")
        mean, sd = moments(value)
        unit = 1.0 if pd.api.types.is_bool_dtype(table[name]) else sd or 1.0
        return np.asarray(np.nan_to_num((value - mean) / unit, nan=0.0))


def known_truth(cohort: Cohort, outcome: str, setting: str) -> pd.DataFrame:
    """Truth of a cohort, which holds the probability of a binary outcome; refuses other outcomes and real cohorts."""
    if cohort.truth is None:
        raise Refused(
            f"{setting}: needs a cohort that knows its truth, and {cohort.name!r} does not. Set its dials to 0."
        )
    if not isinstance(cohort.outcome(outcome), Binary):
        raise Refused(
            f"{setting}: outcome {outcome!r} is a survival time, and only the generator knows what would have happened "
            "otherwise. "
            "Use cohort.het and cohort.tau of cohort=calibrated, or a yes-or-no outcome."
        )
    return cohort.truth


def redraw_label(
    cohort: Cohort, outcome: str, table: pd.DataFrame, truth: pd.DataFrame, before: Floats, draws: SiteDraws
) -> Cohort:
    """The cohort with its label redrawn as its probability moves from `before` [R] to that in `truth`.

    Given the label, a patient's own uniform u lies in [0, before) if it was true and in [before, 1) if not; the new
    label is `u < after`. A probability that does not change therefore leaves the label unchanged. Other outcomes, which
    may depend on this one, are dropped.
    """
    kind = cohort.outcome(outcome)
    assert isinstance(kind, Binary)
    label = table[kind.label].to_numpy(dtype=bool)
    v = draws.row_uniforms("happened")
    u = np.where(label, v * before, before + v * (1 - before))
    now = u < truth[outcome].to_numpy(dtype=np.float64)
    # Rounding must not change a label whose probability is the same.
    now = np.where(truth[outcome].to_numpy(dtype=np.float64) == before, label, now)
    changed = cohort.derive(table.assign(**{kind.label: now}))
    return replace(
        cohort,
        table=changed,
        truth=truth,
        outcomes={outcome: kind},
        predictors={outcome: cohort.predictors[outcome]},
    )
