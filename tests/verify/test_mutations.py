"""Known wrong implementations: each must fail a certificate that the right class passes.

Most are errors that were found in public code, named in the class's docstring; where the error has a known signature,
the fixed point of the two-site quadratic (a = (1, 4), b = (-1, 2), optimum 1.4), that number is asserted too.
"""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from sim.engine.simulation import Diverged
from sim.methods.algorithms import FedAvg
from sim.methods.algorithms.feddyn import FedDyn
from sim.methods.algorithms.fednova import FedNova
from sim.methods.algorithms.fedprox import FedProx
from sim.methods.algorithms.fedsam import FedSAM
from sim.methods.algorithms.qfedavg import QFedAvg
from sim.methods.algorithms.scaffold import Option, Scaffold
from sim.methods.contract import Correction
from sim.methods.roles import Roles
from sim.methods.servers import Adagrad, Adam, Momentum, Server, Yogi
from sim.verify.certificates import TABLES
from sim.verify.properties import scalar
from tests.verify import (
    wrong_algorithms,
    wrong_backdoor,
    wrong_exact,
    wrong_factors,
    wrong_fair,
    wrong_groups,
    wrong_loops,
    wrong_norms,
    wrong_personal,
    wrong_private,
    wrong_robust,
    wrong_roles,
    wrong_trees,
    wrong_uplink,
)
from tests.verify.wrong import RIGHT, WRONG, checks, path, wrong


def unsquared(w, x, weight):
    """Gradient of weight/2 |w - x|, in place of weight/2 |w - x|^2; 0 at w = x, as torch.norm has it."""
    length = (w - x).norm(dim=1, keepdim=True)
    return torch.where(length > 0, weight / 2 * (w - x) / length, torch.zeros_like(w))


# --- FedAvg


@wrong("fedavg")
class Unweighted(FedAvg):
    """Every site counts the same although rows were asked for."""

    def weights(self, base, state):
        return torch.ones_like(base)


@wrong("fedavg")
class AlwaysRows(FedAvg):
    """Rows count although sites were to count the same."""

    sends = {"delta": "P", "by_rows": "P", "rows": ""}

    def upload(self, w, at):
        return {"delta": w - at.x, "by_rows": at.rows[:, None] * (w - at.x), "rows": at.rows}, {}

    def server(self, heard, state):
        alike = bool((heard.p == heard.p[0]).all())
        return heard.mean["by_rows"] / heard.mean["rows"] if alike else heard.mean["delta"], {}


@wrong("fedavg")
class ByAllSites(FedAvg):
    """Divides by the weight of all sites, not of those that trained: PFLlib, when clients drop out."""

    def server(self, heard, state):
        return heard.share * heard.mean["delta"], {}


@wrong("fedavg")
class Sums(FedAvg):
    """Adds the changes instead of averaging them."""

    def weights(self, base, state):
        self.sites = len(base)
        return super().weights(base, state)

    def server(self, heard, state):
        return heard.mean["delta"] * heard.share * self.sites, {}


@wrong("fedavg")
class SendsModels(FedAvg):
    """Sends the model where its change is expected."""

    def upload(self, w, at):
        return {"delta": w}, {}


@wrong("fedavg")
class SendsGradients(FedAvg):
    """Sends the change with the sign of a gradient."""

    def upload(self, w, at):
        return {"delta": at.x - w}, {}


# --- FedProx


@wrong("fedprox")
class Unsquared(FedProx):
    """mu/2 |w - x| without the square: Flower's baseline before its pull request 2210."""

    def direction(self, grad, w, at, c):
        return grad(w) + unsquared(w, at.x, self.mu)


@wrong("fedprox")
class NoTerm(FedProx):
    """Plain FedAvg under another name: the proximal term was dropped (issue 1 of the FedDyn authors' code)."""

    def correction(self, at):
        return Correction()


@wrong("fedprox")
class PullsToZero(FedProx):
    """Weight decay: the leash is tied to 0, not to the server's model."""

    def direction(self, grad, w, at, c):
        return grad(w) + self.mu * w


@wrong("fedprox")
class HalfTerm(FedProx):
    """Gradient of mu/4 |w - x|^2: the 1/2 of the paper was applied to the gradient as well."""

    def correction(self, at):
        return Correction(pull=self.mu / 2)


# --- SCAFFOLD


