"""Networks of the user's own: their start is kept, and what cannot be trained here is refused in words."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sim.checks import Refused
from sim.engine.clusters import IFCA
from sim.engine.executors import InProcess, crew
from sim.engine.rounds import simulate
from sim.engine.simulation import Evaluation, Simulation
from sim.federation.federation import Federation, from_arrays
from sim.local.settings import Tier, Training
from sim.methods.roles import Roles
from sim.tasks.classify import Classification
from sim.tasks.cox import without_intercept
from sim.tasks.hazard import Hazard
from sim.tasks.layout import call
from sim.tasks.nets import MLP, Linear
from sim.tasks.proportional import Proportional
from sim.tasks.task import Task

FEATURES = 6


@pytest.fixture(autouse=True)
def same_modules() -> None:
    """Modules of these tests have values that torch draws."""
    torch.manual_seed(0)


def federation(dtype: type = np.float32) -> Federation:
    """Three sites of unequal size."""
    rng, held = np.random.default_rng(0), {}
    for site, rows in (("a", 30), ("b", 45), ("c", 17)):
        x = rng.normal(size=(rows, FEATURES)).astype(dtype)
        held[site] = (x, {"label": x[:, 0] + 0.3 * rng.normal(size=rows) > 0})
    return from_arrays(held)


def plan(task: Task, tier: Tier = Tier.auto, dtype: type = np.float32, **local: float) -> Simulation:
    training = Training(lr=0.2, batch=8, tier=tier, **local)
    return Simulation(federation(dtype), task, Roles(), training, Evaluation(), rounds=3, seed=0)


def trained(task: Task, tier: Tier = Tier.auto, dtype: type = np.float32) -> Tensor:
    *_, last = simulate(plan(task, tier, dtype), InProcess())
    return last.model


def around(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 8), *layers, nn.Linear(8, 1))


class Branches(nn.Module):
    """Control flow that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = self.layer(x)
        return z if z.sum() > 0 else 2 * z


class Noise(nn.Module):
    """Random numbers without a module that says so."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1e-9 * torch.randn_like(x)


class MinusMean(nn.Module):
    """Mixes rows under a name of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class RunsSum(nn.Module):
    """Depends on how many rows there are, and on those before."""

    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(0).flip(0)


class Flat(nn.Module):
    """Drops the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0]


class Widens(nn.Module):
    """Leaves the precision of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x.double()


class Whole(nn.Module):
    """An integer parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.shift = nn.Linear(FEATURES, 1), nn.Parameter(torch.ones(1, dtype=torch.int64), False)


class Complex(nn.Module):
    """A complex parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(FEATURES, 1, dtype=torch.complex64))


REFUSED = {
    "dropout": (lambda: around(nn.Dropout(0.5)), "Dropout.*p=0.*weight_decay"),
    "rare dropout": (lambda: around(nn.Dropout(1e-9)), "Dropout"),
    "dropout of all": (lambda: around(nn.Dropout(1.0)), "Dropout"),
    "alpha dropout": (lambda: around(nn.AlphaDropout(0.1)), "AlphaDropout"),
    "randomised relu": (lambda: around(nn.RReLU()), "draws random numbers"),
    "noise": (lambda: around(Noise()), "draws random numbers"),
    "batch norm with buffers": (lambda: around(nn.BatchNorm1d(8)), "buffers.*LayerNorm"),
    "batch norm": (lambda: around(nn.BatchNorm1d(8, track_running_stats=False)), "mixes rows.*BatchNorm1d.*LayerNorm"),
    "centres a batch": (lambda: around(MinusMean()), "mixes rows"),
    "sums over rows": (lambda: around(RunsSum()), "mixes rows"),
    "branches": (Branches, "several sites at a time.*torch.where"),
    "two outputs": (lambda: nn.Linear(FEATURES, 2), r"gives \[8, 2\].*needs \[8, 1\]"),
    "no output axis": (lambda: around(Flat()).append(Flat()), r"gives \[8\]|does not take"),
    "other inputs": (lambda: nn.Linear(FEATURES + 1, 1), "does not take rows of 6 features.*6 inputs"),
    "output in double": (lambda: around().append(Widens()), "float64 for features in torch.float32"),
    "integers": (Whole, "int64: parameters must be real"),
    "complex": (Complex, "complex64: parameters must be real"),
    "lazy": (lambda: nn.LazyLinear(1), "no shape yet"),
    "all frozen": (lambda: around().requires_grad_(False), "no parameter to train"),
    "frozen without values": (lambda: nn.Linear(6, 1, device="meta").requires_grad_(False), "frozen.*no values"),
    "nothing to draw with": (lambda: nn.Sequential(nn.Linear(6, 8), Bare(), nn.Linear(8, 1)), "no reset_parameters"),
}


