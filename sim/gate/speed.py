"""The speed tier: a round of training compared with the same round written by hand in PyTorch, alternating."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

from sim.config.experiment import Experiment
from sim.engine.executors import InProcess, crew
from sim.engine.loops import OwnLoop
from sim.engine.rounds import rounds
from sim.engine.simulation import Diverged, Simulation
from sim.gate.definition import GateCell, Key
from sim.lazy import torch
from sim.local.rows import Rows
from sim.local.settings import Optimizer
from sim.progress import bar
from sim.run.run import Prepared, prepare, simulation

SECONDS = 0.2  # that the rounds of both sides take together
TURNS = 40  # at most; each is a round by hand and OWN of ours, which are shorter
FEWEST, OWN = 3, 5
TRIES = 3  # so that other work of the machine does not look like a slower or faster method


class Speed(NamedTuple):
    """CPU seconds of a round, the least of several, because other work of the machine can only add to them."""

    ours: float
    by_hand: float

    @property
    def ratio(self) -> float:
        """Speed relative to the hand-written loop."""
        return self.by_hand / self.ours


def timed(cells: Sequence[GateCell], enough: Mapping[Key, float]) -> list[Speed | None]:
    """The speed of each cell on the patients of its first seed, the best of up to TRIES."""
    found = []
    with bar("timing", len(cells)) as watch:
        for number, cell in enumerate(cells, 1):
            best = speed(cell.experiments[0])
            for _ in range(1, TRIES):
                if best is not None and best.ratio < enough.get(cell.key, math.inf):
                    best = max(best, speed(cell.experiments[0]) or best, key=lambda one: one.ratio)
            found.append(best)
            watch(number)
    return found


def speed(asked: Experiment) -> Speed | None:
    """Both speeds on one thread; None for a method without local SGD steps, or with too short rounds."""
    if not asked.algorithm.trains or asked.local.optimizer is not Optimizer.sgd:
        return None
    most = (TURNS + 1) * OWN
    asked = replace(asked, rounds=most, evaluation=replace(asked.evaluation, every=most, stop=0))
    prepared = prepare(asked)
    return None if prepared.task.whole_sites else measured(asked, prepared)


def measured(asked: Experiment, prepared: Prepared) -> Speed | None:
    """Speeds on the prepared data."""
    plan, method = simulation(asked, prepared), asked.algorithm
    ours: list[float] = []
    theirs: list[float] = []
    with crew(InProcess(threads=1), plan.job) as opened:
        mine = method.rounds(plan, opened) if isinstance(method, OwnLoop) else rounds(plan, opened, plan.standing())
        hand = by_hand(plan)
        began = time.process_time()
        with suppress(StopIteration, Diverged):
            next(mine)
            while len(theirs) < TURNS and (len(theirs) <= FEWEST or time.process_time() - began < SECONDS):
                theirs.append(clocked(hand))
                ours += [clocked(mine) for _ in range(OWN)]
    return Speed(min(ours[OWN:]), min(theirs[1:])) if len(ours) > FEWEST * OWN else None


def clocked(going: Iterator[object]) -> float:
    """CPU seconds of the next round."""
    began = time.process_time()
    next(going)
    return time.process_time() - began


def by_hand(plan: Simulation) -> Iterator[None]:
    """Rounds of FedAvg over the same sites, batches and network: one site after the other in one module."""
    task, training, federation = plan.task, plan.training, plan.federation
    rows, sites = Rows.of(federation, task), federation.members.tolist()
    steps, share = training.site_steps(federation.rows), federation.rows / federation.rows[sites].sum()
    net = deepcopy(task.module).to_empty(device="cpu").to(plan.dtype)
    state = {name: part.clone() for name, part in net.state_dict().items()}
    state |= {name: part.to(plan.dtype) for name, part in task.layout.unpack(task.init(plan.seed)).items()}
    while True:
        mean = {name: torch.zeros_like(part) for name, part in state.items()}
        for site in sites:
            first, size = int(federation.bounds[site, 0]), int(federation.rows[site])
            here = slice(first, first + size)
            x, y = rows.x[here], {name: column[here] for name, column in rows.y.items()}
            net.load_state_dict(state)
            optimiser = torch.optim.SGD(net.parameters(), lr=training.lr, momentum=training.momentum)
            order, width = torch.randperm(size), training.batch or size
            for step in range(int(steps[site])):
                low = step * width % (-(-size // width) * width)
                some = order[low : low + width]
                optimiser.zero_grad()
                loss = task.row_loss(net(x[some]), {name: column[some] for name, column in y.items()}).mean()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            for name, part in net.state_dict().items():
                mean[name] += part * float(share[site])
        state = mean
        yield