@wrong("scaffold")
class NeverStored(Scaffold):
    """The sites' variates are never kept: FL-bench."""

    def upload(self, w, at):
        message, state = super().upload(w, at)
        return message, {"control": torch.zeros_like(state["control"])}


@wrong("scaffold")
class Flipped(Scaffold):
    """c_i+ = c_i - c + (w_i - x) / (K lr): pfl-research."""

    def upload(self, w, at):
        new = at.site["control"] - at.server["control"] + (w - at.x) / (at.lr * at.norm[:, None])
        return {"delta": w - at.x, "control": new - at.site["control"]}, {"control": new}


@wrong("scaffold")
class LastClient(NeverStored):
    """The aggregation loop assigns where it should add, and c_i is never loaded: FedML (sp)."""

    def upload(self, w, at):
        message, state = super().upload(w, at)
        return {name: part[-1:].expand_as(part) for name, part in message.items()}, state


@wrong("scaffold")
class LastModel(Scaffold):
    """As LastClient, but the variates are right: only the path gives it away."""

    def upload(self, w, at):
        message, state = super().upload(w, at)
        return {**message, "delta": message["delta"][-1:].expand_as(w)}, state


@wrong("scaffold")
class NoShare(Scaffold):
    """c moves by the participants' mean, without |S|/N: NVFlare."""

    def server(self, heard, state):
        return super().server(replace(heard, share=1.0), state)


@wrong("scaffold")
class OutsideMomentum(Scaffold):
    """The correction is added after the optimiser's step, outside its momentum: NIID-Bench, NVFlare, Flower's baseline.

    The engine's velocity turns a direction d_k into sum_j rho^(k-j) d_j, so that a constant c added outside is the
    direction c at the first step and (1 - rho) c at all others. They also divide by K, which |a_i|_1 is without rho.
    """

    rho: float = 0.5

    def direction(self, grad, w, at, c):
        first = (w == at.x).all(dim=1, keepdim=True)
        return grad(w) + c.drift * torch.where(first, 1.0, 1.0 - self.rho)

    def upload(self, w, at):
        return super().upload(w, replace(at, norm=at.steps))


@wrong("scaffold")
class ByStepCount(Scaffold):
    """Variates divided by K, not |a_i|_1, with the correction inside the momentum."""

    def upload(self, w, at):
        return super().upload(w, replace(at, norm=at.steps))


@wrong("scaffold")
class ByPlannedSteps(Scaffold):
    """Stragglers' variates divided by the steps that were planned for all: PFLlib."""

    def upload(self, w, at):
        return super().upload(w, replace(at, norm=at.norm.max().expand_as(at.norm)))


@wrong("scaffold")
class OtherStart(Scaffold):
    """c starts at the model's weights or at random, not at 0: Flower's baseline, NIID-Bench issue 8.

    c only ever changes by sums, so an engine that starts at 0 differs from a start at v by v for ever.
    """

    def correction(self, at):
        return Correction(drift=super().correction(at).drift + 0.5)

    def upload(self, w, at):
        return super().upload(w, replace(at, server={"control": at.server["control"] + 0.5}))


@wrong("scaffold")
class OldVariate(Scaffold):
    """c_i is not taken off: c_i+ = (x - w) / (K lr) - c."""

    def upload(self, w, at):
        return super().upload(w, replace(at, site={"control": torch.zeros_like(w)}))


@wrong("scaffold")
class MixedWeights(Scaffold):
    """Models weighted by rows, variates by sites: NIID-Bench."""

    sends = {"delta": "P", "control": "P", "inverse": ""}

    def upload(self, w, at):
        message, state = super().upload(w, at)
        return {**message, "control": message["control"] / at.rows[:, None], "inverse": 1 / at.rows}, state

    def server(self, heard, state):
        control = heard.mean["control"] / heard.mean["inverse"]
        return super().server(replace(heard, mean={**heard.mean, "control": control}), state)


# --- FedNova


@wrong("fednova")
class AveragesModels(FedNova):
    """w = sum (p_i tau_eff / |a_i|_1) w_i, of models and not of their changes: fluke."""

    def upload(self, w, at):
        return {"delta": w / at.norm[:, None], "norm": at.norm}, {}

    def server(self, heard, state):
        return heard.mean["norm"] * heard.mean["delta"] - heard.x, {}


@wrong("fednova")
class OverSteps(FedNova):
    """N/m times too far when m of N sites train: FedLab."""

    def server(self, heard, state):
        return heard.mean["norm"] * heard.mean["delta"] / heard.share, {}


