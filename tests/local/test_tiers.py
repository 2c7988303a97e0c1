"""The three tiers of local training give one answer, and the fused one takes exactly what it knows."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from sim.arrays import Reals
from sim.checks import Refused
from sim.config.compose import experiment
from sim.engine.executors import InProcess
from sim.engine.rounds import simulate
from sim.engine.simulation import Diverged
from sim.jit import fast
from sim.local.gathered import logistic
from sim.local.settings import Tier, Training
from sim.local.shuffle import shuffle
from sim.local.stacked import Gradients
from sim.local.tier import choose
from sim.local.tiles import LANES
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Gradient, Local, example
from sim.run.run import prepare, rehearse, simulation
from sim.tasks.classify import Classification
from sim.tasks.task import Batch, Task
from tests.local.tiers import BOTH, TASKS, build, rows_for, train
from tests.toy import SMALL


@dataclass
class Steered(Algorithm):
    """Any affine step: w -= lr (g + pull (w - x) + drift)."""

    pull: float = 0.0
    drifting: bool = False

    def correction(self, at: Local) -> Correction:
        drift = torch.linspace(-0.5, 0.5, at.x.numel(), dtype=at.x.dtype).view(at.x.shape) if self.drifting else None
        return Correction(self.pull, drift)


@fast
def of_every(z: Reals) -> Reals:
    """The logistic of all numbers, in place."""
    for i in range(0, len(z), LANES):
        logistic(z, i)
    return z


@settings(max_examples=25)
@given(
    kind=st.sampled_from(TASKS),
    features=st.integers(1, 20),
    hidden=st.lists(st.integers(1, 37), max_size=3),
    tanh=st.booleans(),
    outputs=st.integers(2, 19),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    batch=st.sampled_from([0, 1, 7, 32, 80]),
    steps=st.sampled_from([0, 1, 5]),
    momentum=st.sampled_from([0.0, 0.9]),
    decay=st.sampled_from([0.0, 0.1]),
    clip=st.sampled_from([0.0, 0.3]),
    pull=st.sampled_from([0.0, 0.5]),
    drifting=st.booleans(),
)
def test_tiers_agree(
    kind, features, hidden, tanh, outputs, sizes, batch, steps, momentum, decay, clip, pull, drifting
):  # fmt: skip
    task = build(kind, features, hidden, tanh, outputs)
    rows = rows_for(kind, sum(sizes), features, outputs, torch.float64)
    training = Training(
        lr=0.02, epochs=2, steps=steps, batch=batch, momentum=momentum, weight_decay=decay, clip=clip
    )  # fmt: skip
    algorithm = Steered(pull=pull, drifting=drifting)
    models = [train(tier, task, rows, sizes, algorithm, training) for tier in (Tier.fused, Tier.stacked, Tier.single)]
    for other in models[1:]:
        np.testing.assert_allclose(models[0], other, rtol=1e-9, atol=1e-11)


@settings(max_examples=25)
@given(
    kind=st.sampled_from(["squared", "logistic", "softmax"]),
    features=st.integers(14, 50),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    batch=st.sampled_from([0, 1, 7, 32, 80]),
    momentum=st.sampled_from([0.0, 0.9]),
    decay=st.sampled_from([0.0, 0.1]),
    bias=st.booleans(),
    drifting=st.booleans(),
)
def test_tiers_agree_on_one_layer_of_any_width(kind, features, sizes, batch, momentum, decay, bias, drifting):
    """From 16 features on, one output and two under softmax have loops of their own."""
    task = build(kind, features, [], False, 2)
    if not bias:
        task = type(task)(nn.Linear(features, 2 if kind == "softmax" else 1, bias=False))
    rows = rows_for(kind, sum(sizes), features, 2, torch.float64)
    how = Training(lr=0.2, batch=batch, steps=5, momentum=momentum, weight_decay=decay)
    fused, stacked = (train(tier, task, rows, sizes, Steered(0.5, drifting), how) for tier in BOTH)
    np.testing.assert_allclose(fused, stacked, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_compiled_logistic_is_right_to_the_last_digits_and_keeps_nan(dtype: type[np.floating]) -> None:
    z = np.linspace(-80, 80, 16_000).astype(dtype)
    found = of_every(z.copy())
    wanted = 1 / (1 + np.exp(-z.astype(np.longdouble)))
    assert np.abs(found / wanted - 1).max() < 1.5 * np.finfo(dtype).eps
    ends = of_every(np.array([np.nan, np.inf, -np.inf, *[0] * 13], dtype=dtype))
    assert np.isnan(ends[0])
    assert ends[1] == 1
    assert 0 <= ends[2] < 2e-38


@pytest.mark.parametrize("kind", TASKS)
def test_tiers_agree_in_single_precision(kind: str) -> None:
    task = build(kind, 12, [24, 16], kind == "softmax", 5)
    sizes = [40, 200, 7, 64]
    rows = rows_for(kind, sum(sizes), 12, 5, torch.float32)
    training = Training(lr=0.02, epochs=2)
    fused, stacked = (
        train(tier, task, rows, sizes, Steered(0.1, True), training) for tier in (Tier.fused, Tier.stacked)
    )
    assert fused.dtype == np.float32
    np.testing.assert_allclose(fused, stacked, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", TASKS)
def test_clipping_is_that_of_every_row_s_own_gradient(kind: str) -> None:
    """One full-batch step against autograd, row by row: the norm identity and its proof."""
    task, lr = build(kind, 6, [9], False, 4), 0.5
    rows = rows_for(kind, 30, 6, 4, torch.float64)
    start = task.init(3).double()
    gradients = []
    for row in range(30):
        v = start.clone().requires_grad_()
        batch = Batch(rows.x[row : row + 1], {name: y[row : row + 1] for name, y in rows.y.items()}, torch.ones(1) > 0)
        gradients.append(torch.autograd.grad(task.loss(v, batch), v)[0])
    g = torch.stack(gradients)
    limit = float(g.norm(dim=1).median())
    mean = (g * (limit / g.norm(dim=1, keepdim=True).clamp_min(1e-300)).clamp_max(1.0)).mean(0)
    assert float(g.norm(dim=1).max()) > limit
    training = Training(lr=lr, batch=0, clip=limit)
    for tier in BOTH:
        (model,) = train(tier, task, rows, [30], Algorithm(), training)
        np.testing.assert_allclose(model, (start - lr * mean).numpy(), rtol=1e-11, atol=1e-12)


def test_a_shuffle_is_a_permutation_that_belongs_to_its_word() -> None:
    def order(rows: int, word: int) -> NDArray[np.int64]:
        made = np.empty(rows, dtype=np.int64)
        shuffle(made, 100, np.uint64(word))
        return made

    assert sorted(order(50, 1)) == list(range(100, 150))
    assert (order(50, 1) == order(50, 1)).all()
    assert (order(50, 1) != order(50, 2)).any()
    first = np.bincount([order(5, word)[0] - 100 for word in range(20_000)])
    assert abs(first - 4000).max() < 4 * np.sqrt(20_000 * 0.2 * 0.8)  # every row is as often first; four sigma


class Own(Classification):
    """A loss of one's own on a task that has a closed form."""

    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        return super().row_loss(output, y) ** 2


