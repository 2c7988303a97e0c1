"""Compiled loops: one decorator for all of them, so that they share flags, a cache on disk and a notice.

Numba compiles a function when it is first called and keeps the machine code beside the source (or under
`NUMBA_CACHE_DIR`), so every later process loads it in milliseconds.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])
# Sums may be regrouped and multiply-adds fused, but NaN and infinity keep their meaning: they tell of divergence.
FAST = {"reassoc", "contract", "arcp", "nsz"}


def exact(function: F) -> F:
    """Compiled as written, without the global interpreter lock."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def fast(function: F) -> F:
    """Compiled with sums regrouped for vector units, without the global interpreter lock."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)(function))
