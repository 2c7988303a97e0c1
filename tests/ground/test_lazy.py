"""A package that is loaded at its first use is otherwise the package itself."""

import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas
import pytest
import torch
from ray import cloudpickle

from sim import lazy


def test_every_name_stands_for_what_it_is_called() -> None:
    assert lazy.pd.DataFrame is pandas.DataFrame
    assert lazy.torch.nn.Linear is torch.nn.Linear
    for name in {*lazy.__all__} - {"Tensor"}:
        stand_in = getattr(lazy, name)
        assert stand_in.__file__ == sys.modules[stand_in.__name__].__file__


def test_what_travels_is_the_package() -> None:
    assert pickle.loads(pickle.dumps(lazy.torch)) is copy.deepcopy(lazy.torch) is torch
    body = cloudpickle.dumps(lambda: lazy.torch.ones(2))
    assert pickle.loads(body)().tolist() == [1, 1]


def test_tensors_and_nothing_else_are_tensors() -> None:
    assert isinstance(torch.zeros(1), lazy.Tensor)
    assert isinstance(torch.nn.Parameter(torch.zeros(1)), lazy.Tensor | None)
    assert not isinstance(1.0, lazy.Tensor)


def test_threads_that_ask_first_wait_for_the_whole_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "takes_long.py").write_text("import time; time.sleep(0.3); answer = 42")
    monkeypatch.syspath_prepend(tmp_path)
    package = lazy.Lazy("takes_long")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: package.answer, range(4))) == [42] * 4
    del sys.modules["takes_long"]
