"""Phases, held parameters, pulls, anchors, objectives and batches of a step: on every tier that can, to the theory."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sim.checks import Refused
from sim.local.plan import Sites, steps
from sim.local.rows import Rows
from sim.local.settings import Tier, Training
from sim.local.tier import choose
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.fedprox import FedProx
from sim.methods.contract import Correction, Gradient, Local, Phase
from sim.tasks.task import Batch, Task
from sim.verify.quadratic import least_squares
from tests.local.tiers import BOTH, Phases, build, known, rows_for, train

SIZES = [40, 21, 7, 64]
ALL = (Tier.fused, Tier.stacked, Tier.single)
DOUBLE = torch.float64
KINDS = ("squared", "softmax", "proportional")


def toy(kind: str, hidden: tuple[int, ...] = (9,)) -> tuple[Task, Rows]:
    task = build(kind, 5, list(hidden), True, 4)
    return task, rows_for(kind, sum(SIZES), 5, 4, DOUBLE)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def cut(first: float, correction: Correction) -> Phases:
    """Two phases, of which the first takes this share of the steps."""

    def phases(at: Local) -> list[Phase]:
        early = (first * at.steps).floor()
        return [Phase(early, correction), Phase(at.steps - early, correction)]

    return phases


# --- phases


@pytest.mark.parametrize("first", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("tier", BOTH)
@pytest.mark.parametrize("kind", KINDS)
def test_two_phases_are_one_of_as_many_steps_bit_for_bit(kind: str, tier: Tier, first: float) -> None:
    """Without momentum nothing but the model is carried on, and batches go on where the first phase stopped."""
    task, rows = toy(kind)
    correction = Correction(drift=0.1 * normal(1, len(SIZES), task.layout.size))
    training = Training(lr=0.05, batch=8, steps=11, weight_decay=0.1)
    whole = train(tier, task, rows, SIZES, Algorithm(), training, lambda at: [Phase(at.steps, correction)])
    np.testing.assert_array_equal(train(tier, task, rows, SIZES, Algorithm(), training, cut(first, correction)), whole)


@pytest.mark.parametrize("tier", ALL)
def test_two_phases_are_one_whatever_the_sites_sizes(tier: Tier) -> None:
    """Sites that end a phase early change the shapes of the stacked products, and so their last bits."""
    task, rows = toy("softmax")
    correction = Correction(pull=0.4, drift=0.1 * normal(1, len(SIZES), task.layout.size))
    training = Training(lr=0.05, batch=8, epochs=3)
    whole = train(tier, task, rows, SIZES, Algorithm(), training, lambda at: [Phase(at.steps, correction)])
    parts = train(tier, task, rows, SIZES, Algorithm(), training, cut(0.4, correction))
    np.testing.assert_allclose(parts, whole, rtol=1e-12, atol=1e-13)


def test_momentum_starts_anew_in_every_phase_on_every_tier() -> None:
    task, rows = toy("squared")
    training = Training(lr=0.05, batch=8, epochs=3, momentum=0.8)
    words = (SIZES, Algorithm(), training)
    found = [train(tier, task, rows, *words, cut(0.5, Correction(pull=0.3))) for tier in ALL]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-11, atol=1e-12)
    through = train(Tier.fused, task, rows, *words, lambda at: [Phase(at.steps, Correction(0.3))])
    assert np.abs(through - found[0]).max() > 1e-4


# --- parameters that do not move


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("batch", [8, 0])
def test_held_parameters_stay_exactly_and_the_others_agree(batch: int, momentum: float) -> None:
    task, rows = toy("proportional")
    moves = normal(2, task.layout.size) > 0
    training = Training(lr=0.1, batch=batch, steps=6, momentum=momentum, weight_decay=0.2)
    correction = Correction(pull=0.5, drift=normal(3, len(SIZES), task.layout.size))
    start = normal(4, len(SIZES), task.layout.size)

    def phases(at: Local) -> list[Phase]:
        return [Phase(at.steps, correction, moves), Phase(at.steps, correction, ~moves)]

    def first(at: Local) -> list[Phase]:
        return phases(at)[:1]

    for work, held in ((first, ~moves), (phases, torch.zeros_like(moves))):
        found = [train(tier, task, rows, SIZES, Algorithm(), training, work, start) for tier in ALL]
        for models in found:
            np.testing.assert_array_equal(models[:, held.numpy()], start[:, held].numpy())
            assert (models[:, ~held.numpy()] != start[:, ~held].numpy()).all()
            np.testing.assert_allclose(models, found[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("tier", BOTH)
def test_all_moving_is_the_same_as_no_mask(tier: Tier) -> None:
    task, rows = toy("softmax")
    training, every = Training(lr=0.05, batch=8), torch.ones(task.layout.size, dtype=torch.bool)
    with_mask = train(tier, task, rows, SIZES, Algorithm(), training, lambda at: [Phase(at.steps, Correction(), every)])
    np.testing.assert_array_equal(with_mask, train(tier, task, rows, SIZES, Algorithm(), training))


# --- pulls and anchors


@pytest.mark.parametrize("tier", BOTH)
def test_one_pull_for_each_site_is_the_scalar_where_they_are_equal(tier: Tier) -> None:
    task, rows = toy("softmax")
    training = Training(lr=0.05, batch=8, epochs=2)
    alike = torch.full((len(SIZES),), 0.7, dtype=DOUBLE)
    one, each = (
        train(tier, task, rows, SIZES, Algorithm(), training, lambda at, pull=pull: [Phase(at.steps, Correction(pull))])
        for pull in (0.7, alike)
    )
    np.testing.assert_array_equal(each, one)


@pytest.mark.parametrize("tier", ALL)
def test_every_site_has_its_own_pull(tier: Tier) -> None:
    task, rows = toy("softmax")
    training, pulls = Training(lr=0.05, batch=8, epochs=2), [0.0, 0.3, 0.9, 2.0]
    each = torch.tensor(pulls, dtype=DOUBLE)
    mixed = train(tier, task, rows, SIZES, Algorithm(), training, lambda at: [Phase(at.steps, Correction(each))])
    for site, pull in enumerate(pulls):
        same = train(
            tier, task, rows, SIZES, Algorithm(), training, lambda at, pull=pull: [Phase(at.steps, Correction(pull))]
        )
        np.testing.assert_allclose(mixed[site], same[site], rtol=1e-12, atol=1e-13)


def recursion(rows: Rows, low: int, high: int, lr: float, count: int, pull: float, start: NDArray, anchor: NDArray,
              drift: NDArray) -> NDArray:  # fmt: skip
    """`w <- w - lr (A w - b + pull (w - anchor) + drift)` of least squares on all rows of a site."""
    x, y = rows.x[low:high].numpy(), rows.y["value"][low:high].numpy()
    a, b, w = x.T @ x / len(x), x.T @ y / len(x), start
    for _ in range(count):
        w = w - lr * (a @ w - b + pull * (w - anchor) + drift)
    return w


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("tier", ALL)
def test_an_anchor_away_from_the_start_is_the_closed_recursion(tier: Tier, each: bool) -> None:
    """Sites start at one model, are pulled towards another and have downloaded a third."""
    task, rows = least_squares(5), rows_for("squared", sum(SIZES), 5, 1, DOUBLE)
    start, anchor, drift = (normal(seed, len(SIZES), 5) for seed in (1, 2, 3))
    pulls = torch.tensor([0.2, 0.4, 0.6, 0.8] if each else [0.6] * 4, dtype=DOUBLE)
    correction = Correction(pulls if each else 0.6, drift, anchor)
    training = Training(lr=0.05, batch=0, steps=9)
    for work in (lambda at: [Phase(at.steps, correction)], cut(0.5, correction)):
        found = train(tier, task, rows, SIZES, Algorithm(), training, work, start)
        ends = np.cumsum(SIZES)
        for site, high in enumerate(ends):
            exact = recursion(
                rows, high - SIZES[site], high, 0.05, 9, float(pulls[site]), start[site].numpy(),
                anchor[site].numpy(), drift[site].numpy(),
            )  # fmt: skip
            np.testing.assert_allclose(found[site], exact, rtol=1e-11, atol=1e-12)


def test_the_anchor_is_the_downloaded_model_where_none_is_named() -> None:
    task, rows = toy("squared")
    start, training = normal(1, len(SIZES), task.layout.size), Training(lr=0.05, batch=8)
    for tier in ALL:
        silent, named = (
            train(tier, task, rows, SIZES, Algorithm(), training, work, start)
            for work in (
                lambda at: [Phase(at.steps, Correction(0.5))],
                lambda at: [Phase(at.steps, Correction(0.5, anchor=at.x))],
            )
        )
        np.testing.assert_array_equal(silent, named)


# --- objectives and batches of a method's own


@dataclass
class ProximalObjective(Algorithm):
    """FedProx as what a site minimises."""

    mu: float = 0.5

    def objective(self, task: Task, v: Tensor, batch: Batch, at: Local) -> Tensor:
        return task.loss(v, batch) + self.mu / 2 * (v - at.x).square().sum()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_fedprox_written_as_an_objective_is_its_correction(kind: str, momentum: float) -> None:
    task, rows = toy(kind)
    training = Training(lr=0.05, batch=8, epochs=2, momentum=momentum, weight_decay=0.1)
    expected = train(Tier.fused, task, rows, SIZES, FedProx(mu=0.5), training)
    for tier in (Tier.stacked, Tier.single):
        found = train(tier, task, rows, SIZES, ProximalObjective(), training)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_an_objective_may_differ_from_site_to_site() -> None:
    """It reads the site's own rows, steps and start; a trace does not keep those of the first call."""

    @dataclass
    class ByRows(Algorithm):
        def objective(self, task: Task, v: Tensor, batch: Batch, at: Local) -> Tensor:
            return task.loss(v, batch) * at.rows / 40 + at.lr * (v * at.start).sum()

    @dataclass
    class ByCorrection(Algorithm):
        def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
            return grad(w) * at.rows[:, None] / 40 + at.lr * at.start

    task, rows = toy("softmax")
    start, training = normal(1, len(SIZES), task.layout.size), Training(lr=0.05, batch=8, steps=5)
    one, other = (
        train(Tier.stacked, task, rows, SIZES, method, training, start=start) for method in (ByRows(), ByCorrection())
    )
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@dataclass
class Halves(Algorithm):
    """The mean gradient of two batches."""

    batches = 2

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        return c.added((grad(w, 0) + grad(w, 1)) / 2, w)


