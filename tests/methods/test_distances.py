"""Distances between all pairs: digits are kept where uploads share much, or where some lie far away."""

import numpy as np
import pytest
import torch

from sim.checks import Refused
from sim.config.compose import experiment
from sim.methods import distances
from sim.methods.distances import squared_distances
from sim.random import stream
from sim.run.run import rehearse
from tests.toy import SMALL


def uploads(sites: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(stream(seed, "uploads").normal(size=(sites, 300))).float()


def exact(u: torch.Tensor) -> np.ndarray:
    return ((u.double()[:, None] - u.double()) ** 2).sum(-1).numpy()


@pytest.mark.parametrize("shared", [0.0, 10.0, 1000.0])
@pytest.mark.parametrize("bad", [0, 1, 60])
@pytest.mark.parametrize("far", [1.0, 1e6, 1e18])
def test_neither_what_all_share_nor_a_few_far_away_cost_the_others_digits(shared: float, bad: int, far: float) -> None:
    u = uploads(140) + shared
    u[:bad] *= far
    found, true = squared_distances([u[:, :200], u[:, 200:]]), exact(u)
    assert np.allclose(found[bad:, bad:], true[bad:, bad:], rtol=1e-5)
    if bad and far > 1:
        assert found[:bad, bad:].min() > found[bad:, bad:].sum(0).max()
    assert np.array_equal(found, found.T)


def test_equal_uploads_have_no_distance() -> None:
    assert not squared_distances([uploads(1).expand(150, -1)]).any()
    assert squared_distances([uploads(1)]).tolist() == [[0.0]]
    twins = uploads(9)
    twins[2:5] = 7.5
    assert not squared_distances([twins])[2:5, 2:5].any()


def test_what_is_no_number_is_farther_than_all_others_together() -> None:
    u = uploads(9)
    u[0, 3], u[4, 5], u[7] = float("nan"), float("inf"), 3e38
    found, fine = squared_distances([u]), [1, 2, 3, 5, 6, 8]
    assert np.isfinite(found).all()
    assert np.allclose(found[np.ix_(fine, fine)], exact(u[fine]), rtol=1e-5)
    assert (found[np.ix_([0, 4, 7], fine)] > found[np.ix_(fine, fine)].sum(0).max()).all()


@pytest.mark.parametrize("words", [["aggregator=krum"], ["attack=minmax"]])
def test_a_run_with_too_many_pairs_is_refused_before_it_trains(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "MOST", 6)
    says = r"all pairs of 7 uploads: 49 distances .* 24 multiply-adds .*, 441 for all 18, about .* s on one core"
    with pytest.raises(Refused, match=says):
        rehearse(experiment([*SMALL, "rounds=1", *words]))
