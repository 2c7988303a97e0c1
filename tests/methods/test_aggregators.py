"""Robust aggregators: numbers that are known by hand, what is refused, and who was left out."""

import numpy as np
import pytest
import torch

from sim.checks import Refused
from sim.config.compose import experiment
from sim.methods.aggregators import (
    AGGREGATORS,
    Bulyan,
    CentredClip,
    GeometricMedian,
    Krum,
    Mean,
    MultiKrum,
    NormBound,
    TrimmedMean,
)
from sim.methods.aggregators.base import Aggregator, Combined
from sim.methods.aggregators.bulyan import closest
from sim.methods.aggregators.krum import ranked, scores
from sim.methods.aggregators.selection import selected
from sim.methods.roles import Roles
from sim.random import stream
from sim.run.run import rehearse
from tests.toy import SMALL


def combined(rule: Aggregator, *uploads: list[float]) -> list[float]:
    sent = {"delta": torch.tensor(uploads, dtype=torch.float64)}
    return rule.combine(sent, torch.full((len(uploads),), 1 / len(uploads))).popitem()[1].tolist()


def test_the_numbers_of_flowers_strategy_tests() -> None:
    assert combined(Krum(f=1), [0.2], [0.7], [1.0]) == [0.7]
    assert combined(MultiKrum(f=1, q=2), [0.2], [0.5], [1.0]) == [0.35]
    four = [0.5, 0.5, 0.5, 0.5], [1.0, 0.2, 0.5, 1.0], [0.2, 0.5, 1.0, 0.2], [0.5, 1.0, 0.2, 0.5]
    assert combined(TrimmedMean(beta=0.25), *four) == [0.5] * 4
    assert combined(TrimmedMean(beta=0.25), [0.5], [1.0], [2.0], [100.0]) == [1.5]


def test_the_second_stage_of_bulyan_takes_what_lies_closest_to_the_median() -> None:
    def near(values: list[list[float]], centre: list[float], count: int) -> list[float]:
        return closest(np.sort(np.array(values).T), np.array(centre), count).mean(1).tolist()

    assert near([[1.0], [2.0], [0.5]], [1.0], 2) == [0.75]
    assert near([[1.0], [-0.5], [10.0]], [0.0], 1) == [-0.5]
    three = [[1.1, 2.1, 0.2, 1.2], [0.9, 1.9, -0.1, 0.8], [5.0, 5.0, 10.0, 10.0]]
    assert near(three, [1.0, 2.0, 0.0, 1.0], 2) == pytest.approx([1.0, 2.0, 0.05, 1.0])


@pytest.mark.parametrize(("uploads", "f"), [(90, 1), (120, 5), (150, 36), (130, 0)])
def test_a_large_federation_is_selected_from_as_a_small_one(uploads: int, f: int) -> None:
    u = stream(uploads, "uploads").normal(size=(uploads, 4))
    u[:f] += 50
    distance = ((u[:, None] - u) ** 2).sum(-1)
    left = np.arange(uploads)
    for _ in range(uploads - 2 * f):
        among = distance[np.ix_(left, left)]
        left = np.delete(left, ranked(scores(among, f), among)[0])
    assert np.array_equal(selected(distance, f, uploads - 2 * f), np.setdiff1d(np.arange(uploads), left))


@pytest.mark.parametrize(
    ("beta", "uploads", "trimmed"), [(0.1, 9, 1), (0.1, 10, 1), (0.1, 11, 2), (0.28, 25, 7), (0.4, 5, 2), (0.4, 6, 2)]
)
def test_a_trimmed_mean_rounds_up_and_keeps_the_median(beta: float, uploads: int, trimmed: int) -> None:
    assert TrimmedMean(beta=beta).trimmed(uploads) == trimmed
    assert all(2 * TrimmedMean(beta=beta).trimmed(count) < count for count in range(1, 50))


@pytest.mark.parametrize("rule", [Krum(f=1), MultiKrum(f=1), Bulyan(f=1)])
def test_an_upload_beyond_all_numbers_is_left_out(rule: Aggregator) -> None:
    sent = torch.from_numpy(stream(0, "uploads").normal(size=(7, 3)).astype(np.float32))
    sent[2] = torch.tensor([3e38, float("inf"), float("nan")])
    assert torch.isfinite(rule.combine({"delta": sent}, torch.ones(7) / 7)["delta"]).all()


@pytest.mark.parametrize("name", ["krum", "multikrum", "bulyan"])
def test_too_many_pairs_are_refused_with_the_arithmetic(name: str) -> None:
    roles = experiment([f"aggregator={name}"]).axes
    roles.fits(4096)
    with pytest.raises(Refused, match=rf"aggregator={name} compares all pairs of 5,000 .* 25,000,000 .*GiB"):
        roles.fits(5000)


