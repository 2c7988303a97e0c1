"""Algorithms that weigh sites by their losses: what they reach, what they refuse, and what travels."""

import numpy as np
import pytest
import torch
from torch import nn

from sim.checks import Refused
from sim.config.compose import experiment
from sim.engine.executors import InProcess, crew
from sim.engine.rounds import advance
from sim.engine.simulation import Evaluation, Simulation, Standing
from sim.federation.federation import Federation, from_arrays
from sim.local.settings import Training
from sim.methods.aggregators.krum import Krum
from sim.methods.algorithms import ALGORITHMS
from sim.methods.algorithms.afl import AFL
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.simplex import gap, least_norm, nearest
from sim.methods.roles import Roles
from sim.methods.systems.sync import Sync
from sim.random import stream
from sim.run.run import rehearse
from sim.tasks.classify import Classification
from tests.toy import SMALL

Odds = tuple[tuple[float, float], tuple[float, float]]

EVERY_SITE = [name for name, entry in ALGORITHMS.items() if entry.every_site]


OPPOSED = ((1.0, 1.5), (1.0, -1.5))  # slope and offset of the log-odds of the small and the large site
NOISY = ((0.7, 0.5), (4.0, -0.5))  # the small site is hard to predict, as Doctorate is in Adult; the rest is not


def two_sites(odds: Odds) -> Federation:
    """A small site beside a large one whose patients differ from it."""
    rng = stream(0, "two sites")
    sites = {}
    for (name, rows), (slope, offset) in zip((("doctorate", 100), ("rest", 2000)), odds, strict=True):
        x = rng.standard_normal((rows, 3))
        label = rng.random(rows) < 1 / (1 + np.exp(-(slope * x @ np.array([1.0, -0.5, 0.2]) + offset)))
        sites[name] = (x, {"label": label})
    return from_arrays(sites)


def trained(algorithm: Algorithm, rounds: int, odds: Odds = OPPOSED) -> tuple[Standing, np.ndarray]:
    """Where a training of the two sites ends, and the loss of its model at each."""
    task, training = Classification(nn.Linear(3, 1, device="meta")), Training(lr=0.3, batch=0, steps=1)
    plan = Simulation(two_sites(odds), task, Roles(algorithm), training, Evaluation(), rounds, seed=0)
    with crew(InProcess(), plan.job) as opened:
        here = plan.standing()
        for tick in plan.ticks(lambda sites: np.zeros(len(sites))):
            here, _ = advance(plan, opened, here, tick)
        return here, opened.losses(here.x.numpy(), np.arange(2))


def test_afl_gives_most_of_its_weight_to_the_small_site_that_a_mean_forgets() -> None:
    """As for Doctorate and the rest of Adult: what is gained at the one is lost at the other."""
    fair, after = trained(AFL(gamma=0.1), 200, NOISY)
    _, before = trained(ALGORITHMS["fedavg"](), 200, NOISY)
    assert fair.state["weight"][0] > 0.9
    assert after[0] < before[0] - 0.05
    assert after[1] > before[1] + 0.05


def test_afl_ends_where_both_sites_lose_the_same() -> None:
    _, after = trained(AFL(gamma=0.02), 500)
    assert after[0] == pytest.approx(after[1], abs=0.01)


@pytest.mark.parametrize("name", ["term", "lossparity", "afl", "feddgga"])
def test_the_worst_site_loses_less_than_under_fedavg(name: str) -> None:
    _, fair = trained(ALGORITHMS[name](), 150)
    _, mean = trained(ALGORITHMS["fedavg"](), 150)
    assert fair.max() < mean.max() - 0.02


def checked(roles: Roles) -> None:
    """All refusals before a run of four sites."""
    roles.check()
    roles.fits(4)


