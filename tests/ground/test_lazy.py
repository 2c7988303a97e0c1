"""A package that is loaded at its first use is otherwise the package itself."""

import copy
import pickle

import pandas
import torch
from ray import cloudpickle

from sim import lazy


def test_every_name_stands_for_what_it_is_called() -> None:
    assert lazy.pd.DataFrame is pandas.DataFrame
    assert lazy.torch.nn.Linear is torch.nn.Linear
    for name in {*lazy.__all__} - {"Tensor"}:
        assert getattr(lazy, name).__file__


def test_a_change_of_the_package_is_seen(monkeypatch: object) -> None:
    lazy.torch.set_num_threads(torch.get_num_threads())
    before = torch.get_default_dtype()
    lazy.torch.set_default_dtype(torch.float64)
    try:
        assert lazy.torch.zeros(1).dtype == torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(before)


def test_what_travels_is_the_package() -> None:
    assert pickle.loads(pickle.dumps(lazy.torch)) is copy.deepcopy(lazy.torch) is torch
    body = cloudpickle.dumps(lambda: lazy.torch.ones(2))
    assert pickle.loads(body)().tolist() == [1, 1]


def test_tensors_and_nothing_else_are_tensors() -> None:
    assert isinstance(torch.zeros(1), lazy.Tensor)
    assert isinstance(torch.nn.Parameter(torch.zeros(1)), lazy.Tensor | None)
    assert not isinstance(1.0, lazy.Tensor)
