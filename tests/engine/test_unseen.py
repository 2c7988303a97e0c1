"""Sites that never trained have a model under FedBN: the mean of the others' batch norms, or their own statistics."""

from dataclasses import replace

import numpy as np
import pytest

from sim.checks import Refused
from sim.config.compose import experiment
from sim.engine.executors import InProcess
from sim.engine.rounds import simulate
from sim.engine.simulation import Round
from sim.run.run import prepare, simulation

WORDS = [
    *("cohort.patients=300", "cohort.sites=4", "rounds=2", "seed=3", "net=mlpbn", "net.hidden=[3]", "personal=fedbn"),
    "partition.external.sites=[centre-4]",
]


def rounds(*words: str) -> list[Round]:
    asked = experiment([*WORDS, *words])
    return list(simulate(simulation(asked, prepare(asked)), InProcess()))


def deployed(here: Round) -> np.ndarray:
    assert here.deployed is not None
    return here.deployed()


@pytest.mark.parametrize("unseen", ["average", "own"])
def test_an_external_site_is_scored_and_its_model_travels(unseen: str) -> None:
    *_, last = rounds(f"personal.unseen={unseen}")
    for values in last.metrics["personal"].values():
        assert np.isfinite(values[-1])  # test rows of centre-4
    own = deployed(last)
    assert np.isfinite(own).all()
    *_, fewer = rounds("personal.unseen=average", "personal.keeps=affine")
    more = last.bytes_evaluation - fewer.bytes_evaluation
    # keeps=affine: 6 of 12 numbers of the batch norm travel at a scoring and 6 in training's messages: the same in all.
    size, held, sites = 4, 4, 4
    norm = {"average": 12, "own": 6}[unseen]
    assert more == size * ((norm - 6) * sites - 6 * held)


def test_without_an_external_site_nothing_changes() -> None:
    *_, last = rounds("partition.external.sites=[]")
    *_, other = rounds("partition.external.sites=[]", "personal.unseen=own")
    np.testing.assert_array_equal(deployed(last), deployed(other))
    assert last.bytes_evaluation == other.bytes_evaluation


def test_sites_that_have_not_trained_do_not_count() -> None:
    """One of three sites trains in one round: the mean is its batch norms."""
    _, last = rounds("rounds=1", "system.sites=1")
    own = deployed(last)
    (trained,) = np.flatnonzero((own[:3] != own[:3][[1, 2, 0]]).any(1) & (own[:3] != own[:3][[2, 0, 1]]).any(1))
    np.testing.assert_array_equal(own[3], own[trained])


def test_with_noise_at_the_server_nobody_averages_batch_norms() -> None:
    *_, last = rounds("uplink=[clip,gaussian]", "weighting=sites")
    assert all(np.isnan(values[-1]) for values in last.metrics["personal"].values())
    assert np.isnan(deployed(last)[-1]).all()


def test_statistics_of_a_single_row_are_refused() -> None:
    asked = experiment([*WORDS, "personal.unseen=own"])
    plan = simulation(asked, prepare(asked))
    bounds = plan.federation.bounds.copy()
    bounds[-1, -1] = bounds[-1, 0] + 1
    with pytest.raises(Refused, match="has 1 row.*personal.unseen=average"):
        list(simulate(replace(plan, federation=replace(plan.federation, bounds=bounds)), InProcess()))
    with pytest.raises(Refused, match="keeps=affine the running statistics are shared"):
        experiment([*WORDS, "personal.unseen=own", "personal.keeps=affine"])
