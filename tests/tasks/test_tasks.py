"""Tasks: the loss is the likelihood, any network will do, and bins are placed by counts."""

import numpy as np
import pytest
import torch
from torch import nn

from sim.checks import Refused
from sim.engine.executors import InProcess
from sim.engine.rounds import simulate
from sim.engine.simulation import Evaluation, Simulation
from sim.federation.federation import from_arrays
from sim.local.settings import Training
from sim.methods.roles import Roles
from sim.random import stream
from sim.tasks.classify import Classification
from sim.tasks.hazard import Hazard, bin_edges
from sim.tasks.nets import MLP, Linear
from sim.tasks.proportional import Proportional


def test_hazard_loss_is_the_person_period_likelihood() -> None:
    """Gensheimer and Narasimhan 2019, section 2: (1 - h) for bins survived, h where the event fell."""
    edges = np.array([0.0, 10.0, 20.0, 30.0])
    task = Hazard(nn.Linear(2, 3), edges)
    # event in bin 0; event at the last day of bin 1; censored past the middle of bin 1; censored early in bin 2;
    # event after the horizon
    y = {"time_days": np.array([4.0, 20.0, 16.0, 21.0, 99.0]), "event": np.array([True, True, False, False, True])}
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    h = torch.sigmoid(logits)
    s = 1 - h
    likelihood = torch.stack(
        [h[0, 0], s[1, 0] * h[1, 1], s[2, 0] * s[2, 1], s[3, 0] * s[3, 1], s[4, 0] * s[4, 1] * s[4, 2]]
    )
    torch.testing.assert_close(task.row_loss(logits, task.targets(y)), -likelihood.log())
    torch.testing.assert_close(task.score(logits), -s.prod(1).log())


def test_bins_hold_equally_many_events() -> None:
    rng = np.random.default_rng(0)
    time, event = rng.exponential(300, 5000), rng.random(5000) < 0.6
    edges = bin_edges(time, event, 8, 0.0)
    counts, _ = np.histogram(time[event], edges)
    assert counts.sum() == event.sum() or time[event].max() > edges[-1]
    assert abs(counts / event.sum() - 1 / 8).max() < 0.05  # a histogram of 512 cells places them


def test_too_many_bins_are_refused() -> None:
    with pytest.raises(Refused, match=r"task\.bins=20.*lower task\.bins"):
        bin_edges(np.array([5.0, 6.0, 7.0]), np.array([True, True, False]), 20, 0.0)


def test_start_is_torch_s_own_law_and_keyed() -> None:
    task = Classification(MLP(hidden=[64]).build(16, 1))
    one, again, other = task.init(3), task.init(3), task.init(4)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    named = task.layout.unpack(one)
    for name, bound in (("0.weight", 16**-0.5), ("0.bias", 16**-0.5), ("2.weight", 64**-0.5), ("2.bias", 64**-0.5)):
        assert named[name].abs().max() <= bound
        assert named[name].abs().max() > bound / 4
    rng = stream(3, "init")
    drawn = [rng.uniform(-(fan**-0.5), fan**-0.5, shape) for fan, shape in ((16, 1024), (16, 64), (64, 64), (64, 1))]
    np.testing.assert_array_equal(one.numpy(), np.concatenate(drawn))  # in the order of the layout


def test_convex_means_no_hidden_layer() -> None:
    assert Classification(Linear().build(3, 1)).convex
    assert Hazard(Proportional(Linear().build(3, 1), 4), np.arange(5.0)).convex
    assert not Classification(MLP(hidden=[2]).build(3, 1)).convex


def test_a_module_of_the_user_s_own_trains() -> None:
    """A residual network learns what no linear model can: the sign of a product."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.out = nn.Linear(2, 16), nn.Linear(18, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(torch.cat([x, torch.tanh(self.inside(x))], 1))

    rng = np.random.default_rng(0)
    held = {}
    for site in "abc":
        x = rng.normal(size=(200, 2)).astype(np.float32)
        held[site] = (x, {"label": x[:, 0] * x[:, 1] > 0})
    federation, task = from_arrays(held), Classification(Residual())
    training = Training(lr=0.5, batch=20, epochs=2)
    plan = Simulation(federation, task, Roles(), training, Evaluation(), rounds=60, seed=0)
    *_, last = simulate(plan, InProcess())
    score = task.predict(last.model, torch.from_numpy(federation.x)).numpy()
    assert ((score > 0.5) == federation.y["label"]).mean() > 0.9


def test_modules_with_buffers_are_refused() -> None:
    with pytest.raises(ValueError, match="buffers"):
        Classification(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)))


def test_a_horizon_before_the_first_event_is_refused() -> None:
    for bins in (1, 5):
        with pytest.raises(Refused, match=r"task\.horizon_days=2.*first is on day 5"):
            bin_edges(np.array([5.0, 6.0, 7.0]), np.array([True, True, False]), bins, 2.0)
