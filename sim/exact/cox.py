"""Cox regression by sums over risk sets, so that the fit is that of the pooled rows.

T distinct event times, P effects, Q = P (P + 1) / 2 numbers of a symmetric matrix. Rows of a site: "x" [n, P],
"time_days" [n], "event" [n], and where patients are weighted, "weight" [n].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.arrays import Floats, Ints
from sim.exact.newton import ascent
from sim.exact.sums import Derivatives, Likelihood, Message, Rows, State, pack, unpack


@dataclass
class WebDISCO(Likelihood):
    """Cox regression on one baseline hazard for all sites; Lu et al., WebDISCO, JAMIA 2015; Newton's method.

    First every site sends the times of its events. Then, for each time of any site, it sends sums over its patients who
    are still at risk: weights, weighted features and their products, and the same of those who die at that time. At the
    end the sites receive the hazard and the mean features at risk, and answer with the meat of the sandwich variance
    (Lin and Wei, JASA 1989). The price of equality: event times, and sums over few patients at risk, leave a site.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("times", "beta", "hazard", "centre")
    names: Sequence[str]  # [P]
    efron: bool = True  # ties by Efron, JASA 1977; else by Breslow

    def start(self) -> State:
        """No event times are known."""
        return {"times": np.zeros(0), "loglik": np.array(-np.inf)}

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Event times; then sums at each of them; then the meat [Q]."""
        if "beta" not in seen:
            return {"times": np.unique(rows["time_days"][rows["event"] > 0])}
        if "hazard" in seen:
            return {"meat": meat(rows, seen)}
        return risk_sums(rows, seen["beta"], seen["times"], self.efron)

    def total(self, messages: Sequence[Message]) -> Message:
        """The union of the sites' times; sums otherwise."""
        if "times" in messages[0]:
            return {"times": np.unique(np.concatenate([one["times"] for one in messages]))}
        return super().total(messages)

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """A Newton step, or half the last one where the likelihood got worse; then the variance."""
        zero = np.zeros(len(self.names))
        if "times" in total:
            return state | {"times": total["times"], "beta": zero, "base": zero, "step": zero}, False
        if "meat" in total:
            bread = state["covariance"]
            return state | {"robust": bread @ unpack(total["meat"]) @ bread}, True
        new, best = ascent(self.derivatives(total, state["beta"]), state, self.names)
        if best:
            known = {"hazard": total["deaths"] / total["s0"], "centre": total["s1"] / total["s0"][:, None]}
            return new | {"beta": state["beta"], **known}, False
        return new, False

    def derivatives(self, total: Message, beta: Floats) -> Derivatives:
        """Those of the partial likelihood with risk sets over all sites."""
        return partial_likelihood(total, self.efron)

    def units(self, rows: Rows) -> float:
        """Its events; Volinsky and Raftery, Biometrics 2000."""
        return float((rows["event"] > 0).sum())


@dataclass
class StratifiedCox(Likelihood):
    """Cox regression with a baseline hazard for every site: each sends the gradient of its own partial likelihood.

    Risk sets never cross sites, so nothing of single times leaves one; Newton's method on the summed likelihoods.
    """

    broadcast: ClassVar[tuple[str, ...]] = ("beta", "final")
    names: Sequence[str]  # [P]
    efron: bool = True

    def start(self) -> State:
        """All effects zero."""
        zero = np.zeros(len(self.names))
        return {"beta": zero, "base": zero, "step": zero, "loglik": np.array(-np.inf)}

    def statistics(self, rows: Rows, seen: State) -> Message:
        """Log-likelihood, gradient [P] and information [Q] of the site; at the end its meat [Q]."""
        times = np.unique(rows["time_days"][rows["event"] > 0])
        sums = risk_sums(rows, seen["beta"], times, self.efron)
        if "final" in seen:
            known = {"beta": seen["beta"], "times": times, "hazard": sums["deaths"] / sums["s0"]}
            return {"meat": meat(rows, known | {"centre": sums["s1"] / sums["s0"][:, None]})}
        loglik, gradient, information = partial_likelihood(sums, self.efron)
        return {"loglik": np.asarray(loglik), "gradient": gradient, "information": pack(information)}

    def derivatives(self, total: Message, beta: Floats) -> Derivatives:
        """Sums of those of the sites."""
        return Derivatives(float(total["loglik"]), total["gradient"], unpack(total["information"]))

    def units(self, rows: Rows) -> float:
        """Its events, as `WebDISCO`."""
        return float((rows["event"] > 0).sum())

    def update(self, total: Message, state: State) -> tuple[State, bool]:
        """As `WebDISCO`."""
        if "meat" in total:
            bread = state["covariance"]
            return state | {"robust": bread @ unpack(total["meat"]) @ bread}, True
        new, best = ascent(self.derivatives(total, state["beta"]), state, self.names)
        return new | ({"beta": state["beta"], "final": np.ones(1)} if best else {}), False


