"""The compiled losses are the tasks' own, at every size of a site and for every loss."""

import numpy as np
import pytest
import torch

from sim.local.fused import Fused
from sim.local.losses import losses
from sim.local.settings import Tier, Training
from sim.local.tier import choose, trainer
from sim.methods.algorithms import FedAvg
from tests.local.tiers import TASKS, build, rows_for


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("hidden", [[], [9]])
@pytest.mark.parametrize("kind", TASKS)
def test_compiled_losses_are_the_task_s(kind: str, hidden: list[int], dtype: torch.dtype) -> None:
    size = np.array([1, 130, 64, 7])
    task = build(kind, 5, hidden, False, 3)
    rows = rows_for(kind, int(size.sum()), 5, 3, dtype)
    training, start = Training(tier=Tier.fused), np.cumsum(size) - size
    made = trainer(choose(task, FedAvg(), training), task, FedAvg(), training, rows, seed=0)
    assert isinstance(made, Fused)
    models = 3 * torch.stack([task.init(seed) for seed in range(len(size))]).to(dtype)
    torch.testing.assert_close(made.losses(models, start, size), losses(task, rows, models, start, size))


def test_large_outputs_do_not_overflow() -> None:
    task = build("logistic", 5, [], False, 1)
    rows = rows_for("logistic", 20, 5, 1, torch.float32)
    training, one = Training(tier=Tier.fused), np.array([20])
    made = trainer(choose(task, FedAvg(), training), task, FedAvg(), training, rows, seed=0)
    assert isinstance(made, Fused)
    assert torch.isfinite(made.losses(torch.full((1, 6), 1e4), np.array([0]), one)).all()
