"""Survival by discrete-time hazards: one logistic regression per time bin, trained by gradients like any classifier.

Gensheimer and Narasimhan, A scalable discrete-time survival model for neural networks, PeerJ 2019; federated use:
Andreux et al., arXiv 2006.08997. All sites have the same bins, and the loss is a mean over rows,
without risk sets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.checks import Refused, within
from sim.cohort.outcomes import Survival
from sim.federation.federation import Federation
from sim.lazy import Tensor, torch
from sim.metrics.survival import harrell_c
from sim.tasks.closed import Loss, closed_form
from sim.tasks.nets import Net
from sim.tasks.task import Constants, OutcomeColumns, Task, TaskSettings

GRID = 512  # cells of the histogram of event times that the sites sum to place the bins


class Hazard(Task):
    """Survival by a module with one logit per time bin, that of the hazard in it.

    edges   float64 [bins + 1], days: bin b is (edges[b], edges[b + 1]]; the last edge is the horizon
    """

    def __init__(self, module: torch.nn.Module, edges: Floats) -> None:
        super().__init__(module)
        self.edges = edges
        self.outputs = len(edges) - 1

    def init(self, seed: int) -> Tensor:
        """As for any task, but the intercepts of the bins start at -2, a hazard of 12 % instead of 50 %; [P]."""
        from sim.tasks.proportional import Proportional

        v = super().init(seed)
        if isinstance(self.module, Proportional):
            self.layout.unpack(v)["baseline.weight"].fill_(-2.0)
        return v

    def targets(self, y: OutcomeColumns) -> dict[str, Tensor]:
        """Per row, [R]: `survived`, bins that were survived, and `failed`, whether the event is in the next one.

        A bin in which a patient is censored counts as survived once its middle is passed.
        """
        time = y["time_days"].astype(np.float64)
        failed = y["event"].astype(bool) & (time <= self.edges[-1])
        middles = (self.edges[1:] + self.edges[:-1]) / 2
        event_bin = np.searchsorted(self.edges, time, side="left") - 1
        survived = np.where(failed, event_bin, np.searchsorted(middles, time, side="right"))
        return {
            "survived": torch.from_numpy(survived.astype(np.float32)),
            "failed": torch.from_numpy(failed.astype(np.float32)),
        }

    @closed_form(Loss.hazard)
    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        """Negative log likelihood of every row; [B, bins] -> [B]."""
        bins = torch.arange(output.shape[1], dtype=output.dtype)
        survived = (bins < y["survived"][:, None]).to(output.dtype)
        died = (bins == y["survived"][:, None]).to(output.dtype) * y["failed"][:, None]
        return (torch.nn.functional.softplus(output) * survived + torch.nn.functional.softplus(-output) * died).sum(1)

    def score(self, output: Tensor) -> Tensor:
        """Risk: cumulative hazard up to the horizon, `-log S`; [N, bins] -> [N]."""
        return torch.nn.functional.softplus(output).sum(1)

    def events(self, y: OutcomeColumns) -> Bools:
        """Whether the event was seen; bool [R]."""
        return y["event"].astype(bool)

    def metrics(self, score: Floats, y: OutcomeColumns, segment: Ints, segments: int) -> dict[str, Floats]:
        """Harrell's C; [G]."""
        time = y["time_days"].astype(np.float64)
        return {"cindex": harrell_c(score, time, self.events(y), segment, segments)}


def bin_edges(time_days: Floats, event: Bools, bins: int, horizon_days: float) -> Floats:
    """Edges with equal numbers of events between them, from counts that sites can sum; [R], [R] -> days [bins + 1].

    Refuses a horizon without events, and more bins than the events fill.
    """
    horizon = horizon_days or float(time_days.max())
    grid = np.linspace(0.0, horizon, GRID + 1)
    counts, _ = np.histogram(time_days[event], grid)
    if not counts.any():
        first = f"; the first is on day {time_days[event].min():g}" if event.any() else ""
        raise Refused(f"task.horizon_days={horizon:g}: no training event by that day{first}. Raise it, or 0 for all.")
    share = np.r_[0.0, np.cumsum(counts)] / max(counts.sum(), 1)
    inner = np.searchsorted(share, np.arange(1, bins) / bins)
    edges: Floats = np.concatenate([[0.0], grid[inner], [horizon]])
    if len(np.unique(edges)) < len(edges):
        raise Refused(
            f"task.bins={bins}: the {counts.sum()} training events before day {horizon:.0f} are too few for this "
            "number of bins; lower task.bins or change task.horizon_days."
        )
    return edges


@dataclass
class HazardSettings(TaskSettings):
    """Predict the time to an event."""

    kind = Survival
    judged_by = ("loss", "cindex")

    bins: int = 10  # >= 1 time bins, placed with equally many training events in each
    horizon_days: float = 0.0  # >= 0; follow-up that is modelled; 0 = the longest in training
    proportional: bool = True  # one score per patient, as in Cox regression; False: one per patient and bin

    def __post_init__(self) -> None:
        within("task.bins", self.bins, 1, 200)
        within("task.horizon_days", self.horizon_days, 0)

    def constants(self, federation: Federation) -> Constants:
        """Edges of the bins in days, placed by the training events."""
        rows, _ = federation.held("train")
        time, event = federation.y["time_days"][rows].astype(np.float64), federation.y["event"][rows].astype(bool)
        return {"edges": bin_edges(time, event, self.bins, self.horizon_days).tolist()}

    def restore(self, net: Net, features: int, levels: tuple[str, ...], constants: Constants) -> Task:
        """Hazards on these bins."""
        from sim.tasks.proportional import Proportional

        edges = np.array(constants["edges"])
        if self.proportional:
            return Hazard(Proportional(net.module(features, 1), self.bins), edges)
        return Hazard(net.module(features, self.bins), edges)
