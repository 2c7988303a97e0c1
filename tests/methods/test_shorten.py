"""Shortening: a vector as long as the bound stays as it is, and no length overflows."""

import pytest
import torch

from sim.local.stacked import clipped
from sim.methods.shorten import row_lengths
from sim.methods.uplink.clip import shortened
from sim.random import stream
from sim.tasks.task import Batch


def rows(dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(stream(0, "rows").normal(size=(2000, 30))).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_vector_as_long_as_the_bound_keeps_every_bit(dtype: torch.dtype) -> None:
    u = rows(dtype)
    for one, norm in zip(u, row_lengths(u), strict=True):
        assert torch.equal(shortened(one[None], norm[None], float(norm))[0], one)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_vector_is_longer_than_the_bound_afterwards(dtype: torch.dtype) -> None:
    u = torch.cat([rows(dtype), 1e30 * rows(dtype)[:5], torch.zeros(1, 30, dtype=dtype)])
    found = row_lengths(shortened(u, row_lengths(u), 2.0))
    assert float(found.max()) <= 2.0 * (1 + 4 * torch.finfo(dtype).eps)
    assert float(found[:-1].min()) > 1.9  # 1e30 is shortened, and not to nothing because its square overflows
    assert found[-1] == 0


def test_the_gradient_of_a_row_as_long_as_the_limit_keeps_every_bit() -> None:
    def loss(v: torch.Tensor, batch: Batch) -> torch.Tensor:
        return (batch.x @ v).sum()

    for x in rows(torch.float32)[:500]:
        gradient = clipped(loss, float(x.norm()))(torch.zeros(30), Batch(x[None], {}, torch.ones(1)))
        assert torch.equal(gradient, x)