class Bare(nn.Module):
    """A parameter without values and without a law."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8, device="meta"))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trained_is_refused_before_training(case: str) -> None:
    make, words = REFUSED[case]
    with pytest.raises(Refused, match=words):
        _ = plan(Classification(make())).choice


@pytest.mark.parametrize(
    "layer",
    [
        nn.Dropout(0.0),
        nn.LayerNorm(8),
        nn.Sequential(nn.Unflatten(1, (2, 4)), nn.GroupNorm(2, 2), nn.Flatten()),
        nn.Sequential(nn.Unflatten(1, (4, 2)), nn.Conv1d(4, 8, 2), nn.GELU(), nn.Flatten()),
    ],
    ids=["dropout 0", "layer norm", "group norm", "convolution"],
)
def test_modules_that_treat_rows_alone_are_trained(layer: nn.Module) -> None:
    for dtype in (np.float32, np.float64):
        assert torch.isfinite(trained(Classification(around(layer)), dtype=dtype)).all()


def test_a_module_with_values_starts_from_them() -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        module = around(nn.LayerNorm(8), nn.Tanh()).to(dtype)
        task = Classification(module)
        for seed in (0, 1):
            found = task.layout.unpack(task.init(seed))
            for name, parameter in module.named_parameters():
                assert torch.equal(found[name], parameter.detach().double()), name


def test_the_module_itself_is_left_alone() -> None:
    module = around(nn.Tanh())
    before = [part.detach().clone() for part in module.parameters()]
    trained(Classification(module))
    assert module.training
    assert all(part.requires_grad for part in module.parameters())
    assert all(torch.equal(one, part) for one, part in zip(before, module.parameters(), strict=True))


def test_layers_without_values_are_drawn_by_their_own_law() -> None:
    with torch.device("meta"):
        module = nn.Sequential(
            nn.Unflatten(1, (3, 2)), nn.Conv1d(3, 16, 2), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 1)
        )
    task = Classification(module)
    one, again, other = (task.layout.unpack(task.init(seed)) for seed in (3, 3, 4))
    assert torch.equal(one["3.weight"], torch.ones(16, dtype=torch.float64))
    assert not one["3.bias"].any()
    assert 0.9 * 6**-0.5 < one["1.weight"].abs().max() <= 6**-0.5  # fan-in 3 channels times 2
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["1.weight"], other["1.weight"])
    torch.manual_seed(99)
    assert torch.equal(task.layout.unpack(task.init(3))["1.weight"], one["1.weight"])


class Convolution(Linear):
    """A network of the config group whose module brings values drawn from torch's own generator."""

    def build(self, features: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Linear(features, 4), nn.GELU(), nn.Linear(4, outputs))


def test_values_that_build_draws_are_the_same_in_every_process() -> None:
    starts = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        starts.append(Classification(Convolution().module(FEATURES, 1)).init(0))
        assert torch.initial_seed() == seed
    assert torch.equal(*starts)


def test_a_hazard_over_a_module_with_values_draws_its_baseline_alone() -> None:
    net = around(nn.Tanh())
    task = Hazard(Proportional(net, 4), np.arange(5.0))
    found = task.layout.unpack(task.init(0))
    assert torch.equal(found["baseline.weight"], torch.full((4, 1), -2.0, dtype=torch.float64))
    assert all(torch.equal(found[f"net.{name}"], part.detach().double()) for name, part in net.named_parameters())


def test_cox_leaves_the_module_that_it_was_given() -> None:
    net = around(nn.Tanh())
    assert without_intercept(net)[-1].bias is None
    assert net[-1].bias is not None


def test_frozen_parameters_stay_and_do_not_travel() -> None:
    module = around(nn.Tanh())
    module[0].requires_grad_(False)
    task = Classification(module)
    assert task.layout.names == ("2.weight", "2.bias")
    assert plan(task).choice.tier is Tier.stacked
    assert "frozen" in plan(task).choice.why
    x = torch.from_numpy(federation().x)
    body = torch.tanh(module[0](x)).detach()
    head = trained(task)
    found = torch.sigmoid(body @ head[:8] + head[8])
    torch.testing.assert_close(task.predict(head, x), found)
    twin = trained(task, dtype=np.float64)
    torch.testing.assert_close(twin.float(), head, rtol=1e-4, atol=1e-5)


def test_a_hook_keeps_a_dense_network_out_of_compiled_loops() -> None:
    hooked, plain = around(nn.Tanh()), around(nn.Tanh())
    hooked[0].register_forward_hook(lambda layer, given, output: 2 * output)
    replaced = around(nn.Tanh())
    replaced[1].forward = torch.sigmoid
    for module in (hooked, replaced):
        choice = plan(Classification(module)).choice
        assert choice.tier is Tier.stacked
        assert "hooks or a forward of its own" in choice.why
    assert plan(Classification(plain)).choice.tier is Tier.fused


class Tied(nn.Module):
    """One weight under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 1)
        self.other.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.other(torch.tanh(self.one(x)))))


def test_a_tied_weight_is_one_parameter_and_stays_tied() -> None:
    task = Classification(Tied())
    assert task.layout.size == 36 + 6 + 6 + 7
    v = trained(task)
    given, x = task.layout.unpack(v), torch.from_numpy(federation().x)
    inside = torch.tanh(x @ given["one.weight"].T + given["one.bias"])
    z = torch.tanh(inside @ given["one.weight"].T + given["other.bias"])
    torch.testing.assert_close(call(task.module, task.layout, v, x), z @ given["out.weight"].T + given["out.bias"])


def test_clusters_that_would_start_alike_are_refused() -> None:
    made = plan(Classification(around(nn.Tanh())))
    with (
        crew(InProcess(), made.job) as opened,
        pytest.raises(Refused, match=r"clusters=2.*has initial values of its own"),
    ):
        next(iter(IFCA(clusters=2).rounds(made, opened)))


def test_networks_of_the_config_have_no_values_of_their_own() -> None:
    for net in (Linear(), MLP(hidden=[4])):
        assert not Classification(net.module(FEATURES, 1)).brings_start
