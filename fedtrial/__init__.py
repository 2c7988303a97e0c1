"""fedtrial from Python: compose an experiment, run it, read its records as data frames. See docs/python.md."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fedtrial.place import wrong_sim

if TYPE_CHECKING:
    from sim.api import Experiment, Refused, Run, cohort, experiment, run, sweep

__all__ = ["Experiment", "Refused", "Run", "cohort", "experiment", "run", "sweep"]


def __getattr__(name: str) -> Any:
    """A name of `sim.api`, which is loaded at first use, because the command line needs none of them."""
    if name == "__version__":
        return version("fedtrial")
    if name not in __all__:
        raise AttributeError(f"module 'fedtrial' has no attribute {name!r}; it has {', '.join(__all__)}")
    wrong = wrong_sim()
    if wrong:
        raise ImportError(wrong)
    from sim import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__