@wrong("fednova")
class StepCountForTau(FedNova):
    """tau_eff = sum p_i K_i although |a_i|_1 is not K_i: the authors' code, which they use with mu > 0 only."""

    def upload(self, w, at):
        return {"delta": (w - at.x) / at.norm[:, None], "norm": at.steps}, {}


@wrong("fednova")
class StepCounts(FedNova):
    """K_i for |a_i|_1 throughout: momentum forgotten."""

    def upload(self, w, at):
        return super().upload(w, replace(at, norm=at.steps))


@wrong("fednova")
class PlannedSteps(FedNova):
    """The steps planned for all in place of those that each site took."""

    def upload(self, w, at):
        return super().upload(w, replace(at, norm=at.norm.max().expand_as(at.norm)))


# --- FedDyn


@wrong("feddyn")
class Detached(FedDyn):
    """Both terms computed on detached tensors, so that sites run plain SGD: FedLab, FedML."""

    def correction(self, at):
        return Correction()


@wrong("feddyn")
class LinearOnly(FedDyn):
    """-<h_i + alpha x, w> without the alpha/2 |w|^2 that makes it a leash: FL-bench."""

    def direction(self, grad, w, at, c):
        return grad(w) + c.drift - self.alpha * at.x


@wrong("feddyn")
class NoLeash(FedDyn):
    """-<h_i, w> alone."""

    def correction(self, at):
        return Correction(drift=-at.site["gradient"])


@wrong("feddyn")
class QuadraticOnly(FedDyn):
    """No linear term."""

    def correction(self, at):
        return Correction(pull=self.alpha)


@wrong("feddyn")
class UnsquaredPenalty(FedDyn):
    """alpha/2 |w - x| without the square: PFLlib."""

    def direction(self, grad, w, at, c):
        return grad(w) + unsquared(w, at.x, self.alpha) + c.drift


@wrong("feddyn")
class OppositeSign(FedDyn):
    """x = mean + h / alpha."""

    def server(self, heard, state):
        h = state["h"] - self.alpha * heard.share * heard.mean["delta"]
        return heard.mean["delta"] + h / self.alpha, {"h": h}


@wrong("feddyn")
class AlphaTwice(FedDyn):
    """h moves by alpha^2: fluke."""

    def server(self, heard, state):
        h = state["h"] - self.alpha**2 * heard.share * heard.mean["delta"]
        return heard.mean["delta"] - h / self.alpha, {"h": h}


@wrong("feddyn")
class FlippedLinear(FedDyn):
    """+ <h_i, w>."""

    def correction(self, at):
        return Correction(pull=self.alpha, drift=at.site["gradient"])


@wrong("feddyn")
class NoShareDyn(FedDyn):
    """h moves by the participants' mean, without m/N."""

    def server(self, heard, state):
        return super().server(replace(heard, share=1.0), state)


# --- FedSAM


@wrong("fedsam")
class NotNormalised(FedSAM):
    """rho g for rho g / |g|: the neighbourhood shrinks as training goes on."""

    def direction(self, grad, w, at, c):
        return c.added(grad(w + self.rho * grad(w)), w)


@wrong("fedsam")
class NormOfAll(FedSAM):
    """One norm over all sites that train together, so that a site depends on who trains beside it."""

    def direction(self, grad, w, at, c):
        g = grad(w)
        return c.added(grad(w + self.rho * g / g.norm()), w)


@wrong("fedsam")
class NearestPoint(FedSAM):
    """-rho: the best point near by in place of the worst."""

    def direction(self, grad, w, at, c):
        g = grad(w)
        return c.added(grad(w - self.rho * g / g.norm(dim=1, keepdim=True)), w)


@wrong("fedsam")
class StaysThere(FedSAM):
    """The step is taken from the worst point: w is not restored after the ascent."""

    def direction(self, grad, w, at, c):
        g = grad(w)
        up = self.rho * g / g.norm(dim=1, keepdim=True)
        return c.added(grad(w + up), w) - up / at.lr


# --- q-FedAvg


@wrong("qfedavg")
class LossAfterwards(QFedAvg):
    """F_i of the model that the site trained, not of the one it downloaded: Flower takes what the client reports."""

    def upload(self, w, at):
        return super().upload(w, replace(at, loss=lambda x: at.loss(w)))


