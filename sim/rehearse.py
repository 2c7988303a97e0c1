"""One run from settings to records: cohort, partition, federation, task, training, judgement."""

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim import provenance
from sim.algorithms.base import Algorithm
from sim.cohort.table import SPLITS, Cohort
from sim.config import Experiment, Json, identity, settings
from sim.engine import Diverged, Simulation, rounds
from sim.execute import crew
from sim.federation import Federation, build
from sim.partition.base import digest as partition_digest
from sim.partition.settle import settle
from sim.records import Run, finished, ready, rounds_frame, sites_frame, write
from sim.references import Reference, Watch
from sim.tasks.task import Task

# Settings that a prepared federation depends on.
DATA = ("cohort", "partition", "shift", "split", "task", "net", "seed")


@dataclass(frozen=True)
class Prepared:
    """What methods are compared on."""

    cohort: Cohort
    outcome: str
    sites: NDArray[np.str_]
    federation: Federation
    task: Task


_kept: dict[str, Prepared] = {}


def prepare(experiment: Experiment) -> Prepared:
    """Cohort, partition, federation and task of an experiment; the last two are kept, for methods share them."""
    whole = settings(experiment)
    wanted = json.dumps({name: whole[name] for name in DATA}, sort_keys=True)
    if wanted not in _kept:
        while len(_kept) > 1:
            del _kept[next(iter(_kept))]
        cohort = experiment.cohort.load(experiment.seed)
        outcome = experiment.task.choose(cohort)
        cohort, sites, external = settle(experiment.partition, cohort, outcome, experiment.seed)
        cohort = experiment.shift.apply(cohort, outcome, sites, experiment.seed)
        federation = build(cohort, outcome, sites, experiment.split, experiment.seed, external)
        task = experiment.task.build(experiment.net, federation)
        _kept[wanted] = Prepared(cohort, outcome, sites, federation, task)
    return _kept[wanted]


def run_id(experiment: Experiment, prepared: Prepared) -> str:
    """Name of a run: what was asked, of which data, by which code."""
    what = {"settings": identity(experiment), "data": prepared.cohort.digest, "code": provenance.code()}
    return hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=6).hexdigest()


def simulation(experiment: Experiment, prepared: Prepared) -> Simulation:
    """The engine's view of an experiment; a reference trains as FedAvg would, without the averaging."""
    method = experiment.algorithm
    return Simulation(
        federation=prepared.federation,
        task=prepared.task,
        algorithm=method if isinstance(method, Algorithm) else Algorithm(),
        server=experiment.server,
        training=experiment.local,
        system=experiment.system,
        evaluation=experiment.evaluation,
        rounds=experiment.rounds,
        seed=experiment.seed,
    )


def rehearse(experiment: Experiment, watch: Watch = lambda number: None) -> Run:
    """Run an experiment; a diverged one is a run too, with the round it diverged in."""
    prepared = prepare(experiment)
    run, began = run_id(experiment, prepared), time.perf_counter()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    status, done, judged = "done", [], []
    plan, method = simulation(experiment, prepared), experiment.algorithm
    with crew(experiment.executor, plan.job) as hands:
        try:
            if isinstance(method, Reference):
                judged = [(experiment.rounds, method.judge(plan, hands, watch))]
            else:
                for here in rounds(plan, hands, None):
                    done.append(here)
                    if here.metrics is not None:
                        judged.append((here.number, here.metrics))
                    watch(here.number)
        except Diverged as error:
            status = str(error)
        held = hands.held
    events = prepared.task.events(prepared.federation.y)
    info = {
        "run": run,
        "status": status,
        "settings": identity(experiment),
        "outcome": prepared.outcome,
        "features": list(prepared.federation.features),
        "parameters": prepared.task.layout.size,
        "data": prepared.cohort.digest,
        "partition": partition_digest(prepared.cohort, prepared.sites),
        "notes": dict(prepared.cohort.notes),
        "sites": holdings(prepared.federation, events),
        "code": provenance.code(),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "executor": settings(experiment.executor),
        "started": started,
        "wall_seconds": round(time.perf_counter() - began, 3),
    }
    frame = sites_frame(run, prepared.federation, held, events, method.model, judged)
    return Run(run, rounds_frame(run, done), frame, info)


def holdings(federation: Federation, events: NDArray[np.bool_]) -> Json:
    """Rows and events of every site and split."""
    table = {}
    for site, bounds in zip(federation.sites, federation.bounds, strict=True):
        parts = {split: events[low:high] for split, low, high in zip(SPLITS, bounds, bounds[1:], strict=False)}
        table[site] = {split: {"rows": len(part), "events": int(part.sum())} for split, part in parts.items()}
    return table


def keep(experiment: Experiment, folder: Path, watch: Watch = lambda number: None) -> Path:
    """Folder of the finished run, computed only if it is not there yet."""
    home = ready(folder) / run_id(experiment, prepare(experiment))
    return home if finished(home) else write(rehearse(experiment, watch), folder)
