"""Chances of response with and without the new treatment under a fitted model, averaged by sums over patients."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.special import expit

from sim.arrays import Floats
from sim.exact.newton import Fit, fitted
from sim.exact.sums import Message, Rows, State, SumProtocol, Traffic, solve
from sim.stats.intervals import Interval, Z

TREATED, MARKER, BOTH = 0, 1, 2  # the first columns of the design


@dataclass
class ArmCounts(SumProtocol):
    """Patients and responders by marker and treatment, without any model: eight counts per site."""

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Patients [2, 2] and responders [2, 2], by marker and treatment."""
        at = (2 * rows["x"][:, MARKER] + rows["x"][:, TREATED]).astype(np.int64)
        count = np.bincount(at, minlength=4).astype(np.float64)
        events = np.bincount(at, rows["y"], 4).astype(np.float64)
        return {"rows": count.reshape(2, 2), "events": events.reshape(2, 2)}

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The totals are the answer."""
        return dict(total), True


@dataclass
class Counterfactual(SumProtocol):
    """Chances of response of all patients untreated and treated, summed by marker, with the terms of their covariance.

    Standardisation (g-computation; Robins, Math. Modelling 1986): all covariates stay as they are, only the treatment
    is set. `sum` [4] has the order (no marker, control), (no marker, new), (marker, control), (marker, new). `slope`
    [4, P] is its total derivative with respect to the coefficients, which the site's intercept follows; `own` [4, 4] is
    added to the covariance because that intercept is estimated too. Patients of a site where all had one outcome are
    left out.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("beta",)
    beta: Floats = field(default_factory=lambda: np.zeros(0))  # [P] of the fitted model

    def start(self) -> State:
        """The fitted coefficients."""
        return {"beta": self.beta}

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Sums over the patients of one site."""
        x, beta = rows["x"], seen["beta"]
        here = fitted(rows, beta, site_intercept=True)
        width = x.shape[1]
        if here is None:
            return {"rows": np.zeros(2), "sum": np.zeros(4), "slope": np.zeros((4, width)), "own": np.zeros((4, 4))}
        eta, spread = here
        marker, bare = x[:, MARKER], untreated(x, eta, beta)
        mean = spread @ x / spread.sum()
        total, slope, level = np.zeros(4), np.zeros((4, width)), np.zeros(4)
        for treat in (0, 1):
            design = x.copy()
            design[:, TREATED], design[:, BOTH] = treat, treat * marker
            chance = expit(bare + treat * (beta[TREATED] + beta[BOTH] * marker))
            steep = chance * (1 - chance)
            for group in (0, 1):
                at, mine = 2 * group + treat, marker == group
                total[at], level[at] = chance[mine].sum(), steep[mine].sum()
                slope[at] = steep[mine] @ (design[mine] - mean)
        own = np.outer(level, level) / spread.sum()
        return {"rows": np.array([(marker == 0).sum(), marker.sum()]), "sum": total, "slope": slope, "own": own}

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The totals are the answer."""
        return state | total, True


def untreated(x: Floats, eta: Floats, beta: Floats) -> Floats:
    """Linear predictors [n] of the patients if they were not treated; x [n, P], eta [n], beta [P]."""
    return np.asarray(eta - x[:, TREATED] * beta[TREATED] - x[:, BOTH] * beta[BOTH])


def gains(model: Fit, sites: Sequence[Rows]) -> Floats:
    """What the treatment adds to each patient's chance of response under the model; [R], NaN where a site has no fit.

    Every site computes it for its own patients; nothing is sent.
    """
    parts = []
    for rows in sites:
        here = fitted(rows, model.beta, site_intercept=True)
        if here is None:
            parts.append(np.full(len(rows["y"]), np.nan))
            continue
        bare = untreated(rows["x"], here[0], model.beta)
        more = model.beta[TREATED] + model.beta[BOTH] * rows["x"][:, MARKER]
        parts.append(expit(bare + more) - expit(bare))
    return np.concatenate(parts)


class Chances(NamedTuple):
    """Mean chances of response over the patients of all sites, in the order of `Counterfactual.sum`."""

    rows: Floats  # [2] patients without and with the marker
    total: Floats  # [4] summed chances
    covariance: Floats  # [4, 4] of the sums

    def mean(self, take: Floats, divisor: float) -> Interval:
        """A linear combination `take` [4] of the sums over a number of patients, with its interval (delta method)."""
        value = float(take @ self.total) / divisor
        half = Z * float(np.sqrt(take @ self.covariance @ take)) / divisor
        return Interval(value, value - half, value + half)

    def gain(self, marker: int) -> Interval:
        """What the new treatment adds to the chance of response of patients with or without the marker."""
        take = np.zeros(4)
        take[2 * marker], take[2 * marker + 1] = -1, 1
        return self.mean(take, float(self.rows[marker]))

    def policy(self, treat: tuple[bool, bool]) -> Interval:
        """Mean chance of response if patients without and with the marker are treated or not."""
        take = np.zeros(4)
        take[0 + treat[0]], take[2 + treat[1]] = 1, 1
        return self.mean(take, float(self.rows.sum()))


def chances(model: Fit, sites: Sequence[Rows]) -> tuple[Chances, Traffic]:
    """Mean chances under a model fitted with one intercept per site; one round."""
    found, traffic = solve(Counterfactual(model.beta), sites)
    covariance = found["slope"] @ model.covariance @ found["slope"].T + found["own"]
    return Chances(found["rows"], found["sum"], covariance), traffic


def difference(rows: Floats, events: Floats) -> Interval:
    """Share of responders among the treated less that among the untreated, with Wald's interval; [2], [2]."""
    share = events / rows
    half = Z * float(np.sqrt((share * (1 - share) / rows).sum()))
    value = float(share[1] - share[0])
    return Interval(value, value - half, value + half)
