"""Cox regression stratified by site: a baseline hazard for every site, one vector of effects for all.

Cox, JRSS B 1972; ties by Breslow, or by Efron, JASA 1977. Risk sets never cross sites, so a federation computes this
exactly without sending event times: each site sends the gradient of its own partial likelihood. The likelihood is not a
sum over rows, so a site trains on all of its rows at each local step (`local.batch=0`), unless `risk_sets=batch`.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from enum import Enum

import numpy as np

from sim.arrays import Bools, Floats, Ints
from sim.cohort.outcomes import Survival
from sim.lazy import Tensor, torch
from sim.metrics.partial import partial_loss
from sim.metrics.survival import harrell_c
from sim.tasks.layout import call
from sim.tasks.nets import Net
from sim.tasks.task import Batch, Constants, OutcomeColumns, Task, TaskSettings


class Ties(Enum):
    """Approximation of the partial likelihood for events on the same day."""

    efron = "efron"  # events come one after another, averaged over their orders
    breslow = "breslow"  # all of them are at risk at each of the events


class RiskSets(Enum):
    """The patients with whom the patient of an event is compared in a local step.

    With `batch` a step takes a mini-batch and its own partial likelihood, as FLamby (Ogier du Terrail et al., NeurIPS
    2022 Datasets and Benchmarks) trains on TCGA-BRCA. Its expectation is not the site's likelihood, because the
    logarithm over a smaller risk set differs, so training converges near the stratified model and not to it; the
    smaller the batches, the farther. A batch without an event has no gradient. Neither is the pooled Cox model, whose
    risk sets cross sites. Reported losses, and everything that an algorithm computes for a whole site, use the site's
    risk sets.
    """

    site = "site"  # all of the site's training rows that are at risk then; needs local.batch=0
    batch = "batch"  # those of them that are in the mini-batch


class Cox(Task):
    """Cox regression by a module with one output per patient, the log hazard ratio."""

    outputs = 1
    ratio = "hazard"
    whole_sites = True

    def __init__(self, module: torch.nn.Module, ties: Ties, risk_sets: RiskSets = RiskSets.site) -> None:
        super().__init__(module)
        self.ties = ties
        self.batched = risk_sets is RiskSets.batch

    def targets(self, y: OutcomeColumns) -> dict[str, Tensor]:
        """Days, and whether the event happened then; each [R].

        Single precision keeps days and hours apart over a century, as ties require.
        """
        return {
            "time_days": torch.from_numpy(y["time_days"].astype(np.float32)),
            "event": torch.from_numpy(y["event"].astype(np.float32)),
        }

    def loss(self, v: Tensor, batch: Batch) -> Tensor:
        """Negative log partial likelihood of the rows of one site, or of a batch, divided by them; [P] -> scalar."""
        log_risk = call(self.module, self.layout, v, batch.x)[:, 0]
        events = partial_terms(log_risk, batch.y["time_days"], batch.y["event"], batch.valid, self.ties is Ties.efron)
        return events.sum() / batch.valid.sum().clamp_min(1)

    def score(self, output: Tensor) -> Tensor:
        """Log hazard ratio; [N, 1] -> [N]."""
        return output[:, 0]

    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        """NaN: a single row has no partial likelihood, see `segment_loss`; [N, 1] -> [N]."""
        return torch.full_like(output[:, 0], torch.nan)

    def segment_loss(self, score: Floats, row_loss: Floats, y: OutcomeColumns, segment: Ints, segments: int) -> Floats:
        """Negative log partial likelihood within each segment, divided by its rows; [N], [N] -> [G]."""
        time = y["time_days"].astype(np.float32).astype(np.float64)  # with the same ties as `targets`
        return partial_loss(score, time, self.events(y), segment, segments, self.ties is Ties.efron)

    def events(self, y: OutcomeColumns) -> Bools:
        """Whether the event was seen; bool [R]."""
        return y["event"].astype(bool)

    def informative(self, y: OutcomeColumns) -> Bools:
        """Events: a site without events has a loss of 0 under every model; bool [R]."""
        return self.events(y)

    def metrics(self, score: Floats, y: OutcomeColumns, segment: Ints, segments: int) -> dict[str, Floats]:
        """Harrell's C; [G]."""
        time = y["time_days"].astype(np.float64)
        return {"cindex": harrell_c(score, time, self.events(y), segment, segments)}


def partial_terms(log_risk: Tensor, time: Tensor, event: Tensor, valid: Tensor, efron: bool) -> Tensor:
    """Term of each event in the negative log partial likelihood, latest first; 0 for other rows; each [B] -> [B].

    Rows that are not valid get time -inf and risk 0, so their contents do not matter.
    """
    time = torch.where(valid, time, torch.full_like(time, -torch.inf))
    time, order = torch.sort(time, descending=True)
    died = (event * valid)[order] > 0
    log_risk = torch.where(valid, log_risk, torch.full_like(log_risk, -torch.inf))[order]
    first, last = tied_runs(time)
    at_risk = torch.logcumsumexp(log_risk, 0)[last]  # log of the summed risk of all who exit then or later
    none = torch.zeros_like(log_risk)
    added = at_risk
    if efron:
        dying = torch.where(died, (log_risk - at_risk).exp(), none)  # share of the summed risk
        dying = none.scatter_add(0, last, dying)[last]
        seen = died.to(log_risk.dtype).cumsum(0)
        before = seen - died.to(log_risk.dtype)
        deaths, earlier = seen[last] - before[first], before - before[first]
        added = added + torch.log1p(-dying * earlier / deaths.clamp_min(1))
    return torch.where(died, added - torch.where(died, log_risk, none), none)


def tied_runs(time: Tensor) -> tuple[Tensor, Tensor]:
    """First and last index of the run of equal times around every index; sorted [B] -> [B], [B]."""
    place, edge = torch.arange(len(time)), torch.ones(1, dtype=torch.bool)
    changes = time[1:] != time[:-1]
    first = torch.where(torch.cat([edge, changes]), place, 0).cummax(0).values
    last = torch.where(torch.cat([changes, edge]), place, len(time)).flip(0).cummin(0).values.flip(0)
    return first, last


def without_intercept(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of the module without the bias of its last layer, on which a partial likelihood does not depend."""
    module = deepcopy(module)
    linear = [part for part in module.modules() if isinstance(part, torch.nn.Linear)]
    if linear:
        linear[-1].register_parameter("bias", None)
    return module


@dataclass
class CoxSettings(TaskSettings):
    """Predict the time to an event by hazard ratios that are the same at all sites."""

    kind = Survival
    judged_by = ("loss", "cindex")

    ties: Ties = Ties.efron
    risk_sets: RiskSets = RiskSets.site  # batch: a local step of local.batch rows compares these with each other alone

    def restore(self, net: Net, features: int, levels: tuple[str, ...], constants: Constants) -> Task:
        """Cox with one output."""
        return Cox(without_intercept(net.module(features, 1)), self.ties, self.risk_sets)