def weights(rows: Rows) -> Floats:
    """Weight of every patient, 1 where none are given; [n]."""
    return rows["weight"] if "weight" in rows else np.ones(len(rows["time_days"]))


def risk_sums(rows: Rows, beta: Floats, times: Floats, efron: bool) -> Message:
    """Sums of one site at each of the times [T].

    s0 [T], s1 [T, P], s2 [T, Q]: `sum w exp(x beta)` over patients at risk, times x and the products of x; with Efron
    d0, d1, d2 the same of those who die then; deaths [T] their weights, count [T] their number, x [P] and loglik their
    summed features and log risks.
    """
    x, weight = rows["x"], weights(rows)
    eta = x @ beta
    risk = weight * np.exp(eta)
    at = np.searchsorted(times, rows["time_days"], side="right")  # at risk at the times before this number
    dying = rows["event"] > 0
    first, second = np.triu_indices(len(beta))
    parts = {"0": risk, "1": risk[:, None] * x, "2": risk[:, None] * x[:, first] * x[:, second]}
    sums: Message = {}
    died = np.where(dying, at, 0)
    for letter, slots in (("s", at), ("d", died))[: 1 + efron]:
        for name, part in parts.items():
            binned = grouped(slots, part, len(times) + 1)[1:]
            sums[letter + name] = binned[::-1].cumsum(0)[::-1] if letter == "s" else binned
    sums["deaths"] = grouped(died, weight, len(times) + 1)[1:]
    sums["count"] = grouped(died, np.ones(len(died)), len(times) + 1)[1:]
    sums["x"] = (weight * dying) @ x
    sums["loglik"] = np.asarray((weight * dying) @ eta)
    return sums


def grouped(slots: Ints, part: Floats, size: int) -> Floats:
    """Sums of the rows of `part` [n, ...] by slot [n]; [size, ...]."""
    order = np.argsort(slots, kind="stable")
    found, first = np.unique(slots[order], return_index=True)
    total = np.zeros((size, *part.shape[1:]))
    if len(found):
        total[found] = np.add.reduceat(part[order], first, axis=0)
    return total


def partial_likelihood(sums: Message, efron: bool) -> Derivatives:
    """Log partial likelihood, its gradient [P] and information [P, P], from the sums over risk sets."""
    count = sums["count"].astype(np.int64)
    each = np.repeat(np.arange(len(count)), count)  # one row for each death
    mean = (sums["deaths"] / np.maximum(sums["count"], 1))[each]
    s0, s1, s2 = sums["s0"][each], sums["s1"][each], sums["s2"][each]
    if efron:
        before = np.arange(len(each)) - np.repeat(np.cumsum(count) - count, count)
        share = before / np.maximum(sums["count"][each], 1)
        s0 = s0 - share * sums["d0"][each]
        s1, s2 = s1 - share[:, None] * sums["d1"][each], s2 - share[:, None] * sums["d2"][each]
    centre = s1 / s0[:, None]
    loglik = float(sums["loglik"] - mean @ np.log(s0))
    gradient = sums["x"] - mean @ centre
    information = unpack((mean / s0) @ s2) - (mean[:, None] * centre).T @ centre
    return Derivatives(loglik, gradient, information)


def meat(rows: Rows, seen: State) -> Floats:
    """Sum over patients of the outer product of their score residuals, ties as Breslow has them; [Q]."""
    x, weight, times = rows["x"], weights(rows), seen["times"]
    at = np.searchsorted(times, rows["time_days"], side="right")
    hazard = np.r_[0.0, np.cumsum(seen["hazard"])][at]
    moved = np.vstack([np.zeros(x.shape[1]), np.cumsum(seen["hazard"][:, None] * seen["centre"], axis=0)])[at]
    residual = -np.exp(x @ seen["beta"])[:, None] * (hazard[:, None] * x - moved)
    dying = rows["event"] > 0
    residual[dying] += x[dying] - seen["centre"][at[dying] - 1]
    residual *= weight[:, None]
    return pack(residual.T @ residual)
