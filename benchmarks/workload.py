"""The benchmarks' workload as fedtrial runs it, and how a benchmark reports.

    work = make(sites=1000, rows=200, model="mlp")           # rows: one number, or one per site
    rounds = simulate(simulation(work, training("fused")), executor(threads=2), start(work))
    next(rounds)                                             # round 0, the start

Two outputs and the softmax loss for both models; batch 32, one local epoch of SGD at 0.1, mean weighted by rows.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from byhand import BATCH, LR, MODELS, Work, load, loop, make, network
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from sim.engine.executors import Executor, InProcess, OnRay, cores
from sim.engine.simulation import Evaluation, Simulation
from sim.federation.federation import Federation
from sim.local.settings import Tier, Training
from sim.methods.roles import Roles
from sim.random import site_keys
from sim.records import environment
from sim.tasks.closed import Loss, closed_form
from sim.tasks.layout import call
from sim.tasks.task import Task

__all__ = ["MODELS", "Work", "cores", "load", "loop", "make"]


class Softmax(Task):
    """Two outputs, one a class."""

    def targets(self, y: Mapping[str, NDArray[np.generic]]) -> dict[str, Tensor]:
        return {"label": torch.from_numpy(y["label"].astype(np.float32))}

    @closed_form(Loss.softmax)
    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        # Cross-entropy of two classes, written out: log(1 + exp(other - own)).
        return softplus((output[:, 0] - output[:, 1]) * (2 * y["label"] - 1))


def task(model: str) -> Task:
    """The task of a model; the one place that names it."""
    return Softmax(network(model))


def training(tier: str = "auto") -> Training:
    """Local training on one of fedtrial's tiers, or on the one that it chooses."""
    return Training(lr=LR, batch=BATCH, epochs=1, tier=Tier(tier))


def executor(threads: int = 1, workers: int = 0) -> Executor:
    """Ray with some workers, or else this process with some threads."""
    return OnRay(workers) if workers else InProcess(threads)


def federation(work: Work) -> Federation:
    """The rows as fedtrial holds them, all for training; nothing is copied."""
    names = tuple(f"{site:06d}" for site in range(len(work.rows)))
    low, high = work.bounds[:-1], work.bounds[1:]
    columns = tuple(f"x{column}" for column in range(work.x.shape[1]))
    bounds = np.stack([low, high, high, high], axis=1)
    return Federation(names, columns, work.x, {"label": work.y}, bounds, site_keys(names))


def start(work: Work) -> Tensor:
    """The starting model as one vector; [P]."""
    layout = task(work.model).layout
    return layout.pack([torch.from_numpy(work.start[name]) for name in layout.names])


def simulation(work: Work, how: Training, rounds: int = 10**6) -> Simulation:
    """FedAvg on the workload; nothing is scored inside, see `accuracy`."""
    return Simulation(federation(work), task(work.model), Roles(), how, Evaluation(), rounds, seed=0)


def accuracy(work: Work, plan: Simulation, model: Tensor) -> float:
    """Share of the held-out rows that a model gets right; [P] -> scalar."""
    with torch.no_grad():
        return work.share_right(call(plan.task.module, plan.task.layout, model, torch.from_numpy(work.x_test)))


def least(call: Callable[[], object], times: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Least seconds of a call, by the clock of the wall or of this thread's processor time."""
    found = []
    for _ in range(times):
        began = clock()
        call()
        found.append(clock() - began)
    return min(found)


def machine() -> dict[str, str | int]:
    """Kind of machine, and the memory and cores that it gives us."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {**environment.machine(), "cores": cores(), "memory_gib": round(memory / 2**30)}


def told() -> str:
    """The machine in one line, for under a table's title."""
    here, version = machine(), environment.versions()
    memory = f", {here['memory_gib']} GiB" if here["memory_gib"] else ""
    made = f"fedtrial {environment.commit()}, torch {version['torch']}, Python {version['python']}"
    return f"{here['processor']} ({here['vector']}), {here['cores']} cores{memory}; {made}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def write_json(
    path: Path,
    benchmark: str,
    settings: object,
    medians: Mapping[str, float],
    ratios: Mapping[str, float],
    **rest: object,
) -> None:
    """What a benchmark measured, and where; medians in seconds a round unless `rest` says otherwise."""
    here = {"machine": machine(), "versions": environment.versions(), "commit": environment.commit()}
    found = {"settings": settings, "medians": dict(medians), "ratios": dict(ratios), **rest}
    path.write_text(json.dumps({"benchmark": benchmark, **here, **found}, indent=2) + "\n")
