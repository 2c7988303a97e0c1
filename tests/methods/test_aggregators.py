"""Robust aggregators: numbers that are known by hand, what is refused, and who was left out."""

import numpy as np
import pytest
import torch

from sim.checks import Refused
from sim.config.compose import experiment
from sim.methods.aggregators import Bulyan, Krum, MultiKrum, TrimmedMean
from sim.methods.aggregators.base import Aggregator
from sim.methods.aggregators.bulyan import closest
from sim.methods.aggregators.krum import ranked, scores
from sim.methods.aggregators.median import median, weighted_median
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


def test_equal_weights_are_a_case_of_unequal_ones() -> None:
    for uploads in (6, 7):
        u, p = (
            stream(uploads, "uploads").normal(size=(uploads, 5)),
            torch.full((uploads,), 1 / uploads, dtype=torch.float64),
        )
        assert np.array_equal(median(torch.from_numpy(u), p).numpy(), weighted_median(np.ascontiguousarray(u.T), p))


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
