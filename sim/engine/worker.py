"""Everything that is needed to carry out orders and to evaluate models; one per process."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints
from sim.checks import Refused
from sim.engine.attackers import marked, trained_on
from sim.engine.evaluation import Held, Metrics, Rated, measure, rate, rate_own
from sim.engine.job import Job
from sim.engine.messages import Broadcast, Candidates, Order, Upload
from sim.engine.mixture import rate_mixture
from sim.engine.site_state import SiteState
from sim.engine.uplink import Draws, encoded, squeezed
from sim.exact.sums import Message as Sums
from sim.exact.sums import State as Seen
from sim.exact.sums import SumProtocol
from sim.lazy import Tensor, torch
from sim.local import optimisers
from sim.local.cells import cells
from sim.local.fused import Fused
from sim.local.losses import gradients, losses, row_losses
from sim.local.plan import Sites
from sim.local.rows import Rows, view
from sim.local.tier import Trainer, choose, trainer
from sim.methods.algorithms.base import Algorithm
from sim.methods.attacks.backdoor import Backdoor
from sim.methods.contract import OWN, Local, Phase, State, ungrouped
from sim.methods.personal.base import Personal
from sim.methods.roles import REPORTED, UP
from sim.methods.sums import weighted
from sim.metrics import BACKDOOR
from sim.metrics.segments import segment_mean
from sim.profiling import stage
from sim.tasks.task import Task

PLAIN = Algorithm()  # what a site's own model is trained by


def refused_loss(v: Tensor) -> Tensor:
    """Refuses losses or gradients that would leave the site without noise."""
    raise Refused(
        "local.noise: the algorithm needs the sites' losses or full gradients, to which no noise is added. Use "
        "algorithm=fedavg."
    )


def refused_rows(v: Tensor) -> tuple[Tensor, Tensor]:
    """`refused_loss` for the losses of single rows."""
    return refused_loss(v), v


class Own(threading.local):
    """A copy of the task for every thread, because torch changes the module's parameters while it is called."""

    def __init__(self, task: Task) -> None:
        self.task = copy.deepcopy(task)