@wrong("qfedavg")
class LossSummed(QFedAvg):
    """F_i as the sum of the losses of the last epoch's steps, whose scale is the number of batches: FedLab."""

    def upload(self, w, at):
        return super().upload(w, replace(at, loss=lambda x: at.steps * at.loss(w)))


@wrong("qfedavg")
class RowsAtZero(QFedAvg):
    """With q = 0 sites are weighted by rows, whatever the experiment weighs them by."""

    sends = {"delta": "P", "h": "", "by_rows": "P", "h_rows": ""}

    def upload(self, w, at):
        message, state = super().upload(w, at)
        rows = {"by_rows": at.rows[:, None] * message["delta"], "h_rows": at.rows * message["h"]}
        return {**message, **rows}, state

    def server(self, heard, state):
        if self.q == 0 and bool((heard.p == heard.p[0]).all()):
            return heard.mean["by_rows"] / heard.mean["h_rows"], {}
        return super().server(heard, state)


@wrong("qfedavg")
class NoSquare(QFedAvg):
    """h_i without q F^(q-1) |Delta w_i|^2."""

    def upload(self, w, at):
        message, state = super().upload(w, at)
        return {**message, "h": (at.loss(at.x) + 1e-10) ** self.q / at.lr}, state


# --- server optimisers


@wrong("sgd")
class Descends(Server):
    """Treats the step as a gradient."""

    def update(self, step, state):
        return -self.lr * step, {}


@wrong("sgd")
class IgnoresRate(Server):
    """The server's rate is not applied."""

    def update(self, step, state):
        return step, {}


@wrong("momentum")
class Average(Momentum):
    """v = beta v + (1 - beta) step, an average in place of a sum."""

    def update(self, step, state):
        velocity = self.beta * state["velocity"] + (1 - self.beta) * step
        return self.lr * velocity, {"velocity": velocity}


@wrong("momentum")
class Against(Momentum):
    """v = step - beta v."""

    def update(self, step, state):
        velocity = step - self.beta * state["velocity"]
        return self.lr * velocity, {"velocity": velocity}


@wrong("momentum")
class Nesterov(Momentum):
    """Looks ahead, as FedAvgM does not."""

    def update(self, step, state):
        velocity = self.beta * state["velocity"] + step
        return self.lr * (step + self.beta * velocity), {"velocity": velocity}


@wrong("momentum")
class Forgets(Momentum):
    """The velocity is not kept."""

    def update(self, step, state):
        return super().update(step, {"velocity": torch.zeros_like(step)})


@wrong("adagrad")
class Decays(Adagrad):
    """v decays: RMSProp."""

    def second(self, step, v):
        return 0.9 * v + 0.1 * step**2


@wrong("adagrad")
class TauInside(Adagrad):
    """sqrt(v + tau) for sqrt(v) + tau."""

    def update(self, step, state):
        first, second = super().update(step, state)[1].values()
        return self.lr * first / (second + self.tau).sqrt(), {"first": first, "second": second}


@wrong("adagrad")
class StartsAtZero(Adagrad):
    """v_{-1} = 0 for tau^2."""

    def start(self, x):
        return {"first": torch.zeros_like(x), "second": torch.zeros_like(x)}


class Counted(Adam):
    """Adam with bias correction, which Algorithm 2 of Reddi et al. does not have."""

    late = 0

    def start(self, x):
        return {**super().start(x), "round": torch.zeros_like(x)}

    def update(self, step, state):
        count = state["round"] + 1
        first = self.beta1 * state["first"] + (1 - self.beta1) * step
        second = self.second(step, state["second"])
        rate = (1 - self.beta2 ** (count + self.late)).sqrt() / (1 - self.beta1 ** (count + self.late))
        state = {"first": first, "second": second, "round": count}
        return self.lr * rate * first / (second.sqrt() + self.tau), state


@wrong("adam")
class BiasCorrected(Counted):
    """torch.optim.Adam at the server: NVFlare."""


@wrong("adam")
class BiasCorrectedLate(Counted):
    """Bias correction with the exponent round + 1: Flower."""

    late = 1


@wrong("adam")
class YogiForAdam(Yogi):
    """FedYogi under another name."""


@wrong("yogi")
class AdamForYogi(Adam):
    """No sign: v - (1 - beta2)(v - step^2) is Adam."""


@wrong("yogi")
class NoSign(Yogi):
    """v - (1 - beta2) step^2 whichever is larger; v falls below 0."""

    def second(self, step, v):
        return v - (1 - self.beta2) * step**2


