"""The epsilons of a run, in its record and on the terminal."""

import json

import numpy as np
import pytest

from sim.cli.run_table import epsilons
from sim.config.compose import experiment
from sim.privacy import gaussian, rdp
from sim.run.run import rehearse
from tests.toy import SMALL

DP_SGD = ["local.noise=1.5", "local.clip=1"]
CENTRAL = ["uplink=[clip,gaussian]", "uplink.gaussian.multiplier=2", "weighting=sites"]


def spent(*words: str) -> dict:
    return rehearse(experiment([*SMALL, *words])).info["privacy"]


def test_without_noise_nothing_is_claimed() -> None:
    assert spent("local.clip=1") == {}
    assert spent("uplink=[clip]") == {}


def test_three_rounds_of_noise_at_the_server_are_one_gaussian_mechanism() -> None:
    cost = spent(*CENTRAL)["sites"]
    assert cost["delta"] == pytest.approx(7**-1.1)
    assert cost["epsilon"]["max"] == pytest.approx(gaussian.epsilon(3**0.5 / 2, 7**-1.1), abs=1e-6)
    assert cost["accountant"].startswith("analytic Gaussian")


def test_two_vectors_cost_twice_and_bits_beside() -> None:
    one, two = (spent(*CENTRAL, "privacy.delta_sites=1e-5", *more)["sites"] for more in ([], ["algorithm=scaffold"]))
    assert one["epsilon"]["max"] == pytest.approx(gaussian.epsilon(3**0.5 / 2, 1e-5), abs=1e-6)
    assert two["epsilon"]["max"] == pytest.approx(gaussian.epsilon(6**0.5 / 2, 1e-5), abs=1e-6)
    words = ["uplink=[adaptiveclip,gaussian]", "uplink.adaptiveclip.noise=1", "weighting=sites"]
    bits = spent(*words, "uplink.gaussian.multiplier=2", "privacy.delta_sites=1e-5")["sites"]
    assert bits["epsilon"]["max"] == pytest.approx(gaussian.epsilon((3 * (1 / 4 + 1 / 4)) ** 0.5, 1e-5), abs=1e-6)


def test_a_site_that_is_heard_less_often_pays_less() -> None:
    run = rehearse(experiment([*SMALL, *CENTRAL, "rounds=9", "system.sites=3", "privacy.delta_sites=1e-5"]))
    found = set(run.info["privacy"]["sites"]["by_site"].values())
    allowed = {round(gaussian.epsilon(times**0.5 / 2, 1e-5), 6) for times in range(10)}
    assert len(found) > 1
    assert found <= allowed


def test_a_tree_counts_how_often_a_site_is_in_a_node() -> None:
    """Seven sites in all of three updates: nodes of one update 1 + 1 + 1, of two 4; restarted after each 1 + 1 + 1."""
    words = ["uplink=[clip,treenoise]", "uplink.treenoise.multiplier=2", "weighting=sites", "privacy.delta_sites=1e-5"]
    for restart, square in ((0, 7), (1, 3)):
        cost = spent(*words, f"uplink.treenoise.restart={restart}")["sites"]
        assert cost["epsilon"]["max"] == pytest.approx(gaussian.epsilon(square**0.5 / 2, 1e-5), abs=1e-6)


def test_records_of_every_site_have_an_epsilon_of_their_own() -> None:
    run = rehearse(experiment([*SMALL, *DP_SGD, "local.sampling=poisson", "local.steps=4"]))
    cost = run.info["privacy"]["records"]
    assert set(cost["by_site"]) == set(run.info["sites"])
    for site, found in cost["by_site"].items():
        rows = run.info["sites"][site]["train"]["rows"]
        delta = rows**-1.1
        assert cost["delta"][site] == pytest.approx(delta)
        exact = gaussian.epsilon(12**0.5 / 1.5, delta)
        wanted = exact if rows <= 16 else rdp.epsilon(12 * rdp.sampled(16 / rows, 1.5), delta)
        assert found == pytest.approx(wanted, abs=1e-6)
    assert "Mironov" in cost["accountant"]
    assert "coins" in cost["of"]
    values = list(cost["by_site"].values())
    assert [cost["epsilon"][name] for name in ("min", "max")] == [min(values), max(values)]
    assert cost["epsilon"]["median"] == pytest.approx(np.median(values))


def test_a_shuffled_order_is_given_no_credit() -> None:
    """Two epochs in each of three rounds: a record is in six batches."""
    cost = spent(*DP_SGD, "local.epochs=2", "privacy.delta_records=1e-5")["records"]
    assert cost["epsilon"]["max"] == cost["epsilon"]["min"]
    assert cost["epsilon"]["max"] == pytest.approx(gaussian.epsilon(6**0.5 / 1.5, 1e-5), abs=1e-6)
    assert "nothing is claimed for it" in cost["of"]


def test_noise_of_none_is_infinite_and_null() -> None:
    cost = spent("uplink=[clip,gaussian]", "uplink.gaussian.multiplier=0", "weighting=sites")["sites"]
    assert cost["epsilon"]["max"] is None
    assert "epsilon inf" in epsilons("sites", cost)


def test_the_terminal_names_the_worst_site_whatever_the_order_of_the_record() -> None:
    cost = {"epsilon": {"max": 3.0, "median": 2.0, "min": 1.0}, "delta": 0.1, "accountant": "a", "of": "b"}
    assert "epsilon 3 at the worst site (lowest 1, median 2)" in epsilons("records", cost)


def test_the_terminal_names_epsilon_delta_accountant_and_assumptions() -> None:
    cost = spent(*CENTRAL, "privacy.delta_sites=1e-5")["sites"]
    line = epsilons("sites", json.loads(json.dumps(cost, sort_keys=True)))  # as the record has it
    for part in ("epsilon", "delta 1e-05", "Balle, Wang", "nothing is claimed for sampling"):
        assert part in line