def test_bulyan_needs_four_f_and_three() -> None:
    with pytest.raises(Refused, match="needs at least 11 uploads in an update but gets 10"):
        Roles(aggregator=Bulyan(f=2)).fits(10)
    Roles(aggregator=Bulyan(f=2)).fits(11)


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        (["aggregator=krum"], 6),
        (["aggregator=multikrum", "aggregator.q=5"], 2),
        (["aggregator=bulyan"], 2),
        (["aggregator=normbound"], 0),
        (["aggregator=median"], None),
        (["aggregator=mean", "attack=signflip"], None),
    ],
)
def test_a_run_records_whose_uploads_were_left_out(words: list[str], left_out: int | None) -> None:
    found = rehearse(experiment([*SMALL, "rounds=3", *words])).info["uploads"]
    if left_out is None:
        assert found == {}
        return
    assert len(found) == 7
    assert all(site["sent"] == 3 for site in found.values())
    assert sum(site["left_out"] for site in found.values()) == 3 * left_out
    if words == ["aggregator=normbound"]:
        assert sum(site["in_part"] for site in found.values()) == 3 * 3  # above the median of seven norms


ROBUST = [name for name in AGGREGATORS if name != "mean"]
ODD = [float("nan"), float("inf"), -float("inf"), 3e38, -3e38]


def entry(name: str) -> Aggregator:
    """A rule with a radius beyond the uploads' lengths, or steps enough to come down from 1e38."""
    return {"centredclip": CentredClip(tau=10), "geometricmedian": GeometricMedian(R=100)}.get(
        name, AGGREGATORS[name]()
    )


def aggregate(rule: Aggregator, sent: torch.Tensor, p: torch.Tensor | None = None) -> Combined:
    weights = torch.ones(len(sent), dtype=torch.float64) / len(sent) if p is None else p
    kept = {f"delta.{name}": torch.zeros(sent.shape[1], dtype=sent.dtype) for name in rule.server_state}
    return rule.aggregate({"delta": sent}, weights, kept, lambda name, round=None: torch.rand(len(sent), 1))


def honest(uploads: int) -> torch.Tensor:
    return torch.from_numpy(stream(0, "uploads").normal(size=(uploads, 20)).astype(np.float32))


@pytest.mark.parametrize("uploads", [1, 2, 5, 7, 90])
@pytest.mark.parametrize("name", AGGREGATORS)
def test_the_aggregate_of_equal_uploads_is_one_of_them(name: str, uploads: int) -> None:
    rule = entry(name)
    if uploads >= rule.least:
        sent = honest(1).repeat(uploads, 1)
        assert torch.allclose(aggregate(rule, sent).mean["delta"], sent[0], rtol=2e-7, atol=0)
        assert not aggregate(rule, 0 * sent).mean["delta"].any()


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("uploads", [7, 8, 90])
@pytest.mark.parametrize("name", ROBUST)
def test_one_upload_without_a_sensible_number_moves_no_robust_rule_far(name: str, uploads: int, value: float) -> None:
    sent = honest(uploads)
    sent[3] = value
    found = aggregate(entry(name), sent)
    assert float(found.mean["delta"].norm()) < 20, "the others have lengths near 4.5"
    if found.used is not None and abs(value) != 3e38:
        assert found.used[3] == 0


@pytest.mark.parametrize("name", ["krum", "multikrum", "bulyan"])
def test_more_uploads_that_are_no_number_than_f_are_the_last_to_be_chosen(name: str) -> None:
    sent = honest(100)
    sent[:5] = float("nan")
    used = aggregate(AGGREGATORS[name](f=1), sent).used
    assert used is not None
    chosen, sensible = {"krum": (1, 1), "multikrum": (99, 95), "bulyan": (98, 94)}[name]  # of six, Bulyan has no order
    assert (int(used.sum()), int(used[5:].sum())) == (chosen, sensible)


@pytest.mark.parametrize("rule", [Mean(), AGGREGATORS["median"](), GeometricMedian(), NormBound(bound=4.0)])
def test_an_upload_without_weight_does_not_count(rule: Aggregator) -> None:
    sent, p = honest(9), torch.arange(9).double() / 36
    sent[0] = float("nan")
    without = aggregate(rule, sent[1:], p[1:]).mean["delta"]
    assert torch.allclose(aggregate(rule, sent, p).mean["delta"], without, rtol=1e-6)


def test_the_choice_among_single_precision_uploads_is_that_among_doubles() -> None:
    for seed in range(5):
        sent = torch.from_numpy(stream(seed, "uploads").normal(size=(200, 50)).astype(np.float32)) + 3
        sent[:40] *= -1e6
        for rule in (Krum(f=40), MultiKrum(f=40), Bulyan(f=40)):
            one, other = rule.chosen({"delta": sent}), rule.chosen({"delta": sent.double()})
            assert torch.equal(one, other)