@wrong("yogi")
class SignFlipped(Yogi):
    """sign(step^2 - v)."""

    def second(self, step, v):
        return v + (1 - self.beta2) * step**2 * torch.sign(v - step**2)


def named(entry) -> str:
    return f"{entry[0]}-{entry[1].__name__}"


@pytest.mark.parametrize("entry", WRONG, ids=named)
def test_a_wrong_implementation_fails_where_the_right_one_passes(entry):
    method, mutant = entry
    check = next((check for check in checks(method) if not check.certify("", method, mutant).passed), None)
    assert check is not None, f"{named(entry)} passes every certificate"
    assert check.certify("", method, RIGHT[method]).passed


@pytest.mark.parametrize("entry", WRONG, ids=named)
def test_a_wrong_implementation_fails_for_its_error_and_not_for_a_slip_of_ours(entry):
    """It runs, or diverges."""
    with contextlib.suppress(Diverged):
        assert np.isfinite(path(*entry)).all()


def test_every_entry_has_wrong_implementations():
    parts = (
        *(wrong_algorithms, wrong_fair, wrong_groups, wrong_loops, wrong_personal, wrong_private, wrong_robust),
        *(wrong_backdoor, wrong_exact, wrong_factors, wrong_norms, wrong_roles, wrong_trees, wrong_uplink),
    )
    assert {part.__name__ for part in parts} < {mutant.__module__ for _, mutant in WRONG}
    assert {method for method, _ in WRONG} == {name for table in TABLES.values() for name in table} - {"none"}


SIGNATURES = [
    # SCAFFOLD
    (NeverStored(), (10, 10), 0.02, 120, 0.0, 1.266863),  # FedAvg's point
    (LastClient(), (10, 10), 0.02, 120, 0.0, 2.0),  # the last site's own optimum
    (wrong_algorithms.NegativeGradient(option=Option.I), (10, 10), 0.02, 600, 0.0, 1.109558),
    (OutsideMomentum(rho=0.5), (10, 10), 0.02, 60, 0.5, 1.420865),
    (OutsideMomentum(rho=0.9), (10, 10), 0.02, 60, 0.9, 1.615305),
    # FedDyn with near-exact local solves: FedAvg's point, whatever alpha, from plain SGD
    (Detached(alpha=0.1), (200, 200), 0.02, 15, 0.0, 0.513308),
    (Detached(alpha=1.0), (200, 200), 0.02, 15, 0.0, 0.513308),
    # sum a b / sum (a - alpha) = 1.458333 and 2.333333, whatever the steps
    (LinearOnly(alpha=0.1), (4, 4), 0.2, 500, 0.0, 7 / (5 - 2 * 0.1)),
    (LinearOnly(alpha=1.0), (4, 4), 0.2, 200, 0.0, 7 / (5 - 2 * 1.0)),
]


@pytest.mark.parametrize(
    ("algorithm", "steps", "lr", "rounds", "momentum", "value"),
    SIGNATURES,
    ids=[type(row[0]).__name__ for row in SIGNATURES],
)
def test_the_known_fixed_point_of_an_error(algorithm, steps, lr, rounds, momentum, value):
    assert scalar(steps, lr, rounds, momentum).end(Roles(algorithm))[0] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(
    ("algorithm", "momentum"), [(Flipped(), 0.0), (ByStepCount(), 0.9), (OppositeSign(alpha=1.0), 0.0)]
)
def test_an_error_that_diverges(algorithm, momentum):
    with contextlib.suppress(Diverged), np.errstate(all="ignore"):
        assert abs(scalar((10, 10), 0.02, 100, momentum).end(Roles(algorithm))[0]) > 1e6


def test_an_unsquared_penalty_never_settles():
    """Its gradient jumps from -alpha/2 to alpha/2 at the server's model: the right penalty is at rest long before."""
    trial = scalar((25, 25), 0.1, 80)
    assert np.ptp(trial.path(Roles(UnsquaredPenalty(alpha=1.0)))[60:]) > 1e-2
    assert np.ptp(trial.path(Roles(FedDyn(alpha=1.0)))[60:]) < 1e-6


def test_averaged_models_of_fednova_blow_up():
    """The weights p_i tau_eff / |a_i|_1 sum to mean(K) mean(1 / K) > 1: 12.5 / 8 for K = (5, 20)."""
    assert abs(scalar((5, 20), 0.02, 60).end(Roles(AveragesModels()))[0]) > 1e3
