"""Sums of uploads and their lengths, where an upload is no number or beyond a square root of all numbers."""

import numpy as np
import torch

from sim.methods.sums import lengths, summed, weighted


def test_an_upload_of_weight_zero_is_left_out_whatever_it_is() -> None:
    sent = torch.tensor([[1.0, 2.0], [float("nan"), float("inf")], [3.0, 5.0]])
    assert summed(sent, torch.tensor([0.25, 0.0, 0.5])).tolist() == [1.75, 3.0]
    assert weighted(np.array([1.0, 0.0, 2.0]), sent[:, 0]).tolist() == 7.0
    assert torch.isnan(summed(sent, torch.ones(3))[0])


def test_lengths_are_taken_in_double_precision_over_all_vectors() -> None:
    one, other = torch.tensor([[3e30, 0.0], [3.0, 0.0], [1.0, 1.0]]), torch.tensor([[4e30], [4.0], [float("nan")]])
    found = lengths([one, other])
    assert found[:2].tolist() == [float(torch.tensor([3e30, 4e30]).double().norm()), 5.0]
    assert found[2] == torch.inf
    assert lengths([one, other], [one[1], other[1]])[1] == 0
