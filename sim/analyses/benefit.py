"""Who benefits: does a marker change what a treatment does, at whom, and what would treating by it bring."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit

from sim.analyses.counterfactual import Cells, Chances, chances, difference, gains
from sim.analyses.design_matrix import CORE, Design, design
from sim.analyses.meta import Meta, meta
from sim.analyses.newton import Fit, fit, varying
from sim.analyses.sites import Held
from sim.analyses.sums import Rows, Wire, solve
from sim.arrays import Floats
from sim.checks import Refused
from sim.stats.intervals import Interval

INTERACTION = CORE[2]
UNWANTED = ("mortality_5y", "stage_late")  # yes-or-no outcomes of cohorts that nobody wishes for
WIDEST = 10.0  # standard error of a log odds ratio above which a site has no estimate: an empty cell decides it


@dataclass(frozen=True)
class Truth:
    """What a synthetic cohort knows of its patients; every field [R]."""

    control: Floats  # chance of response untreated
    new: Floats  # and treated
    marker: Floats  # as it is, not as it was recorded


@dataclass(frozen=True)
class Benefit:
    """What a consortium learns about treatment and marker."""

    marker: str
    model: Fit  # adjusted, an intercept a site
    chances: Chances
    cells: tuple[Floats, Floats]  # patients and responders [2, 2] by marker and treatment
    sites: pd.DataFrame  # one row a site: site, patients, carriers, estimate, se (NaN = not estimable), truth, findable
    meta: Meta
    wires: dict[str, Wire]
    truth: Truth | None
    recorded: Floats  # [R] marker as recorded
    given: Floats  # [R] treatment
    gain: Floats  # [R] what the model says that treatment adds to a patient's chance; NaN where a site has no level

    def crude_gain(self, marker: int) -> Interval:
        """Difference of shares among patients with or without the marker, as if treatment had been dealt by chance."""
        return difference(self.cells[0][marker], self.cells[1][marker])

    def crude_interaction(self) -> tuple[float, float]:
        """Log ratio of the two crude odds ratios and its standard error (Woolf 1955); NaN with an empty cell."""
        cells = np.stack([self.cells[1], self.cells[0] - self.cells[1]])  # [responded or not, marker, treated]
        if not cells.all():
            return float("nan"), float("nan")
        sign = np.array([1, -1])
        return float(np.einsum("r,m,t,rmt", sign, -sign, -sign, np.log(cells))), float(np.sqrt((1 / cells).sum()))

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
        return self.over_sites("truth")

    def findable_interaction(self) -> float:
        """The same between those recorded with and without the marker: tests that err leave less of it to be found."""
        return self.over_sites("findable")

    def misjudged(self) -> tuple[float, float]:
        """Root mean square error of a patient's gain, and what it would be if all had the mean gain; NaN if not known.

        The precision in estimation of heterogeneous effects of Hill, J. Comput. Graph. Stat. 2011.
        """
        if self.truth is None or np.isnan(self.gain).all():
            return float("nan"), float("nan")
        true = self.truth.new - self.truth.control
        known = ~np.isnan(self.gain)
        return float(np.sqrt(np.mean((self.gain - true)[known] ** 2))), float(true[known].std())

    def over_sites(self, column: str) -> float:
        """Mean over patients of what is known of their site; NaN if nothing is."""
        known = self.sites.dropna(subset=column)
        return float(np.average(known[column], weights=known["patients"])) if len(known) else float("nan")


def benefit(held: Held, outcome: str, treated: str = "treated", marker: str = "") -> Benefit:
    """Fit all sites together, each alone, and the crude comparison that a confounded cohort would mislead with."""
    if outcome in UNWANTED:
        raise Refused(
            f"Outcome {outcome!r}: a benefit is more of what is wished for; the rule would treat whom it harms. Take "
            "another outcome, such as task=response."
        )
    made = design(held, outcome, treated, marker)
    model = fit(made.names, made.sites)
    if model.of(INTERACTION)[1] >= WIDEST:
        raise Refused(
            f"Cohort {held.cohort.name!r}: {made.marker} x {treated} has no estimate, because all patients of one arm "
            "had one outcome. Take more patients or another marker."
        )
    found, asked = chances(model, made.sites)
    cells, counted = solve(Cells(), made.sites)
    core = np.concatenate([rows["x"][:, :2] for rows in made.sites])
    known = truth(held, outcome, core[:, 0], made.marker)
    sites = by_site(held, made, known)
    told = sites.dropna(subset="se")
    wires = {
        "Means and spreads of the covariates": made.wire,
        "Newton rounds of the regression": model.wire,
        "Chances with and without treatment": asked,
        "Crude comparison": counted,
        "Site estimates for the meta-analysis": Wire(1, 16, 0),
    }
    return Benefit(
        marker=made.marker,
        model=model,
        chances=found,
        cells=(cells["rows"], cells["events"]),
        sites=sites,
        meta=meta(told["estimate"].to_numpy(), told["se"].to_numpy()),
        wires=wires,
        truth=known,
        recorded=core[:, 1],
        given=core[:, 0],
        gain=gains(model, made.sites),
    )


def truth(held: Held, outcome: str, given: Floats, marker: str) -> Truth | None:
    """True chances with and without treatment, from the true chance as treated and the true gain; None if unknown."""
    known = held.truth
    if known is None or "cate" not in known.columns:
        return None
    chance, gain = (known[name].to_numpy(dtype=np.float64) for name in (outcome, "cate"))
    control = np.where(given > 0, chance - gain, chance)
    real = known[marker] if marker in known.columns else held.table[marker]
    return Truth(control, control + gain, real.to_numpy(dtype=np.float64))


def by_site(held: Held, made: Design, known: Truth | None) -> pd.DataFrame:
    """Every site's own interaction, its standard error and the truth, by the marker as it is and as recorded."""
    rows = []
    for number, site in enumerate(made.sites):
        estimate, se = alone(site, made.names)
        rows.append((held.sites[number], len(site["y"]), int(site["x"][:, 1].sum()), estimate, se))
    frame = pd.DataFrame(rows, columns=["site", "patients", "carriers", "estimate", "se"])
    frame["truth"], frame["findable"] = np.nan, np.nan
    if known is not None:
        effect = held.split(logit(known.new) - logit(known.control))  # log odds ratio of treatment for a patient
        frame["truth"] = between(effect, held.split(known.marker))
        frame["findable"] = between(effect, [rows["x"][:, 1] for rows in made.sites])
    return frame


def between(effect: Sequence[Floats], marker: Sequence[Floats]) -> list[float]:
    """Mean effect with the marker less that without, at every site; NaN where all have it, or none."""
    return [
        float(here[has == 1].mean() - here[has == 0].mean()) if 0 < has.sum() < len(has) else float("nan")
        for here, has in zip(effect, marker, strict=True)
    ]


def alone(rows: Rows, names: tuple[str, ...]) -> tuple[float, float]:
    """A site's own interaction and its standard error, adjusted for what varies there; NaN if not estimable."""
    keep = varying(rows["x"])
    if INTERACTION not in (names[at] for at in keep) or 0 not in keep or 1 not in keep:
        return float("nan"), float("nan")
    try:
        own = fit(tuple(names[at] for at in keep), [{"x": rows["x"][:, keep], "y": rows["y"]}])
    except Refused:
        return float("nan"), float("nan")
    estimate, se = own.of(INTERACTION)
    return (estimate, se) if se < WIDEST else (float("nan"), float("nan"))
