"""What every process of a run must know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused
from sim.engine.site_state import SiteState
from sim.federation.federation import Federation
from sim.lazy import Tensor
from sim.local import optimisers
from sim.local.settings import Training
from sim.local.tier import Choice
from sim.memory import machine_bytes
from sim.methods.roles import Roles
from sim.tasks.task import Task


@dataclass(frozen=True)
class Job:
    """What every process of a run must know."""

    federation: Federation
    task: Task
    roles: Roles
    training: Training
    choice: Choice
    private: Tensor  # bool [P]
    splits: tuple[str, ...]
    seed: int
    codes: NDArray[np.int8] | None = None  # [R] group of every row where the algorithm knows of groups

    @property
    def keeps(self) -> dict[str, int]:
        """Numbers that each site keeps, by name."""
        size = len(self.private)
        return self.roles.site_state(size, int((~self.private).sum())) | optimisers.site_state(self.training, size)

    @property
    def state_bytes(self) -> int:
        """Size of the sites' state."""
        return 2 * sum(self.keeps.values()) * len(self.federation.sites) * self.federation.x.itemsize

    @property
    def shared_bytes(self) -> int:
        """Size of the features and of the sites' state."""
        return self.state_bytes + self.federation.x.nbytes

    def refuse_too_large(self) -> None:
        """Refuse state of the sites that this machine's memory cannot hold, with the arithmetic."""
        room = machine_bytes()
        if self.state_bytes > room:
            kept = ", ".join(f"{name} {size:,}" for name, size in self.keeps.items() if size > 1)
            itemsize, sites = self.federation.x.itemsize, len(self.federation.sites)
            raise Refused(
                f"Sites would keep {self.state_bytes / 2**30:,.1f} GiB ({sites:,} sites, 2 rows of {kept} numbers, "
                f"{itemsize} bytes a number); the machine has {room / 2**30:,.1f}. Use a smaller network, fewer sites "
                "or roles that keep less (aggregator=mean, uplink=[], personal=none)."
            )

    def memory(self, folder: Path | None) -> SiteState:
        """State of the sites; in files of `folder` if other processes need access."""
        return SiteState.zeros(self.keeps, len(self.federation.sites), self.federation.x.dtype, folder)
