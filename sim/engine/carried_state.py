"""State of a chunk's sites if memory is not shared: it arrives with the order, and what is written is returned."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Ints
from sim.engine.messages import Arrays
from sim.engine.site_state import SiteState


@dataclass(frozen=True)
class CarriedState(SiteState):
    """State of the sites of one order, each [C, n] in their order, instead of that of all sites."""

    written: Arrays = field(default_factory=dict)  # what is sent back

    @classmethod
    def of(cls, kept: Arrays) -> "CarriedState":
        """The state that came with an order."""
        return cls(kept, np.zeros(0, np.int8))

    def read(self, sites: Ints, current: NDArray[np.int8] | None = None, names: Sequence[str] | None = None) -> Arrays:
        """Copies of the state that arrived; `sites` are those that it belongs to."""
        return {name: self.arrays[name].copy() for name in (self.arrays if names is None else names)}

    def write(self, sites: Ints, current: NDArray[np.int8], state: Arrays) -> None:
        """Collect what is sent back."""
        self.written.update(state)
