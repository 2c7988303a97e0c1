"""Fits in one or two exchanges: every site's own estimate, combined; and the surrogate likelihood of a lead site.

K sites, P coefficients, Q = P (P + 1) / 2 numbers of a symmetric matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.checks import Refused
from sim.exact.cox import WebDISCO
from sim.exact.meta import Meta, meta
from sim.exact.newton import MAX_STEPS, RUNAWAY, NotEstimable, ascent, inverse, refuse_runaway
from sim.exact.sums import Derivatives, Likelihood, Message, Rows, State, SumProtocol, pack, solve, unpack


def own_fit(analysis: SumProtocol, rows: Rows, width: int) -> Message:
    """Estimate [P] and covariance [Q] of one site by itself, NaN where no such fit exists.

    It exists where the features are independent there and the likelihood has a maximum.
    """
    try:
        state, _ = solve(analysis, [rows])
    except Refused:
        state = {}
    if not state or np.abs(state["step"]).max() > RUNAWAY:
        return {"beta": np.full(width, np.nan), "covariance": np.full(width * (width + 1) // 2, np.nan)}
    return {"beta": state["beta"], "covariance": pack(state["covariance"])}


def fitted(beta: Floats, names: Sequence[str]) -> Bools:
    """Which of the sites have a fit of their own, bool [K]; refuses none. beta [K, P]."""
    known = ~np.isnan(beta).any(1)
    if not known.any():
        raise NotEstimable(
            f"no site can fit the {len(names)} coefficients by itself: columns that are the same in all its patients, "
            "or outcomes that a column tells apart. Leave columns out by task.without, or take algorithm=newton or "
            "cox_webdisco, which need no fit of a single site."
        )
    return np.asarray(known)


@dataclass
class MetaAnalysis(SumProtocol):
    """Estimates of the sites combined, each sent once with its covariance.

    fixed: `(sum V_k^-1)^-1 sum V_k^-1 b_k`. random: every coefficient by itself, with weights `1 / (v_k + tau2)`, tau2
    of DerSimonian and Laird 1986; the covariance is that of these weighted means.
    """

    own: SumProtocol  # fit of one site
    names: Sequence[str]  # [P]
    random: bool = False

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Estimate and covariance of the site."""
        return own_fit(self.own, rows, len(self.names))

    def total(self, messages: Sequence[Message]) -> Message:
        """All of them; [K, P], [K, Q]."""
        return stacked(messages)

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The combined estimate, and how much the sites differ."""
        known = fitted(total["beta"], self.names)
        beta, covariance = total["beta"][known], np.stack([unpack(one) for one in total["covariance"][known]])
        each = [meta(beta[:, at], np.sqrt(covariance[:, at, at])) for at in range(len(self.names))]
        found = random_effects(beta, covariance, each) if self.random else fixed_effect(beta, covariance, self.names)
        between = {name: np.array([getattr(one, name) for one in each]) for name in ("q", "i2", "tau2")}
        between["q_p"] = np.array([one.p for one in each])
        return {"beta": found[0], "covariance": found[1], "fitted": known.astype(np.float64), **between}, True


def fixed_effect(beta: Floats, covariance: Floats, names: Sequence[str]) -> tuple[Floats, Floats]:
    """Inverse-variance mean with full covariances; [K, P], [K, P, P] -> [P], [P, P]."""
    information = [inverse(one, names) for one in covariance]
    joint = inverse(np.sum(information, axis=0), names)
    return joint @ np.sum([one @ own for one, own in zip(information, beta, strict=True)], axis=0), joint


def random_effects(beta: Floats, covariance: Floats, each: Sequence[Meta]) -> tuple[Floats, Floats]:
    """Weighted mean of each coefficient; [K, P], [K, P, P] -> [P], [P, P]."""
    tau2 = np.nan_to_num([one.tau2 for one in each])
    weight = 1 / (np.diagonal(covariance, axis1=1, axis2=2) + tau2)
    weight = weight / weight.sum(0)
    spread = covariance + np.diag(tau2)
    return (weight * beta).sum(0), np.einsum("ki,kij,kj->ij", weight, spread, weight)


def stacked(messages: Sequence[Message]) -> Message:
    """Messages of all sites, one above the other; each [K, ...]."""
    return {name: np.stack([one[name] for one in messages]) for name in messages[0]}


@dataclass
class Surrogate(SumProtocol):
    """A lead site's likelihood, its derivatives at the sites' mean estimate set right to those of all patients.

    Three exchanges: every site sends its own estimate, whose mean by inverse variance, coefficient by coefficient, is
    `b0`; every site sends gradient and curvature of its log-likelihood at b0; the lead site maximises
    `L_1(b) + (L'(b0) - L_1'(b0)) (b - b0) + (b - b0)' (L''(b0) - L_1''(b0)) (b - b0) / 2`, all of them means over
    patients, and sends the result. Jordan, Lee and Yang, JASA 2019; Duan et al., JAMIA 2020 (ODAL, ODAC).
    """

    broadcast: ClassVar[tuple[str, ...]] = ("centre", "times", "gradient", "curvature")
    own: Likelihood  # fit of one site
    names: Sequence[str]  # [P]
    lead: int  # number of the lead site
    second: bool = True  # whether curvatures are corrected too, or only gradients
    across: WebDISCO | None = None  # risk sets of all sites together (ODAC); None = within sites

    def asked(self, state: State) -> Ints | None:
        """In the last exchange only the lead site."""
        return np.array([self.lead]) if "gradient" in state else None

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Own fit, with event times where risk sets cross sites; derivatives at the centre; the lead's maximum."""
        if "centre" not in seen:
            times = {} if self.across is None else self.across.statistics(rows, {})
            return own_fit(self.own, rows, len(self.names)) | times | {"rows": np.asarray(float(len(rows["x"])))}
        if "gradient" in seen:
            beta, covariance = maximum(self.own, rows, seen, self.names)
            return {"beta": beta, "covariance": pack(covariance)}
        if self.across is not None:
            return self.across.statistics(rows, {"beta": seen["centre"], "times": seen["times"]})
        here = derivatives(self.own, rows, seen["centre"])
        return {"gradient": here.gradient} | ({"curvature": pack(here.curvature)} if self.second else {})

    def total(self, messages: Sequence[Message]) -> Message:
        """All sites' own fits; else sums."""
        if "rows" not in messages[0]:
            return super().total(messages)
        times = {"times": np.unique(np.concatenate([one["times"] for one in messages]))} if self.across else {}
        return stacked([{name: part for name, part in one.items() if name != "times"} for one in messages]) | times

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """The centre; means of the derivatives; the lead's answer."""
        if "rows" in total:
            known = fitted(total["beta"], self.names)
            variance = np.stack([np.diag(unpack(one)) for one in total["covariance"][known]])
            centre = (total["beta"][known] / variance).sum(0) / (1 / variance).sum(0)
            times = {"times": total["times"]} if self.across else {}
            return {"centre": centre, "all": total["rows"].sum(), "fitted": known.astype(np.float64), **times}, False
        if "gradient" in state:
            return state | {"beta": total["beta"], "covariance": unpack(total["covariance"]) / state["all"]}, True
        if self.across is not None:
            here = self.across.derivatives(total, state["centre"])
            total = {"gradient": here.gradient, "curvature": pack(here.curvature)}
        sent = {name: part / state["all"] for name, part in total.items() if self.second or name == "gradient"}
        return {name: part for name, part in state.items() if name != "times"} | sent, False


