"""Epsilons are the published ones."""

import numpy as np
import pytest

from sim.privacy import gaussian, rdp
from sim.privacy.tree import squared_sensitivity


def test_rdp_of_one_gaussian_release_with_the_improved_conversion() -> None:
    """google/differential-privacy, rdp_privacy_accountant_test: z = 4.530877117 is epsilon 1 at delta 1e-6."""
    orders = np.linspace(21.9, 22.1, 401)
    assert rdp.epsilon(rdp.sampled(1.0, 4.530877117, orders), 1e-6, orders) == pytest.approx(1.0, abs=1e-6)
    assert rdp.epsilon(rdp.sampled(1.0, 4.530877117), 1e-6) == pytest.approx(1.0, abs=1e-4)


def test_the_exact_epsilon_of_that_release_is_lower() -> None:
    assert gaussian.epsilon(1 / 4.530877117, 1e-6) == pytest.approx(0.927392, abs=1e-6)


def test_rdp_of_fifty_poisson_sampled_releases() -> None:
    """The same test: q = 0.01, z = 2.5. Its values at 1.5 and 2.5 are bounds; ours are the integrals, to 40 digits."""
    published = [2.18075656e-3, 2.38460375e-2, 167.416308]
    np.testing.assert_allclose(50 * rdp.sampled(0.01, 2.5, np.array([5, 50, 100])), published, rtol=1e-8)
    between = 50 * rdp.sampled(0.01, 2.5, np.array([1.5, 2.5]))
    np.testing.assert_allclose(between, [6.500708971880397e-4, 1.0854180569181258e-3], rtol=1e-8)
    assert (between < [6.70579741e-4, 1.08548710e-3]).all()


def test_orders_between_whole_numbers_lie_between_their_neighbours() -> None:
    found = rdp.sampled(0.05, 0.8, np.array([2, 2.25, 2.5, 3, 3.5, 4, 4.5, 5]))
    assert (np.diff(found) > 0).all()


def test_sampling_every_record_is_the_gaussian_mechanism() -> None:
    np.testing.assert_allclose(rdp.sampled(1 - 1e-12, 3.0), rdp.sampled(1.0, 3.0), rtol=1e-6)


def test_the_moments_accountant_s_example() -> None:
    """Abadi et al., CCS 2016: q = 0.01, z = 4, 10,000 steps, delta 1e-5 is about epsilon 1.26, by their conversion."""
    cost = 10_000 * rdp.sampled(0.01, 4.0)
    assert float((cost + np.log(1e5) / (rdp.ORDERS - 1)).min()) == pytest.approx(1.26, abs=0.01)
    assert rdp.epsilon(cost, 1e-5) < 1.1


@pytest.mark.parametrize(("z", "limit"), [(1.13, 19.74), (8.83, 2.04)])
def test_a_tree_of_1600_updates(z: float, limit: float) -> None:
    """Each site once, delta 1e-6; the limits are those of the old conversion, `rho + 2 sqrt(rho log 1/delta)`."""
    nodes = squared_sensitivity([0], 1600)
    assert nodes == 11
    rho = nodes / (2 * z**2)
    assert rho + 2 * (rho * np.log(1e6)) ** 0.5 == pytest.approx(limit, rel=0.004)
    assert gaussian.epsilon(nodes**0.5 / z, 1e-6) < rdp.epsilon(nodes * rdp.sampled(1.0, z), 1e-6) < limit


def by_hand(heard: list[int], updates: int, restart: int) -> int:
    total, length = 0, restart or updates
    for tree in range(0, updates, length):
        size = min(length, updates - tree)
        for span in (2**level for level in range(12)):
            for first in range(0, size - span + 1, span):
                total += sum(tree + first <= at < tree + first + span for at in heard) ** 2
    return total


@pytest.mark.parametrize("heard", [[0], [6], [0, 1, 2, 3, 4, 5, 6], [2, 5, 12]])
@pytest.mark.parametrize("restart", [0, 4, 5])
def test_nodes_that_a_site_is_in_are_those_of_a_list(heard: list[int], restart: int) -> None:
    assert squared_sensitivity(heard, 13, restart) == by_hand(heard, 13, restart)


def test_no_release_costs_nothing_and_no_noise_everything() -> None:
    assert gaussian.epsilon(0.0, 1e-5) == 0.0
    assert gaussian.epsilon(np.inf, 1e-5) == np.inf
    assert rdp.epsilon(0 * rdp.sampled(0.1, 1.0), 1e-5) < 1e-3
    assert rdp.epsilon(rdp.sampled(0.1, 0.0), 1e-5) == np.inf


def test_much_noise_and_little_noise_are_solved() -> None:
    """A delta that a mechanism keeps at epsilon 0 costs nothing; small noise costs about mu^2 / 2."""
    assert gaussian.epsilon(1e-7, 1e-5) == 0.0
    assert gaussian.epsilon(100.0, 1e-5) == pytest.approx(100**2 / 2 + 4.26 * 100, rel=0.01)
