"""Batch norms against torch's, with the rows of padding, small batches and other optimisers of this engine."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sim.local.settings import Optimizer, Training
from sim.methods.personal.fedbn import FedBN
from sim.methods.roles import Roles
from sim.tasks.classify import Classification
from sim.tasks.nets import MLPBN, Activation
from sim.tasks.normed import BatchNorm
from sim.tasks.probe import probe
from sim.tasks.task import Batch, Task
from sim.tasks.training import training_loss
from sim.verify.personal_norms import NAMES, Torch, marks, normed_trial
from sim.verify.trial import gap
from tests.refusals import refused

D = 4


def task() -> Task:
    return Classification(MLPBN([3], Activation.tanh).module(D, 1))


def batch(rows: int, padding: int = 0) -> Batch:
    g = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, D, generator=g, dtype=torch.float64)
    place = torch.cat([torch.arange(rows), torch.zeros(padding, dtype=torch.long)])
    label = (x[:, 0] > 0).double()
    return Batch(x[place], {"label": label[place]}, torch.arange(rows + padding) < rows)


def in_torch(task: Task, v: torch.Tensor) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(D, 3, bias=False), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 1)).double()
    net.load_state_dict({**net.state_dict(), **task.layout.unpack(v)})
    return net


def start(task: Task) -> torch.Tensor:
    return task.init(0) + 0.1 * torch.rand(task.layout.size, generator=torch.Generator().manual_seed(1)).double()


def test_the_start_is_the_identity_for_standard_rows() -> None:
    made = task()
    found = made.layout.unpack(made.init(0))
    for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        assert found[f"1.{name}"].eq(value).all()
    assert made.layout.norms == ["1"]
    assert made.layout.statistics.nonzero().ravel().tolist() == list(range(3 * D + 6, 3 * D + 12))


@pytest.mark.parametrize("padding", [0, 5])
def test_loss_gradient_and_statistics_are_torchs_whatever_is_padded(padding: int) -> None:
    made, rows = task(), batch(9)
    v = start(made)
    g = torch.func.grad(training_loss, argnums=1)(made, v, batch(9, padding))
    net = in_torch(made, v).train()
    loss = nn.functional.binary_cross_entropy_with_logits(net(rows.x)[:, 0], rows.y["label"])
    loss.backward()
    assert float(training_loss(made, v, batch(9, padding)).detach()) == pytest.approx(float(loss.detach()), abs=1e-14)
    after = made.layout.unpack(v - 0.1 * g)
    for name, part in net.named_parameters():
        torch.testing.assert_close(made.layout.unpack(g)[name], part.grad, rtol=0, atol=1e-14)
    for name in ("1.running_mean", "1.running_var"):
        torch.testing.assert_close(after[name], net.state_dict()[name], rtol=0, atol=1e-14)
    torch.testing.assert_close(made.predict(v, rows.x), net_in_use(made, v, rows.x), rtol=0, atol=1e-14)


def net_in_use(task: Task, v: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.sigmoid(in_torch(task, v).eval()(x)[:, 0])


@pytest.mark.parametrize("padding", [0, 3])
def test_one_row_is_normalised_as_in_use_and_tells_nothing_of_the_statistics(padding: int) -> None:
    """torch refuses such a batch; a site's last one may well be of one row."""
    made, rows = task(), batch(1, padding)
    v = start(made)
    g = torch.func.grad(training_loss, argnums=1)(made, v, rows)
    assert g[made.layout.statistics].eq(0).all()
    assert g.isfinite().all()
    torch.testing.assert_close(training_loss(made, v, rows), made.loss(v, rows), rtol=0, atol=0)


def test_statistics_follow_the_batches_under_adam_too() -> None:
    """To the rounding that Adam blows up in a bias whose gradient is zero."""
    trial = replace(normed_trial(sites=0), rounds=1)
    trial = replace(trial, training=Training(lr=0.05, batch=0, optimizer=Optimizer.adam))
    own = trial.own(Roles(personal=FedBN()))
    for site, steps in enumerate(trial.steps):
        copy = Torch(trial, site)
        copy.descent = lambda training, lr, of=copy: torch.optim.Adam(of.net.parameters(), lr, eps=training.eps)
        assert gap(own[site], copy.trained(trial.start, steps, 0.05, trial.training)) < 1e-8


def test_a_network_of_the_users_own_may_have_them() -> None:
    made = Classification(nn.Sequential(nn.Linear(D, 5), BatchNorm(5), nn.ReLU(), BatchNorm(5), nn.Linear(5, 1)))
    probe(made, D, torch.float32)
    assert made.layout.norms == ["1", "3"]
    assert set(NAMES[2:6]) < set(made.layout.names)
    assert np.count_nonzero(marks(NAMES)) == 23


TRAVEL = "running statistics of batch norm layers are sent"
REFUSED = {
    "no batch norm": (["personal=fedbn"], ["personal=fedbn", "no batch norm", "net=mlpbn"]),
    "a step of its own": (["net=mlpbn", "algorithm=fedsam"], ["algorithm=fedsam", "fedprox", "net=mlp"]),
    "an objective of its own": (["net=mlpbn", "personal=fedbn", "algorithm=moon"], ["algorithm=moon"]),
    "clipped rows": (["net=mlpbn", "local.clip=1"], ["Set local.clip=0"]),
    "coded statistics": (["net=mlpbn", "uplink=[topk]"], [TRAVEL, "uplink", "personal=fedbn"]),
    "variates of statistics": (["net=mlpbn", "algorithm=scaffold"], [TRAVEL, "algorithm=scaffold"]),
    "of affine alone": (["net=mlpbn", "personal=fedbn", "personal.keeps=affine", "server=adam"], [TRAVEL, "adam"]),
    "longer steps": (["net=mlpbn", "server.lr=2"], [TRAVEL, "server.lr=2"]),
    "lies": (["net=mlpbn", "attack=signflip"], [TRAVEL, "attack=signflip"]),
    "late uploads": (["net=mlpbn", "system=buffered"], [TRAVEL, "system=buffered"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_batch_norm_cannot_be_trained_by_is_refused(case: str) -> None:
    words, says = REFUSED[case]
    refused(*words, says=says)
