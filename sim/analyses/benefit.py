"""Who benefits: does a marker modify the effect of a treatment, for whom, and what would treating by it gain?"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sim.analyses.counterfactual import ArmCounts, Chances, chances, difference, gains
from sim.analyses.design_matrix import design
from sim.analyses.site_effects import INTERACTION, MAX_STANDARD_ERROR, Truth, site_estimates, true_chances
from sim.analyses.sites import CohortBySite
from sim.arrays import Floats
from sim.checks import Refused
from sim.exact.meta import Meta, meta
from sim.exact.newton import Fit, fit
from sim.exact.sums import Traffic, solve
from sim.stats.intervals import Interval

UNWANTED = ("mortality_5y", "stage_late")  # yes-or-no outcomes that are worse when they happen


@dataclass(frozen=True)
class Benefit:
    """What a consortium learns about treatment and marker."""

    marker: str
    model: Fit  # adjusted, one intercept per site
    chances: Chances
    arms: tuple[Floats, Floats]  # patients and responders [2, 2] by marker and treatment
    sites: pd.DataFrame  # one row per site: site, patients, carriers, estimate, se (NaN = none), truth, findable
    meta: Meta
    traffic: dict[str, Traffic]
    truth: Truth | None
    recorded: Floats  # [R] marker as recorded
    given: Floats  # [R] treatment
    gain: Floats  # [R] what the model says that treatment adds to a patient's chance; NaN where a site has no fit

    def crude_gain(self, marker: int) -> Interval:
        """Difference of shares among patients with or without the marker, as if treatment had been randomised."""
        return difference(self.arms[0][marker], self.arms[1][marker])

    def crude_interaction(self) -> tuple[float, float]:
        """Log ratio of the two crude odds ratios and its standard error; NaN with an empty cell.

        Woolf, Ann. Hum. Genet. 1955.
        """
        arms = np.stack([self.arms[1], self.arms[0] - self.arms[1]])  # [responded or not, marker, treated]
        if not arms.all():
            return float("nan"), float("nan")
        sign = np.array([1, -1])
        return float(np.einsum("r,m,t,rmt", sign, -sign, -sign, np.log(arms))), float(np.sqrt((1 / arms).sum()))

    def rule(self) -> tuple[bool, bool]:
        """Whether the fitted model treats patients without and with the marker."""
        on_all, _, more = self.model.beta[:3]
        return bool(on_all > 0), bool(on_all + more > 0)

    def true_value(self, treat: Floats) -> float:
        """Mean true chance of response if `treat` [R] were given; NaN where the truth is not known."""
        if self.truth is None:
            return float("nan")
        return float(np.where(treat > 0, self.truth.new, self.truth.control).mean())

    def true_gain(self, marker: int) -> float:
        """Mean true gain of the patients recorded with or without the marker."""
        if self.truth is None:
            return float("nan")
        return float((self.truth.new - self.truth.control)[self.recorded == marker].mean())

    def true_interaction(self) -> float:
        """Mean over patients of the true interaction at their site, as a log odds ratio."""
        return self.mean_over_sites("truth")

    def findable_interaction(self) -> float:
        """The true interaction by the recorded marker: what remains of it where tests of the marker err."""
        return self.mean_over_sites("findable")

    def gain_error(self) -> tuple[float, float]:
        """Root mean square error of a patient's estimated gain, and of the mean gain as everyone's; NaN if not known.

        The precision in estimation of heterogeneous effects of Hill, J. Comput. Graph. Stat. 2011.
        """
        if self.truth is None or np.isnan(self.gain).all():
            return float("nan"), float("nan")
        true = self.truth.new - self.truth.control
        known = ~np.isnan(self.gain)
        return float(np.sqrt(np.mean((self.gain - true)[known] ** 2))), float(true[known].std())

    def mean_over_sites(self, column: str) -> float:
        """Mean over patients of a column of `sites`; NaN where no site has a value."""
        known = self.sites.dropna(subset=column)
        return float(np.average(known[column], weights=known["patients"])) if len(known) else float("nan")


def benefit(data: CohortBySite, outcome: str, treated: str = "treated", marker: str = "") -> Benefit:
    """Fits of all sites together and of each site alone, and the crude comparison, which confounding biases.

    Refuses outcomes that are worse when they happen, and what `design` refuses.
    """
    if outcome in UNWANTED:
        raise Refused(
            f"Outcome {outcome!r}: a higher value is not a benefit, so the rule would treat the patients it harms. Use "
            "another outcome, such as task=response."
        )
    made = design(data, outcome, treated, marker)
    model = fit(made.names, made.sites)
    if model.of(INTERACTION)[1] >= MAX_STANDARD_ERROR:
        raise Refused(
            f"Cohort {data.cohort.name!r}: {made.marker} x {treated} has no estimate, because all patients of one arm "
            "had the same outcome. Use more patients or another marker."
        )
    found, chances_traffic = chances(model, made.sites)
    arms, counts_traffic = solve(ArmCounts(), made.sites)
    core = np.concatenate([rows["x"][:, :2] for rows in made.sites])
    known = true_chances(data, outcome, core[:, 0], made.marker)
    sites = site_estimates(data, made, known)
    estimable = sites.dropna(subset="se")
    traffic = {
        "Means and spreads of the covariates": made.traffic,
        "Newton rounds of the regression": model.traffic,
        "Chances with and without treatment": chances_traffic,
        "Crude comparison": counts_traffic,
        "Site estimates for the meta-analysis": Traffic(1, 16, 0),
    }
    return Benefit(
        marker=made.marker,
        model=model,
        chances=found,
        arms=(arms["rows"], arms["events"]),
        sites=sites,
        meta=meta(estimable["estimate"].to_numpy(), estimable["se"].to_numpy()),
        traffic=traffic,
        truth=known,
        recorded=core[:, 1],
        given=core[:, 0],
        gain=gains(model, made.sites),
    )
