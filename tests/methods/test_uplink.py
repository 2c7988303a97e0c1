"""What the transforms of the uplink refuse beside them, and the arithmetic of secure sums."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sim.checks import Refused
from sim.config.compose import experiment
from sim.methods.contract import example
from sim.methods.uplink import UPLINK, masks
from sim.methods.uplink.coded import QSGD
from sim.random import stream
from sim.run.run import rehearse
from tests.toy import SMALL

NOISY = ["uplink=[clip,gaussian]", "weighting=sites"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["uplink=[qsgd,topk]"],
            ["topk needs a vector that is as it was", "after qsgd it is coded", "change their order"],
        ),
        (["uplink=[topk,randomk]"], ["randomk needs a vector that is as it was", "after topk it is sparse"]),
        (["uplink=[topk,secagg]"], ["secagg needs a vector that is as it was", "after topk it is sparse"]),
        (["uplink=[gaussian,clip]", "weighting=sites"], ["uplink=[clip,gaussian]", "Put it last"]),
        (["uplink=[clip,gaussian]"], ["uplink=gaussian", "more than C / m", "weighting=sites"]),
        (["uplink=[gaussian]", "weighting=sites"], ["no bound", "Put clip before it"]),
        (["uplink=[clip,stc,gaussian]", "weighting=sites"], ["no bound", "after all that keeps an error"]),
        (["uplink=[adaptiveclip,gaussian]", "weighting=sites"], ["bits", "uplink.adaptiveclip.noise"]),
        ([*NOISY, "aggregator=median"], ["of a mean", "aggregator=mean"]),
        ([*NOISY, "algorithm=qfedavg"], ["uplink=gaussian"]),
        ([*NOISY, "algorithm=fednova"], ["norm would travel without noise"]),
        ([*NOISY, "algorithm=ifca"], ["uplink=gaussian", "algorithm=ifca", "such as fedavg"]),
        ([*NOISY, "system=buffered"], ["weighted by their age", "system=sync"]),
        (["uplink=[clip,treenoise]", "weighting=sites", "system.dropout=0.1"], ["one bound and one number of sites"]),
        (["uplink=[secagg]", "aggregator=krum"], ["only the sum", "compares single uploads"]),
        (["uplink=[secagg]", "attack=signflip"], ["only the sum", "attack=none"]),
        (["uplink=[secagg]", "algorithm=qfedavg"], ["only the sum", "uplink=secagg"]),
        (["uplink=[secagg]", "system=buffered"], ["masks do not cancel"]),
        (["uplink=[secagg]", "uplink.secagg.field=20"], ["do not fit", "weighting=sites"]),
        (["uplink=[stc]", "uplink.stc.downlink=true", "system.sites=3"], ["3 of 7 sites", "system.sites=0"]),
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str], says: list[str]) -> None:
    with pytest.raises(Refused) as found:
        rehearse(experiment([*SMALL, "rounds=1", *words]))
    for part in says:
        assert part in str(found.value), f"{part!r} is not in: {found.value}"


def test_a_round_with_too_few_answers_for_the_secret_sharing_is_abandoned() -> None:
    words = ["rounds=12", "system.dropout=0.4", "uplink=[secagg]"]
    run = rehearse(experiment([*SMALL, *words]))
    few = run.rounds["sites"][1:] < 5  # two thirds of seven, rounded up
    assert few.any()
    assert not few.all()
    assert ((run.rounds["step_norm"][1:] == 0) == few).all()


def test_a_secure_sum_is_fedavg_to_the_rounding_of_its_numbers() -> None:
    plain, secure = (rehearse(experiment([*SMALL, *words])).rounds["loss"] for words in ([], ["uplink=[secagg]"]))
    np.testing.assert_allclose(secure, plain, atol=1e-4)
    assert (secure != plain).any()


def test_any_threshold_many_shares_tell_a_seed_and_fewer_do_not() -> None:
    points = masks.shared(12345, range(7), 4, 0, "seed")
    assert masks.secret(points[:4]) == masks.secret(points[3:]) == masks.secret(points) == 12345
    assert masks.secret(points[:3]) != 12345


def test_a_masked_upload_does_not_show_what_it_holds() -> None:
    q = np.zeros(4000, dtype=np.int64)
    sent = masks.masked(q, 1, 0, range(3), 0, 1, 16)
    assert 0.98 < sent.astype(float).std() / (2**16 / np.sqrt(12)) < 1.02


def test_a_sum_of_too_few_uploads_is_refused() -> None:
    with pytest.raises(Refused, match="1 of 3 sites answered, but 2 are needed"):
        masks.recovered({0: np.zeros(2, dtype=np.uint64)}, range(3), {}, 2, 16)


@pytest.mark.parametrize("size", [1e-25, 1e-20, 1.0, 1e25])
def test_levels_fit_their_bits_and_vectors_of_any_length_are_coded(size: float) -> None:
    """Squares of float32 numbers beyond 1e19, or below 1e-23, are infinite or zero: lengths are taken in double."""
    u = torch.from_numpy(stream(0, "vectors").normal(size=(500, 6))).float() * size
    u[::2, 1:] = 0  # the length is that of the one entry: level s exactly, and never s + 1
    for levels in (1, 7, 15):
        sent = QSGD(levels=levels).encode(u, example(500, 6), lambda name, round=None: torch.zeros(500, 6))
        norm = sent.scalars["norm"]
        assert torch.isfinite(sent.vector).all()
        assert torch.allclose(norm, u.double().norm(dim=1).float(), rtol=1e-6, atol=0)
        assert torch.equal(sent.vector[::2, 0], u[::2, 0])
        assert bool((sent.vector.abs() <= norm[:, None]).all())


@pytest.mark.parametrize("name", [name for name in UPLINK if name != "powersgd"])
def test_nothing_in_is_nothing_out(name: str) -> None:
    made, zero = UPLINK[name](), torch.zeros(3, 5)
    at = replace(
        example(3, 5),
        server={key: torch.zeros(5 if shape == "P" else ()) for key, shape in made.server_state.items()},
        site={key: torch.zeros(3, 5) for key in made.site_state},
    )
    assert not made.encode(zero, at, lambda name, round=None: torch.full((3, 5), 0.5)).vector.any()