@dataclass
class Worker:
    """An open job."""

    job: Job
    own: Own
    rows: Rows
    codes: Tensor | None  # [R] groups, as in the job
    parts: list[Held]
    memory: SiteState
    trainer: Trainer
    second: Trainer | None  # of own models, where the personal role trains any beside or after the shared one
    counts: Tensor | None  # [S, K] training rows of each class, where the algorithm asks for them
    marked: Rows | None = None  # all rows with the mark of an attack's backdoor, where one is planted

    @classmethod
    def open(cls, job: Job, folder: Path | None = None) -> Worker:
        """Use one thread per product, because the order of a sum must not depend on the number of cores."""
        torch.set_num_threads(1)
        attack = job.roles.attack
        rows = Rows.over(*trained_on(attack, job.federation, job.seed), job.task)
        parts = Held.of(job.federation, job.splits).parts()
        task, training, second = job.task, job.training, None
        codes = None if job.codes is None else torch.from_numpy(job.codes.astype(np.int64))
        own_objective = type(job.roles.algorithm).objective is not Algorithm.objective
        trained = rows.grouped(codes) if codes is not None and own_objective else rows
        with stage("compile"):
            made = trainer(job.choice, task, job.roles.algorithm, training, trained, job.seed)
            kind = type(job.roles.personal)
            if kind.second is not Personal.second or kind.adaptation is not Personal.adaptation:
                second = trainer(choose(task, PLAIN, training), task, PLAIN, training, rows, job.seed)
            if parts:
                measure(task, parts[0].empty, Rated(np.zeros((0, *task.scores)), np.zeros(0)))
        counts = rows.counts(task.classes, job.federation) if job.roles.algorithm.class_counts else None
        mark = None
        if isinstance(attack, Backdoor):
            mark = replace(rows, x=torch.from_numpy(marked(attack, job.federation, np.arange(len(rows.x)))))
        return cls(job, Own(task), rows, codes, parts, job.memory(folder), made, second, counts, mark)

    def train(self, broadcast: Broadcast, order: Order, current: NDArray[np.int8]) -> Upload:
        """Local training of a chunk; `current` [C] says which of the sites' two state rows is current."""
        roles, federation = self.job.roles, self.job.federation
        known = [name for name in self.memory.arrays if not name.startswith(UP)]  # an upload that waits is the server's
        kept = squeezed(self.memory.read(order.sites, current, known), roles)
        at = self.local(broadcast, order, kept)
        if broadcast.prelude:
            early = roles.algorithm.before(at)
            return Upload({name: weighted(order.weights, part) for name, part in early.items()}, scalars={})
        rows = federation.rows[order.sites]
        sites = Sites(federation.bounds[order.sites, 0], rows, order.steps, federation.keys[order.sites])
        if broadcast.adapt:
            return self.adapt(broadcast, order, current, at, sites)
        if roles.personal.persists:
            at = replace(at, start=kept[OWN])
        phases = [self.travelling(phase) for phase in roles.personal.phases(roles.algorithm, at, self.job.private)]
        w = self.trainer.train(roles.algorithm, at, phases, sites, broadcast.round)
        message, new = roles.algorithm.upload(w, at)
        new |= {name: kept[name] for name in optimisers.site_state(self.job.training, len(self.job.private))}
        if roles.personal.on and OWN not in new:
            new[OWN] = w
        if self.second is not None:
            beside = replace(at, start=kept[OWN], site={})
            phase = roles.personal.second(beside)
            if phase is not None:
                new[OWN] = self.second.train(PLAIN, beside, [phase], sites, broadcast.round)
        draws = Draws(self.job.seed, broadcast.round, sites.keys)
        message, encoding = encoded(roles, self.job.private, message, at, draws)
        new |= encoding
        if roles.server.sends:
            message |= {REPORTED + name: part for name, part in roles.server.report(message["delta"]).items()}
        if roles.whole:
            new |= {UP + name: part for name, part in message.items()}
        columns = {name: part.reshape(len(part), -1).numpy() for name, part in new.items()}
        self.memory.write(order.sites, current, columns)
        return Upload(
            total={} if roles.whole else {name: weighted(order.weights, part) for name, part in message.items()},
            scalars={name: part.numpy() for name, part in message.items() if part.dim() == 1},
        )

    def adapt(self, broadcast: Broadcast, order: Order, current: NDArray[np.int8], at: Local, sites: Sites) -> Upload:
        """Own models of a chunk's sites by steps from the shared one; the rest of their state is unchanged."""
        phase = self.job.roles.personal.adaptation(at, self.job.private)
        assert phase is not None
        assert self.second is not None
        own = self.second.train(PLAIN, replace(at, site={}), [phase], sites, broadcast.round)
        self.memory.write(order.sites, current, self.memory.read(order.sites, current) | {OWN: own.numpy()})
        return Upload({}, {})

    def local(self, broadcast: Broadcast, order: Order, kept: State) -> Local:
        """What the sites of a chunk know before training."""
        x, private = view(broadcast.x).expand(len(order.sites), -1), self.job.private
        if private.any():
            x = self.job.roles.personal.received(x, kept[OWN], private)
        dtype, noise = self.rows.x.dtype, self.job.training.noise
        return Local(
            x=x,
            start=x,
            # Copies: the last bits of a product may depend on where in memory a message came to lie.
            server={name: view(part).clone() for name, part in broadcast.server.items()},
            site=kept,
            rows=torch.from_numpy(self.job.federation.rows[order.sites]).to(dtype),
            steps=view(order.steps).to(dtype),
            norm=torch.from_numpy(self.job.training.norm(order.steps)).to(dtype),
            lr=broadcast.lr,
            loss=refused_loss if noise else lambda v: self.losses(v, order.sites),
            cells=ungrouped if self.codes is None else refused_loss if noise else lambda v: self.cells(v, order.sites),
            gradient=refused_loss if noise else lambda v: self.gradients(v, order.sites),
            counts=None if self.counts is None else self.counts[torch.from_numpy(order.sites)],
            row_losses=refused_rows if noise else lambda v: self.row_losses(v, order.sites),
        )

    def travelling(self, phase: Phase) -> Phase:
        """A phase whose drift does not change private parameters, about which other sites know nothing."""
        drift = phase.correction.drift
        if drift is None or not self.job.private.any():
            return phase
        return phase._replace(correction=phase.correction._replace(drift=drift * ~self.job.private))

    def losses(self, models: Tensor, sites: Ints) -> Tensor:
        """Loss of every site's model over all its training rows; [C, P], [C] -> [C]."""
        if isinstance(self.trainer, Fused):
            return self.trainer.losses(models, *self.training_rows(sites))
        return losses(self.own.task, self.rows, models, *self.training_rows(sites))

    def cells(self, models: Tensor, sites: Ints) -> Tensor:
        """Counts and losses of every site's model by outcome and group; [C, P], [C] -> [C, 2, 3, 3]."""
        assert self.codes is not None
        return cells(self.own.task, self.rows, self.codes, models, *self.training_rows(sites))

    def row_losses(self, models: Tensor, sites: Ints) -> tuple[Tensor, Tensor]:
        """Losses of all training rows of every site under its model, and a mask of real rows; [C, P], [C] -> [C, B]."""
        return row_losses(self.own.task, self.rows, models, *self.training_rows(sites))

    def gradients(self, models: Tensor, sites: Ints) -> Tensor:
        """Gradient of every site's objective over all its training rows; [C, P], [C] -> [C, P]."""
        return gradients(self.own.task, self.rows, models, *self.training_rows(sites), self.job.training)

    def training_rows(self, sites: Ints) -> tuple[Ints, Ints]:
        """The first training row of some sites, and how many each has; [C], [C]."""
        return self.job.federation.bounds[sites, 0], self.job.federation.rows[sites]

    def losses_under(self, x: NDArray[np.floating], sites: Ints) -> Floats:
        """`losses` of one model [P] for all of some sites; [C] -> [C]."""
        return self.losses(view(x).expand(len(sites), -1), sites).double().numpy()

    def answers(self, analysis: SumProtocol, seen: Seen, sites: Ints) -> list[Sums]:
        """Answers of some sites in an analysis from sums, each from its training rows in double precision."""
        return [
            analysis.at(int(site)).statistics(self.recorded(slice(low, low + size)), seen)
            for site, low, size in zip(sites, *self.training_rows(sites), strict=True)
        ]

    def recorded(self, some: slice) -> dict[str, Floats]:
        """Features and outcome columns of some rows, in double precision."""
        y = {name: np.asarray(part[some], dtype=np.float64) for name, part in self.job.federation.y.items()}
        return {"x": self.rows.x[some].double().numpy(), **y}

    def judge(self, part: int, models: Candidates, current: NDArray[np.int8]) -> Metrics:
        """Metrics of some sites' held-out rows under the given models."""
        held, attack = self.parts[part], self.job.roles.attack
        metrics = measure(self.own.task, held, self.rated(held, self.rows, models, current))
        if self.marked is not None and isinstance(attack, Backdoor):
            called = attack.called(self.rated(held, self.marked, models, current).score)
            others = attack.others(held.y["label"])
            metrics[BACKDOOR] = segment_mean(called[others], held.segment[others], held.segments)
        return metrics

    def rated(self, held: Held, rows: Rows, models: Candidates, current: NDArray[np.int8]) -> Rated:
        """Scores and losses of held-out rows under the given models."""
        task, (low, high) = self.own.task, held.sites
        x = view(models.x)
        if models.mixture is not None:
            mixture = models.mixture if len(models.mixture) == 1 else models.mixture[low:high]
            return rate_mixture(task, rows, x, mixture, held)
        if models.choice is None and not models.own:
            return rate(task, rows, x[0], held.row)
        given = x[0] if models.choice is None else x[view(models.choice[low:high])]
        if models.own:
            sites = np.arange(low, high)
            own = view(self.memory.read(sites, current[low:high], [OWN])[OWN])
            given = self.job.roles.personal.deployed(given, own, self.job.private)
        return rate_own(task, rows, given, held)
