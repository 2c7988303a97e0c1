"""Early stopping: training ends when the validation loss has not improved for a number of evaluations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.engine.simulation import Round, Saved


@dataclass(frozen=True)
class Patience:
    """The history of the validation loss that early stopping needs."""

    limit: int  # evaluations without a new lowest loss until training ends; 0 = never
    lowest: float = float("inf")
    stale: int = 0  # evaluations since the lowest loss

    def after(self, here: Round) -> "Patience":
        """The history after another round; one that was not evaluated changes nothing."""
        if not here.metrics:
            return self
        if here.loss < self.lowest:
            return Patience(self.limit, here.loss)
        return Patience(self.limit, self.lowest, self.stale + 1)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The history as arrays; `since` reads them back."""
        return {"patience": np.array([self.lowest, self.stale])}

    @classmethod
    def since(cls, limit: int, arrays: Mapping[str, NDArray[Any]]) -> "Patience":
        """As it was saved."""
        return cls(limit, float(arrays["patience"][0]), int(arrays["patience"][1]))

    @property
    def over(self) -> bool:
        """Whether training ends here."""
        return 0 < self.limit <= self.stale


def until_stale(going: Iterator[Round], patience: Patience) -> Iterator[Round]:
    """Rounds of a method with its own loop, up to the one in which patience is exhausted."""
    while not patience.over:
        here = next(going, None)
        if here is None:
            return
        patience = patience.after(here)
        yield with_patience(here, patience)


def with_patience(here: Round, patience: Patience) -> Round:
    """A round whose `saved`, if it has one, includes the remaining patience."""
    save = here.saved
    if save is None:
        return here

    def saved() -> Saved:
        one = save()
        return one._replace(arrays={**one.arrays, **patience.arrays})

    return replace(here, saved=saved)
