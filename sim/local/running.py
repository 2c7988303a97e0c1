"""Running statistics of batch norm layers in local steps: they follow the batches, independent of the optimiser."""

from __future__ import annotations

from dataclasses import dataclass

from sim.lazy import Tensor, torch
from sim.tasks.layout import Layout


@dataclass(frozen=True)
class Running:
    """The running statistics of a network, in a vector [P]."""

    marks: Tensor  # bool [P]

    @classmethod
    def of(cls, layout: Layout) -> Running | None:
        """Those of a network; None where it has no batch norm."""
        return cls(layout.statistics) if layout.norms else None

    def followed(self, w: Tensor, g: Tensor, moves: Tensor | None) -> Tensor:
        """Statistics after a step from models w, where g is the training loss's gradient; [C, P], [C, P] -> [C, Q].

        Those that a phase fixes (`moves` bool [P]) are unchanged.
        """
        from sim.tasks.normed import MOMENTUM

        before = w[:, self.marks]
        after = before - MOMENTUM * g[:, self.marks]
        return after if moves is None else torch.where(moves[self.marks], after, before)
