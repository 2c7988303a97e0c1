"""Packages that are slow to import, each loaded at first use; help, refusals and configs need none of them.

Modules that are imported for composing a config import them from here, `from sim.lazy import Tensor, pd, torch`, and
begins with `from __future__ import annotations` where annotations name something inside a package, such as
`pd.DataFrame`. All other modules use a plain import. tests/cli/test_startup.py names a file that loads one too early.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["Tensor", "arrow_csv", "arrow_parquet", "numba", "pa", "pd", "torch"]


class Lazy(ModuleType):
    """Proxy of a module, which is imported when an attribute is first used; not registered in `sys.modules`.

    Python's own `importlib.util.LazyLoader` would put a half-loaded module where every package finds it, and is not
    safe between threads before Python 3.12.
    """

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self.__name__), name)  # a thread waits while another one imports it
        setattr(self, name, value)  # so that it costs no more the next time than an attribute of the module
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)


class _Tensor(type):
    """Class of `Tensor`."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, torch.Tensor)


if TYPE_CHECKING:
    import numba
    import pandas as pd
    import pyarrow as pa
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as arrow_parquet
    import torch
    from torch import Tensor
else:
    arrow_csv, arrow_parquet = Lazy("pyarrow.csv"), Lazy("pyarrow.parquet")
    numba, pa, pd, torch = Lazy("numba"), Lazy("pyarrow"), Lazy("pandas"), Lazy("torch")

    class Tensor(metaclass=_Tensor):
        """Stands for `torch.Tensor` in annotations and in `isinstance`."""
