"""The certificates themselves: all pass, none is missing, and their closed forms are the published numbers."""

from dataclasses import dataclass

import numpy as np
import pytest
from torch import Tensor

from sim.config.experiment import GROUPS
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Local, Message, State, Weighting
from sim.methods.servers import SERVERS
from sim.methods.uplink import UPLINK
from sim.verify import certificates
from sim.verify import fixed_points as rest
from sim.verify.certificates import TABLES
from sim.verify.paths import response, size
from sim.verify.properties import scalar, spatial
from sim.verify.quadratic import six_sites


@pytest.fixture(scope="module")
def every():
    return list(certificates())


def test_every_certificate_passes(every):
    failed = [f"{c.method}: {c.property}: error {c.error:.2e} > {c.tolerance:.0e}" for c in every if not c.passed]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize(("axis", "entry"), [(axis, entry) for axis, table in TABLES.items() for entry in table])
def test_every_entry_of_the_tables_has_certificates(every, axis, entry):
    mine = [c for c in every if (c.axis, c.method) == (axis, entry)]
    least = 1 if entry == "none" else 2
    assert len(mine) >= least, f"{axis}={entry}: add its closed forms to the CHECKS of sim/verify"


def test_every_axis_of_the_config_has_a_table():
    assert set(TABLES) | {"cohort", "partition", "task", "net", "executor", "scenario"} == set(GROUPS)


def test_properties_are_told_apart(every):
    assert len({(c.axis, c.method, c.property) for c in every}) == len(every)


def test_a_method_without_closed_form_fails():
    for axis, entry in (("algorithm", Algorithm), ("server", SERVERS["sgd"]), ("uplink", UPLINK["clip"])):
        (only,) = certificates({axis: {"new": entry}})
        assert not only.passed
        assert "CHECKS of sim/verify" in only.property


@dataclass
class Raises(Algorithm):
    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        raise RuntimeError("broken")


@dataclass
class NotANumber(Algorithm):
    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        return {"delta": (w - at.x) * float("nan")}, {}


@pytest.mark.parametrize("wrong", [Raises, NotANumber])
def test_a_broken_method_fails_without_raising(wrong):
    found = list(certificates({"algorithm": {"fedavg": wrong}}))
    assert all(c.error == np.inf and not c.passed for c in found)


def test_another_class_cannot_pass_for_fedprox():
    assert not all(c.passed for c in certificates({"algorithm": {"fedprox": Algorithm}}))


# Fixed points of the two-site quadratic a = (1, 4), b = (-1, 2): sum p c b / sum p c with c = 1 - (1 - lr a)^K for
# FedAvg, c / K for FedNova, a / (a + mu) for FedProx; six digits by hand calculator and by simulation elsewhere.
@pytest.mark.parametrize(
    ("closed", "steps", "lr", "value"),
    [
        (rest.fedavg, (10, 10), 0.02, 1.266863),
        (rest.fedavg, (10, 10), 0.005, 1.367305),
        (rest.fedavg, (5, 20), 0.02, 1.682343),
        (rest.fedavg, (5, 20), 0.005, 1.792090),
        (rest.fedavg, (5, 20), 1e-7, 155 / 85),  # the objective inconsistency: weights p K
        (rest.fednova, (10, 10), 0.02, 1.266863),
        (rest.fednova, (5, 20), 0.02, 1.035691),
        (rest.fednova, (5, 20), 0.005, 1.311504),
        (rest.fednova, (5, 20), 1e-7, 1.4),
        (rest.fedprox(0.01), (1, 1), 0.1, 0.505590),
        (rest.fedprox(0.1), (1, 1), 0.1, 0.552941),
        (rest.fedprox(1.0), (1, 1), 0.1, 0.846154),
        (rest.fedprox(10.0), (1, 1), 0.1, 1.275862),
    ],
)
def test_closed_forms_are_the_known_numbers(closed, steps, lr, value):
    assert closed(scalar(steps, lr, 1))[0] == pytest.approx(value, abs=2e-6)


def test_the_pooled_optimum_of_two_sites_is_1_4():
    assert scalar((1, 1), 0.1, 1).optimum()[0] == pytest.approx(1.4, abs=1e-15)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_response_is_that_many_steps(momentum, steps):
    """The matrix power against the loop it stands for."""
    a, first, lr = six_sites().curvature[0], np.linspace(-1, 2, 5), 0.05
    d, v = np.zeros(5), np.zeros(5)
    for _ in range(steps):
        v = momentum * v + first + a @ d
        d = d - lr * v
    np.testing.assert_allclose(-response(a, steps, lr, momentum) @ first, d, rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_size_is_the_papers(momentum, steps):
    """Wang et al. 2020, section 4: [K - rho (1 - rho^K) / (1 - rho)] / (1 - rho)."""
    paper = (steps - momentum * (1 - momentum**steps) / (1 - momentum)) / (1 - momentum)
    assert size(steps, momentum) == pytest.approx(paper, rel=1e-12)
    assert spatial(1, momentum=momentum).training.norm(np.array([steps]))[0] == pytest.approx(paper, rel=1e-12)


def test_rows_have_the_curvature_that_was_asked_for():
    problem, federation = six_sites(), six_sites().federation
    for site, (low, high) in enumerate(federation.bounds[:, :2]):
        x = federation.x[low:high]
        np.testing.assert_allclose(x.T @ x / (high - low), problem.curvature[site], atol=1e-13)
        np.testing.assert_allclose(federation.y["value"][low:high], x @ problem.centre[site], atol=1e-14)
    np.testing.assert_array_equal(federation.rows, problem.rows)
    assert len(set(problem.rows)) > 1


def test_the_optimum_has_no_gradient():
    for weighting in Weighting:
        trial = spatial(1, weighting=weighting)
        best = trial.optimum()
        total = sum(p * trial.problem.gradient(site, best) for site, p in enumerate(trial.weights))
        assert np.abs(total).max() < 1e-13
