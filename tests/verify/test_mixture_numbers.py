"""Sites whose patients are mixtures of populations, and sites that are of one of two: what FedEM and IFCA are for.

Smaller than the authors' experiments: 40 sites of their 300 and 60 features of 150; 40 sites of 100 and 100 of 1000.
"""

import numpy as np
import pytest
import torch
from torch import nn

from sim.arrays import Floats
from sim.engine.clusters import IFCA
from sim.engine.executors import InProcess, crew
from sim.engine.fedem import FedEM
from sim.engine.rounds import simulate
from sim.engine.simulation import SCORED, Evaluation, Round, Simulation
from sim.federation.federation import Federation, from_arrays
from sim.local.settings import Training
from sim.methods.roles import Roles
from sim.random import site_keys, stream
from sim.tasks.classify import Classification
from sim.tasks.regress import Regression

SITES, FEATURES, TESTED = 40, 60, 200


def mixtures() -> Federation:
    """Marfoq et al., NeurIPS 2021: each patient's label is by one of three rules, in shares that are the site's own."""
    draw = stream(0, "mixture")
    rows = np.minimum(draw.lognormal(4, 2, SITES).astype(int) + 50, 1000)
    rules = draw.uniform(-1, 1, (3, FEATURES))
    x, y = [], []
    for n in rows + TESTED:
        x.append(draw.uniform(-1, 1, (n, FEATURES)))
        rule = rules[draw.choice(3, n, p=draw.dirichlet(np.full(3, 0.4)))]
        y.append((x[-1] * rule).sum(1) + draw.normal(0, 0.1, n) > 0)
    names = tuple(f"{site:02d}" for site in range(SITES))
    ends = np.cumsum(rows + TESTED)
    train = ends - TESTED
    return Federation(
        names,
        tuple(f"x{column}" for column in range(FEATURES)),
        np.concatenate(x).astype(np.float32),
        {"label": np.concatenate(y).astype(np.float64)},
        np.stack([train - rows, train, train, ends], axis=1),
        site_keys(names),
    )


def accuracy(here: Round, kind: str) -> float:
    """Mean over sites on test patients."""
    return float(here.metrics[kind]["accuracy"][SCORED.index("test") :: len(SCORED)].mean())


def test_fedem_is_four_points_above_fedavg_on_mixtures() -> None:
    """Published 74.7 and 68.2 percent, quoted from memory; rates are not, so that the order alone is held."""
    federation, task = mixtures(), Classification(nn.Linear(FEATURES, 1, device="meta"))
    found = {}
    for kind, method, lr in (("shared", None, 1.0), ("mixture", FedEM(components=3), 3.0)):
        roles = method.roles(Roles()) if method else Roles()
        plan = Simulation(federation, task, roles, Training(lr=lr, batch=128), Evaluation(every=40), 40, 0)
        with crew(InProcess(), plan.job) as opened:
            *_, last = method.rounds(plan, opened) if method else simulate(plan, InProcess())
        found[kind] = accuracy(last, kind)
    assert found["mixture"] > found["shared"] + 0.04
    assert found["shared"] > 0.6


class Coins(nn.Linear):
    """A linear map without an intercept that starts at zeros and ones."""

    def reset_parameters(self) -> None:
        with torch.no_grad():
            self.weight.bernoulli_(0.5)


def two_groups(seed: int) -> tuple[Federation, Floats]:
    """Ghosh et al., NeurIPS 2020: `y = x theta + 0.1 noise`, theta of half the sites zeros and ones, of half others."""
    draw = stream(seed, "two groups")
    theta = draw.integers(0, 2, (2, 100)).astype(np.float64)
    x = draw.standard_normal((SITES, 100, 100))
    sites = {
        f"{site:02d}": (x[site], {"value": x[site] @ theta[site % 2] + 0.1 * draw.standard_normal(100)})
        for site in range(SITES)
    }
    return from_arrays(sites), theta


@pytest.mark.parametrize("seed", range(3))
def test_ifca_finds_both_groups_and_their_coefficients(seed: int) -> None:
    """Success of the authors: the models are nearer than 0.6 to the true ones; every site is then in its group."""
    (federation, theta), best = two_groups(seed), []
    for restart in range(2):
        method = IFCA(clusters=2)
        task = Regression(Coins(100, 1, bias=False, device="meta"))
        training = Training(lr=0.2, batch=0, steps=1)
        plan = Simulation(federation, task, method.roles(Roles()), training, Evaluation(every=30), 30, restart)
        with crew(InProcess(), plan.job) as opened:
            *_, last = method.rounds(plan, opened)
        apart = np.linalg.norm(last.model.numpy()[:, None] - theta, axis=2)
        used = np.linalg.norm(last.deployed()[:, None] - theta, axis=2).argmin(1)
        best.append((apart.min(1).mean(), (used == np.arange(SITES) % 2).mean()))
    distance, right = min(best)
    assert distance < 0.6
    assert right == 1
