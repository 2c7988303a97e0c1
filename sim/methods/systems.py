"""Who trains when: each round a random set of sites is asked, drawn without replacement, and most of them answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused, within
from sim.random import key, scatter, stream, uniform


@dataclass
class System:
    """The `system` config group."""

    sites: int = 0  # >= 0 sites that are asked in a round; 0 = all
    dropout: float = 0.0  # in [0, 1); chance that a site that was asked in a round does not answer

    def __post_init__(self) -> None:
        within("system.sites", self.sites, 0)
        within("system.dropout", self.dropout, 0, 1, open_high=True)

    def sample(self, total: int, seed: int, round: int) -> NDArray[np.int64]:
        """Numbers of the sites that are asked in this round, ascending; [M]."""
        if self.sites > total:
            raise Refused(f"system.sites={self.sites}: the federation has {total} sites; allowed 0 (all) to {total}.")
        if self.sites in (0, total):
            return np.arange(total)
        return np.sort(stream(seed, "participation", round).choice(total, self.sites, replace=False))

    def answers(self, sites: NDArray[np.uint64], seed: int, round: int) -> NDArray[np.bool_]:
        """Which of the sites, by their keys [M], answer in this round; each has a number of its own, bool [M].

        Who does not has downloaded the model, sends nothing, and keeps what it had from its last answer.
        """
        return uniform(scatter(key(seed, "dropout", round), sites)) >= self.dropout