@pytest.mark.parametrize("parts", [1, 2])
def test_two_batches_of_a_step_are_one_of_twice_the_size(parts: int) -> None:
    """Where each epoch holds an even number of whole batches, phase by phase too."""
    sizes = [64, 32, 16]
    task = build("softmax", 5, [9], True, 4)
    rows = rows_for("softmax", sum(sizes), 5, 4, DOUBLE)
    small, large = (Training(lr=0.05, batch=batch, steps=6) for batch in (8, 16))
    work = None if parts == 1 else cut(0.5, Correction())
    expected = train(Tier.fused, task, rows, sizes, Algorithm(), large)
    for tier in (Tier.stacked, Tier.single):
        found = train(tier, task, rows, sizes, Halves(), small, work)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


@dataclass
class Ahead(Algorithm):
    """First-order Per-FedAvg (Fallah et al., NeurIPS 2020): the gradient on one batch after a step on another."""

    batches = 2

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        return grad(w - 0.1 * grad(w), batch=1)


def test_the_second_batch_of_a_step_is_the_one_after_the_first() -> None:
    """A loop of one's own over the plan of batches, two at a time."""
    task, rows = toy("softmax")
    training = Training(lr=0.05, batch=8, epochs=2)
    found = train(Tier.stacked, task, rows, SIZES, Ahead(), training)
    at = known(task, SIZES, training, DOUBLE)
    size = at.rows.numpy().astype(np.int64)
    order = [SIZES.index(rows_of) for rows_of in size]
    begin = (np.cumsum(SIZES) - np.array(SIZES))[order]
    for site in range(len(SIZES)):
        w = at.x[site].clone()
        one = Sites(
            begin[[site]], size[[site]], 2 * training.site_steps(size)[[site]], np.array([7 + order[site]], np.uint64)
        )
        plan = [rows.batch(step) for step in steps(one, training, 5, 2)]

        def gradient(v: Tensor, batch: Batch) -> Tensor:
            first = Batch(batch.x[0], {name: part[0] for name, part in batch.y.items()}, batch.valid[0])
            return torch.func.grad(task.loss)(v, first)

        for support, query in zip(plan[::2], plan[1::2], strict=True):
            w = w - 0.05 * gradient(w - 0.1 * gradient(w, support), query)
        np.testing.assert_allclose(found[site], w.numpy(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "why"), [(ProximalObjective(), "an objective of its own"), (Halves(), "a step of its own")]
)
def test_what_the_fused_tier_cannot_do_is_refused_there(method: Algorithm, why: str) -> None:
    task, _ = toy("squared")
    assert choose(task, method, Training()).tier is Tier.stacked
    with pytest.raises(Refused, match=f"local.tier=fused: {type(method).__name__} has {why}"):
        choose(task, method, Training(tier=Tier.fused))
