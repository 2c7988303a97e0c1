"""Who trains when: each round a random set of sites, drawn without replacement."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused, within
from sim.random import stream


@dataclass
class System:
    """The `system` config group."""

    sites: int = 0  # >= 0 sites that train in a round; 0 = all

    def __post_init__(self) -> None:
        within("system.sites", self.sites, 0)

    def sample(self, total: int, seed: int, round: int) -> NDArray[np.int64]:
        """Numbers of the sites that train in this round, ascending; [M]."""
        if self.sites > total:
            raise Refused(f"system.sites={self.sites}: the federation has {total} sites; allowed 0 (all) to {total}.")
        if self.sites in (0, total):
            return np.arange(total)
        return np.sort(stream(seed, "participation", round).choice(total, self.sites, replace=False))