@pytest.mark.parametrize("name", EVERY_SITE)
@pytest.mark.parametrize("system", [Sync(sites=3), Sync(dropout=0.1), Sync(deadline=9.0)])
def test_weights_of_all_sites_need_all_sites(name: str, system: Sync) -> None:
    roles = Roles(ALGORITHMS[name](), system=system)
    with pytest.raises(Refused, match=f"algorithm={name} needs every site in every round"):
        checked(roles)


def test_an_aggregator_without_weights_is_refused_for_a_method_of_weights() -> None:
    with pytest.raises(Refused, match=r"aggregator=krum gives every site the same weight. Set aggregator=mean"):
        Roles(AFL(), aggregator=Krum()).check()


def test_external_sites_have_no_weight() -> None:
    wanted = experiment([*SMALL, "algorithm=afl", "partition.external.count=2"])
    run = rehearse(wanted)
    assert run.info["status"] == "done"


@pytest.mark.parametrize("name", ["term", "fedmgda", "feddgga"])
def test_private_parameters_and_a_compressed_uplink_go_with_whole_uploads(name: str) -> None:
    words = ["personal=fedper", "net=mlp", "net.hidden=[4]", "uplink=[topk]", "uplink.topk.ratio=0.5"]
    run = rehearse(experiment([*SMALL, f"algorithm={name}", *words, "server.lr=0.1"]))
    assert run.rounds["loss"].iloc[-1] < run.rounds["loss"].iloc[0]


@pytest.mark.parametrize(("name", "numbers"), [("afl", 1), ("term", 1), ("feddgga", 1), ("lossparity", 1)])
def test_a_loss_costs_one_number_on_the_wire(name: str, numbers: int) -> None:
    fedavg = Roles().bytes_up(10, 4)
    assert Roles(ALGORITHMS[name]()).bytes_up(10, 4) == fedavg + 4 * numbers
    assert Roles(ALGORITHMS[name]()).bytes_down(10, 4) == Roles().bytes_down(10, 4)


def test_the_mean_of_all_models_is_judged() -> None:
    mean, last = (
        rehearse(experiment([*SMALL, "algorithm=afl", f"algorithm.average={flag}"])) for flag in (True, False)
    )
    loss = [run.rounds["loss"].to_numpy() for run in (mean, last)]
    np.testing.assert_array_equal(loss[0][:2], loss[1][:2])  # the start, and a mean of one
    assert loss[0][-1] > loss[1][-1]  # a mean lags behind a descent


def test_projection_to_the_simplex_keeps_order_and_bounds() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 7):
        for _ in range(20):
            point = 3 * rng.standard_normal(size)
            found = nearest(point, np.zeros(size), np.ones(size))
            assert found.sum() == pytest.approx(1, abs=1e-14)
            inside = found > 1e-12
            shift = (point - found)[inside]
            assert np.ptp(shift) < 1e-14  # one shift for all that are not at a bound
            assert (point[~inside] <= shift[0] + 1e-14).all()


def test_the_least_norm_is_found_to_its_tolerance_for_many_near_parallel_updates() -> None:
    rng = np.random.default_rng(0)
    u = rng.standard_normal((30, 8)) + 3 * rng.standard_normal(8)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    p = rng.dirichlet(np.ones(30))
    for epsilon in (0.01, 0.1, 1.0):
        low, high = np.maximum(p - epsilon, 0), np.minimum(p + epsilon, 1)
        found = least_norm(u @ u.T, p, low, high)
        assert (found >= low).all()
        assert (found <= high).all()
        assert gap(u @ u.T, found, low, high) < 1e-12


def test_updates_that_agree_lower_every_site_s_loss() -> None:
    """The shortest combination has a positive product with every update: Desideri, 2012."""
    u = torch.tensor([[1.0, 0.2], [0.6, -0.8], [0.9, 0.1]], dtype=torch.float64).numpy()
    found = least_norm(u @ u.T, np.full(3, 1 / 3), np.zeros(3), np.ones(3))
    shortest = found @ u
    assert (u @ shortest >= shortest @ shortest - 1e-9).all()
