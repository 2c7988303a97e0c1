"""Our epsilons beside those of a second accountant, Google's dp-accounting."""

import pytest
from dp_accounting import dp_event as event
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant

from sim.privacy import gaussian, rdp


def released(z: float, times: int, q: float = 1.0) -> event.DpEvent:
    """Gaussian noise of z times the sensitivity, so many times, each on a Poisson sample of a share q."""
    once = event.GaussianDpEvent(z)
    return event.SelfComposedDpEvent(once if q == 1 else event.PoissonSampledDpEvent(q, once), times)


@pytest.mark.parametrize(("z", "times", "delta"), [(1.0, 1, 1e-5), (4.53, 1, 1e-6), (10.0, 30, 1e-6)])
def test_noise_on_everything_has_the_epsilon_of_its_whole_distribution(z: float, times: int, delta: float) -> None:
    exact = PLDAccountant().compose(released(z, times)).get_epsilon(delta)
    assert gaussian.epsilon(times**0.5 / z, delta) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(("q", "z", "steps", "delta"), [(0.01, 1.1, 1000, 1e-5), (0.1, 2.0, 100, 1e-6)])
def test_dp_sgd_is_a_bound_as_tight_as_its_orders_allow(q: float, z: float, steps: int, delta: float) -> None:
    ours = rdp.epsilon(steps * rdp.sampled(q, z), delta)
    assert ours == pytest.approx(RdpAccountant().compose(released(z, steps, q)).get_epsilon(delta), rel=0.01)
    assert ours > PLDAccountant().compose(released(z, steps, q)).get_epsilon(delta)
