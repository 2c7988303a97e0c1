"""Published and hand-computed numbers of personal methods, through the engine."""

import numpy as np
import pytest

from sim.local.settings import Training
from sim.methods.personal import MRMTL, Ditto, Personal
from sim.methods.roles import Roles
from sim.verify.properties import scalar
from sim.verify.quadratic import Quadratic
from sim.verify.trial import Trial


@pytest.mark.parametrize(
    ("lam", "own"), [(0.1, (-0.781818, 1.985366)), (1.0, (0.2, 1.88)), (10.0, (1.181818, 1.571429))]
)
def test_ditto_on_two_sites_rests_between_their_optima_and_1_4(lam, own):
    """v_i = (a_i b_i + lam 1.4) / (a_i + lam); with one local step the shared model rests at the optimum 1.4."""
    trial = scalar((1, 1), 0.06, 1500)
    assert trial.own(Roles(personal=Ditto(lam=lam)))[:, 0] == pytest.approx(own, abs=1e-6)


# Sites w_k ~ N(0, tau^2), of whom `bad` have tau_bad for tau; each observes w_k + N(0, s^2). Point estimation in the
# code of Li et al. 2021: best lam, error of a good site's own model alone, at the best lam, and of the mean.
CASES = [
    (8, 0.1, 0.8**2 / 30, 0, 0.1, (2.133333, 0.021333, 0.008624, 0.011417)),
    (16, 0.1, 0.8**2 / 30, 8, 0.5, (1.185185, 0.021333, 0.010486, 0.018208)),
]


def estimates(observed: np.ndarray, lam: float) -> np.ndarray:
    """Closed form of the sites' models, sites first."""
    return (lam * observed.mean(0) + observed) / (1 + lam)


@pytest.mark.parametrize("entry", [Ditto, MRMTL])
def test_own_models_of_sites_with_unit_curvature_are_the_closed_form(entry: type[Personal]):
    lam, observed = 2.133333, np.random.Generator(np.random.PCG64(0)).normal(0, 0.2, (8, 3))
    problem = Quadratic(np.tile(np.eye(3), (8, 1, 1)), observed, np.ones(8, dtype=np.int64))
    trial = Trial(problem, (3,) * 8, 120, Training(lr=0.2, batch=0))
    own = trial.own(Roles(personal=entry(lam=lam)))
    assert own == pytest.approx(estimates(observed, lam), abs=1e-8)


@pytest.mark.parametrize(("sites", "tau", "noise", "bad", "tau_bad", "known"), CASES)
def test_errors_of_the_closed_form_are_the_published_ones(sites, tau, noise, bad, tau_bad, known):
    rng, draws = np.random.Generator(np.random.PCG64(1)), 100_000
    spread = np.r_[np.full(sites - bad, tau), np.full(bad, tau_bad)][:, None]
    true = rng.normal(size=(sites, draws)) * spread
    observed = true + rng.normal(size=true.shape) * noise**0.5
    best = noise * sites / (sites * tau**2 + bad * (tau_bad**2 - tau**2) / (sites - 1))
    assert best == pytest.approx(known[0], abs=1e-6)
    for lam, error in zip((0.0, best, 1e9), known[1:], strict=True):
        good = (estimates(observed, lam) - true)[: sites - bad]
        assert (good**2).mean() == pytest.approx(error, rel=0.01)
