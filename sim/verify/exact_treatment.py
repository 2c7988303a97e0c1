"""What is proved of a treatment's effect by propensity weights: it is that of the pooled rows, found in another way."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from torch import nn

from sim.arrays import Floats
from sim.engine.exact.base import Exact
from sim.engine.exact.iptw import CoxIPTW
from sim.engine.simulation import Estimates
from sim.exact.iptw import Target
from sim.random import stream
from sim.tasks.cox import Cox, Ties
from sim.verify.check import Check
from sim.verify.exact import FEATURES, PATIENTS, Checks, fit, labels, logistic, x
from sim.verify.trial import gap, narrow


def features() -> Floats:
    """The features of all patients, the first of them now a treatment that depends on the others; [n, P]."""
    return np.column_stack([labels(), x()[:, 1:]])


def times() -> Floats:
    """Distinct times that depend on treatment and features; [n]."""
    return np.asarray(stream(0, "exact", "distinct").exponential(np.exp(features() @ [0.7, 0.4, -0.3])))


def events() -> Floats:
    """Whether the event was seen; 0 or 1 [n]."""
    return (stream(0, "exact", "seen").random(PATIENTS) < 0.7).astype(np.float64)


def weights(target: Target, stabilised: bool) -> Floats:
    """Weight of every patient, from the papers; [n]."""
    treated, others = features()[:, 0], features()[:, 1:]
    found = logistic(others, treated)
    chance = 1 / (1 + np.exp(-others @ found[:-1] - found[-1]))
    if target is Target.att:
        return np.asarray(treated + (1 - treated) * chance / (1 - chance))
    share = treated.mean() if stabilised else 0.5
    scale = 1.0 if stabilised else 2.0
    return np.asarray(scale * (treated * share / chance + (1 - treated) * (1 - share) / (1 - chance)))


def log_partial(beta: float, weight: Floats) -> float:
    """Weighted log partial likelihood, event by event."""
    eta, at = beta * features()[:, 0], times()
    seen = np.flatnonzero(events())
    return float(sum(weight[i] * (eta[i] - np.log((weight * np.exp(eta))[at >= at[i]].sum())) for i in seen))


def sandwich(beta: float, weight: Floats) -> tuple[float, float]:
    """Variance of the model and of Lin and Wei, patient by patient."""
    treated, at, died = features()[:, 0], times(), events()
    risk = weight * np.exp(beta * treated)
    mean = np.array([(risk * treated)[at >= one].sum() / risk[at >= one].sum() for one in at])
    rate = died * weight / np.array([risk[at >= one].sum() for one in at])
    residual = np.array(
        [
            died[i] * (treated[i] - mean[i])
            - np.exp(beta * treated[i]) * (rate * (treated[i] - mean))[at <= at[i]].sum()
            for i in range(PATIENTS)
        ]
    )
    information = (died * weight * mean * (1 - mean)).sum()
    return 1 / information, float(((weight * residual) ** 2).sum() / information**2)


def found(entry: type[Exact], target: Target, stabilised: bool) -> Estimates:
    """The treatment's effect by the engine."""
    method = narrow(entry, CoxIPTW)(treatment="x0", target=target, stabilised=stabilised)
    task = Cox(nn.Linear(FEATURES, 1, bias=False, device="meta"), Ties.efron)
    return fit(method, task, {"time_days": times(), "event": events()}, features())


def of_iptw() -> Checks:
    """Weighted Cox regression on the treatment."""
    for target, stabilised in ((Target.ate, False), (Target.ate, True), (Target.att, False)):
        words = f"{target.value}{', stabilised' if stabilised else ''}"

        def slope(entry: type[Exact], target: Target = target, stabilised: bool = stabilised) -> float:
            weight = weights(target, stabilised)
            best = minimize(lambda beta: -log_partial(float(beta[0]), weight), [0.0], tol=1e-9)
            return gap(found(entry, target, stabilised).beta, best.x)

        yield Check(f"maximum of the weighted partial likelihood of the pooled rows, {words}", slope, 1e-5)

        def variances(entry: type[Exact], target: Target = target, stabilised: bool = stabilised) -> float:
            here = found(entry, target, stabilised)
            assert here.robust is not None
            plain, robust = sandwich(float(here.beta[0]), weights(target, stabilised))
            return max(gap(here.covariance, np.array([[plain]])), gap(here.robust, np.array([[robust]])))

        yield Check(f"both variances are those of the pooled rows, {words}", variances, 1e-10)


CHECKS: dict[str, Callable[[], Checks]] = {"cox_iptw": of_iptw}
