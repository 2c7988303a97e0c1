"""The representation of a row is what the last layer is given."""

import pytest
import torch
from torch import nn

from sim.tasks.hazard import Hazard
from sim.tasks.layout import call
from sim.tasks.nets import MLP, Linear
from sim.tasks.proportional import Proportional
from sim.tasks.representation import body, represent
from sim.verify.quadratic import LeastSquares


@pytest.mark.parametrize("bins", [0, 3])
def test_the_last_layer_of_a_representation_is_the_output(bins: int) -> None:
    net = MLP([4, 5]).build(3, 1)
    task = Hazard(Proportional(net, bins), [0.0, 1.0, 2.0, 3.0]) if bins else LeastSquares(net)
    v, x = task.init(1), torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    held = task.layout.unpack(v)
    prefix = "net." if bins else ""
    output = represent(task, v, x) @ held[f"{prefix}4.weight"].T + held[f"{prefix}4.bias"]
    if bins:
        output = output + held["baseline.weight"][:, 0]
    torch.testing.assert_close(output, call(task.module, task.layout, v, x))


@pytest.mark.parametrize(
    "module", [Linear().build(3, 1), MLP([]).build(3, 1), nn.Sequential(nn.Tanh(), nn.Linear(3, 1))]
)
def test_a_linear_network_has_none(module: nn.Module) -> None:
    assert body(module) is None
