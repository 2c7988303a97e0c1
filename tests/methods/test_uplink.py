"""What the transforms of the uplink refuse beside them, and the arithmetic of secure sums."""

import numpy as np
import pytest

from sim.checks import Refused
from sim.config.compose import experiment
from sim.methods.uplink import masks
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
        (["uplink=[topk,randomk]"], ["randomk takes", "after topk it is sparse"]),
        (["uplink=[topk,secagg]"], ["secagg takes", "after topk it is sparse"]),
        (["uplink=[gaussian,clip]", "weighting=sites"], ["uplink=[clip,gaussian]", "the last"]),
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