@dataclass
class Sharp(Algorithm):
    """A step that is not affine."""

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        g = grad(w)
        return g / (1 + g.abs())


class Gate(nn.Module):
    """A network that is no chain."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(3, width), nn.Linear(3, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.sigmoid(self.one(x)) * self.other(x))


def twice() -> nn.Module:
    """One layer in two places."""
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(3, 1))


@pytest.mark.parametrize(
    ("task", "algorithm", "tier", "why"),
    [
        (Classification(nn.Linear(3, 1)), Algorithm(), Tier.fused, "affine"),
        (Own(nn.Linear(3, 1)), Algorithm(), Tier.stacked, "the loss of Own"),
        (Classification(nn.Linear(3, 1)), Sharp(), Tier.stacked, "Sharp has a step of its own"),
        (Classification(Gate()), Algorithm(), Tier.stacked, "Gate is not a chain"),
        (
            Classification(nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 1))),
            Algorithm(),
            Tier.stacked,
            "chain",
        ),
        (Classification(twice()), Algorithm(), Tier.stacked, "twice"),
        (Classification(Gate(20_000)), Algorithm(), Tier.single, "180001 parameters"),
    ],
)
def test_choice_and_reason(task: Task, algorithm: Algorithm, tier: Tier, why: str) -> None:
    chosen = choose(task, algorithm, Training())
    assert chosen.tier is tier
    assert why in chosen.why
    if tier is not Tier.fused:
        with pytest.raises(Refused, match=r"local.tier=fused: .*Allowed here: auto, stacked, single"):
            choose(task, algorithm, Training(tier=Tier.fused))


def test_what_the_fused_tier_does_not_know_runs_stacked_and_single() -> None:
    task = Classification(Gate())
    rows = rows_for("logistic", 60, 3, 1, torch.float64)
    one, other = (
        train(tier, task, rows, [20, 40], Sharp(), Training(epochs=2)) for tier in (Tier.stacked, Tier.single)
    )
    np.testing.assert_allclose(one, other, rtol=1e-11)


@pytest.mark.parametrize("tier", ["fused", "stacked", "single"])
def test_a_run_says_which_tier_it_used(tier: str) -> None:
    info = rehearse(experiment([*SMALL, f"local.tier={tier}"])).info
    assert info["tier"] == {"is": tier, "why": "asked for"}
    assert rehearse(experiment(SMALL)).info["tier"]["is"] == "fused"


def test_tiers_agree_on_whole_runs() -> None:
    for extra in (["task=hazard"], ["algorithm=scaffold", "net=mlp"]):
        runs = [rehearse(experiment([*SMALL, *extra, f"local.tier={tier}"])) for tier in ("fused", "stacked", "single")]
        for run in runs[1:]:
            np.testing.assert_allclose(run.rounds["loss"], runs[0].rounds["loss"], rtol=1e-5)


def test_divergence_is_seen_by_the_fused_tier() -> None:
    wanted = experiment([*SMALL, "local.lr=1e30", "local.epochs=5", "net=mlp"])
    with pytest.raises(Diverged):
        list(simulate(simulation(wanted, prepare(wanted)), InProcess()))


def test_padding_keeps_what_was_not_drawn_out_of_the_gradient() -> None:
    """A row of another site holds NaN; nobody's model may see it."""
    task = build("logistic", 5, [7], False, 1)
    rows = rows_for("logistic", 50, 5, 1, torch.float64)
    rows.x[30:] = float("nan")
    model = train(Tier.fused, task, rows, [30], Algorithm(), Training(batch=7))
    assert np.isfinite(model).all()


def test_gradients_are_traced_apart_for_every_limit() -> None:
    task = build("logistic", 3, [], False, 1)
    batch = Batch(torch.ones(1, 4, 3).double(), {"label": torch.zeros(1, 4).double()}, torch.ones(1, 4) > 0)
    w = torch.ones(1, 4).double()
    free, bound = (Gradients(task, Algorithm(), clip)(w, batch, example()) for clip in (0.0, 0.1))
    assert float(free.norm()) > 0.1 >= float(bound.norm()) - 1e-12
