"""SplitMix64 inside compiled loops; a module apart, so that drawing with numpy alone (`sim.random`) loads no numba."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from sim.jit import exact
from sim.random import mix

mixed: Callable[[np.uint64], np.uint64] = exact(cast(Any, mix))  # `mix` of a single word
