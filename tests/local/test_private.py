"""DP-SGD at the sites: which rows are drawn, what is divided by what, and whose the noise is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sim.checks import Refused
from sim.config.compose import experiment
from sim.local.plan import Sites
from sim.local.private import Noised, poisson_steps
from sim.local.settings import Sampling, Tier, Training
from sim.local.shuffle import each
from sim.methods.roles import Roles
from sim.random import counted, key, scatter, site_keys, uniform
from sim.run.run import rehearse
from sim.verify.properties import spatial
from sim.verify.trial import gap
from tests.toy import SMALL

PRIVATE = Training(lr=0.05, batch=3, clip=0.5, noise=0.7, sampling=Sampling.poisson, chunk=2, tier=Tier.stacked)
SITES = Sites(np.array([0, 40, 50]), np.array([40, 10, 5]), np.array([400, 300, 300]), site_keys(("a", "b", "c")))


def batches(site: int) -> list[np.ndarray]:
    steps = poisson_steps(SITES, replace(PRIVATE, batch=8), 3, 2, np.zeros(3, np.int64))
    return [step.row[site][step.valid[site]] for step in steps if site < step.active]


@pytest.mark.parametrize(("site", "chance"), [(0, 8 / 40), (1, 8 / 10), (2, 1.0)])
def test_every_row_is_drawn_by_a_coin_of_its_own(site: int, chance: float) -> None:
    drawn, rows = batches(site), SITES.rows[site]
    assert len(drawn) == SITES.steps[site]
    held = np.zeros((len(drawn), rows))
    for at, some in enumerate(drawn):
        held[at, some - SITES.start[site]] = 1
        assert len(set(some)) == len(some)
    assert abs(held.mean() - chance) < 0.01
    assert np.abs(held.mean(0) - chance).max() < 0.09
    spread = held.sum(1).var()  # a binomial's; batches of one size have none
    assert abs(spread - rows * chance * (1 - chance)) < 0.25 * max(spread, 1e-9)


def normals(trial, number: int, site: int, step: int) -> np.ndarray:
    word = scatter(key(trial.seed, "local noise", number), trial.problem.federation.keys[[site]])
    place = np.arange(trial.problem.centre.shape[1])
    radius, angle = (uniform(counted(each(word, np.array([step])), 2 * place + part)) for part in (0, 1))
    return np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle)


def by_hand(trial) -> np.ndarray:
    """Abadi et al. 2016, Algorithm 1, row by row."""
    data, training = trial.problem.federation, trial.training
    y, x, path = data.y["value"], trial.start, [trial.start]
    for number, tick in enumerate(trial.ticks(), 1):
        ends = []
        for site in tick.sites:
            rows, w = data.rows[site], x.copy()
            one = np.array([site])
            here = Sites(data.bounds[one, 0], data.rows[one], np.array([trial.steps[site]]), data.keys[one])
            size = min(training.batch or rows, rows)
            for at, step in enumerate(poisson_steps(here, training, trial.seed, number, np.zeros(1, np.int64))):
                total = training.noise * training.clip * normals(trial, number, site, at)
                for row in step.row[0][step.valid[0]]:
                    g = (data.x[row] @ w - y[row]) * data.x[row]
                    total = total + g * min(1, training.clip / np.linalg.norm(g))
                w = w - tick.lr * total / size
            ends.append(w - x)
        x = x + tick.p @ np.array(ends)
        path.append(x)
    return np.stack(path)


@pytest.mark.parametrize("tier", [Tier.stacked, Tier.single])
def test_a_path_is_that_of_the_paper_s_algorithm(tier: Tier) -> None:
    trial = replace(spatial(6, 4), training=replace(PRIVATE, tier=tier))
    assert gap(trial.path(Roles()), by_hand(trial)) < 1e-12


def test_full_batches_without_noise_are_clipped_gradient_descent() -> None:
    plain = replace(spatial(6, 4), training=Training(lr=0.05, batch=0, clip=0.5))
    coins = replace(plain, training=replace(PRIVATE, batch=0, noise=0.0))
    assert gap(plain.path(Roles()), coins.path(Roles())) < 1e-12


def test_shuffled_batches_are_divided_by_their_nominal_size() -> None:
    """Sites have 5, 10 or 15 rows: in batches of 3 some hold fewer rows and count for less, in batches of 5 none."""
    for batch, differ in ((3, True), (5, False)):
        training = replace(PRIVATE, sampling=Sampling.shuffle, noise=1e-20, clip=1e3, batch=batch)
        noisy = replace(spatial(1, 6), training=training, steps=(2,) * 6)
        free = replace(noisy, training=replace(training, noise=0.0))
        assert (gap(noisy.path(Roles()), free.path(Roles())) > 1e-3) == differ


def test_the_noise_of_two_sites_rounds_and_steps_differs() -> None:
    first = next(poisson_steps(SITES, PRIVATE, 0, 1, np.zeros(3, np.int64)))
    found = []
    for round in (1, 2):
        noised = Noised.of(SITES, PRIVATE, 0, round, np.zeros(3, np.int64))
        found += [noised(torch.zeros(3, 50), first, number) for number in (0, 1)]
    values = torch.cat(found).flatten()
    assert len(set(values.tolist())) == len(values) == 600
    assert abs(float(values.std()) * 3 / (PRIVATE.noise * PRIVATE.clip) - 1) < 0.1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["local.noise=1"], ["local.noise=1", "Set local.clip above 0"]),
        (["local.sampling=poisson"], ["local.sampling=poisson", "Set local.clip above 0"]),
        (["local.noise=1", "local.clip=1", "algorithm=fedsam"], ["FedSAM", "its own kind of step or objective"]),
        (["local.noise=1", "local.clip=1", "algorithm=qfedavg"], ["to which no noise is added"]),
        (["local.noise=1", "local.clip=1", "algorithm=ifca"], ["algorithm=ifca asks for losses"]),
        (["local.noise=1", "local.clip=1", "algorithm=pooled"], ["nothing leaves a site"]),
        (["local.noise=1", "local.clip=1", "local.tier=fused"], ["local.tier=fused", "not compiled"]),
    ],
)
def test_what_would_leave_without_noise_is_refused(words: list[str], says: list[str]) -> None:
    with pytest.raises(Refused) as found:
        rehearse(experiment([*SMALL, "rounds=1", *words]))
    for part in says:
        assert part in str(found.value), f"{part!r} is not in: {found.value}"