def derivatives(own: Likelihood, rows: Rows, beta: Floats) -> Derivatives:
    """Those of one site's log-likelihood."""
    return own.derivatives(own.statistics(rows, {"beta": beta}), beta)


def maximum(own: Likelihood, rows: Rows, seen: State, names: Sequence[str]) -> tuple[Floats, Floats]:
    """Maximum of the surrogate likelihood by Newton's method from the centre, and the inverse of its curvature there.

    The latter per patient; [P], [P, P].
    """
    size, centre = len(rows["x"]), seen["centre"]
    first = derivatives(own, rows, centre)
    drift = size * seen["gradient"] - first.gradient
    bend = size * unpack(seen["curvature"]) - first.curvature if "curvature" in seen else 0 * first.curvature
    state = {"beta": centre, "base": centre, "step": np.zeros_like(centre), "loglik": np.array(-np.inf)}
    for _ in range(MAX_STEPS):
        here, away = derivatives(own, rows, state["beta"]), state["beta"] - centre
        value = here.loglik + float(drift @ away - away @ bend @ away / 2)
        try:
            state, best = ascent(
                Derivatives(value, here.gradient + drift - bend @ away, here.curvature + bend), state, names
            )
        except NotEstimable:
            break
        if best:
            refuse_runaway(state["step"], names)
            return state["beta"], state["covariance"] * size
    raise NotEstimable(
        f"the lead site's surrogate likelihood has no maximum: its {size} patients are too few for "
        f"{len(names)} coefficients, or too unlike the others. Name another by algorithm.lead, or take newton or "
        "cox_webdisco."
    )
